"""Schemas of patches: RFC 6902, and MongoDB's update operators."""

from __future__ import annotations

from demijohn.patches.json_patch import MOST_OPERATIONS
from demijohn.patches.operators import MOST_PATHS
from demijohn.web.openapi.operation import Schema
from demijohn.web.openapi.schemas_extended import NUMERIC
from demijohn.web.openapi.vocabulary import KEY, closed, map_of, matching, ref

_POINTER = matching("^(/([^/~]|~[01])*)*$")
_PATH = matching(r"^(?!_id(\.|$))[^$.\x00][^.\x00]*(\.(\$\[\]|[^$.\x00][^.\x00]*))*$")
_ANY = ref("ExtendedValue")
_OPERAND = ref("Operand")
_OPERANDS: Schema = {"type": "array", "items": _OPERAND}
_LIST: Schema = {"type": "array", "items": _ANY}
_WHOLE: Schema = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_DIRECTION: Schema = {"enum": [1, -1]}
_ORDER: Schema = {"anyOf": [_DIRECTION, {**map_of(_DIRECTION, _PATH), "minProperties": 1}]}
_MODIFIERS = ("$slice", "$sort", "$position")
_CONDITION: Schema = {
    "type": "object",
    "description": (
        "Operators on the element. `$all`, `$and`, `$elemMatch`, `$mod`, `$nor`, `$not`, `$or`, "
        "`$size` and `$type` are let through too, and a query of the element's members."
    ),
    "minProperties": 1,
    "properties": {
        **dict.fromkeys(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"), _OPERAND),
        **dict.fromkeys(("$in", "$nin"), _OPERANDS),
        "$exists": {"type": "boolean"},
    },
    "additionalProperties": False,
}


def _step(names: tuple[str, ...], **members: Schema) -> Schema:
    """An operation of JSON Patch; members beyond these are passed over (RFC 6902, section 4)."""
    return {
        "type": "object",
        "properties": {"op": {"enum": list(names)}, "path": _POINTER, **members},
        "required": ["op", "path", *members],
        "propertyNames": KEY,
        "additionalProperties": ref("PlainValue"),
    }


def _by_path(values: Schema) -> Schema:
    return {**map_of(values, _PATH), "minProperties": 1, "maxProperties": MOST_PATHS}


_OPERATORS: dict[str, Schema] = {
    "$set": _by_path(_ANY),
    "$unset": _by_path(_ANY),
    "$inc": _by_path(NUMERIC),
    "$mul": _by_path(NUMERIC),
    "$min": _by_path(_ANY),
    "$max": _by_path(_ANY),
    "$rename": _by_path(_PATH),
    "$currentDate": _by_path(
        {"anyOf": [{"const": True}, closed(_type={"enum": ["date", "timestamp"]})]}
    ),
    "$push": _by_path(
        {
            "anyOf": [
                _ANY,
                closed(_MODIFIERS, _each=_LIST, _slice=_WHOLE, _sort=_ORDER, _position=_WHOLE),
            ]
        }
    ),
    "$addToSet": _by_path({"anyOf": [_ANY, closed(_each=_LIST)]}),
    "$pop": _by_path({"enum": [1, -1]}),
    "$pull": _by_path({"anyOf": [_OPERAND, _CONDITION]}),
    "$pullAll": _by_path(_LIST),
    "$bit": _by_path(
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": dict.fromkeys(("and", "or", "xor"), _WHOLE),
            "additionalProperties": False,
        }
    ),
}

PATCHES: dict[str, Schema] = {
    "JsonPatch": {
        "type": "array",
        "description": "A JSON Patch (RFC 6902). `test` compares what a reader of plain JSON sees.",
        "examples": [[{"op": "add", "path": "/name", "value": "Ada"}]],
        "maxItems": MOST_OPERATIONS,
        "items": {
            "anyOf": [
                _step(("add", "replace", "test"), value=ref("PlainValue")),
                _step(("remove",)),
                _step(("move", "copy"), **{"from": _POINTER}),
            ]
        },
    },
    "Update": {
        "type": "object",
        "description": (
            "MongoDB's update operators, but for those that are not let through. Paths are "
            "dotted; none is the id, and none leads into or through another."
        ),
        "minProperties": 1,
        "properties": _OPERATORS,
        "additionalProperties": False,
        "examples": [{"$set": {"name": "Ada"}}],
    },
}
