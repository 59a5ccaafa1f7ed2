"""Schemas of MongoDB Extended JSON v2 as requests hold it."""

from __future__ import annotations

from demijohn.web.openapi.operation import Schema
from demijohn.web.openapi.vocabulary import closed, map_of, matching, ref

_UINT32: Schema = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_INT32 = matching("^(0|-?[1-9][0-9]{0,8})$")
_INT64 = matching("^(0|-?[1-9][0-9]{0,17})$")
_BASE64 = matching("^([A-Za-z0-9+/]{4})*$")
_OBJECT_ID = closed(_oid=matching("^[0-9a-fA-F]{24}$"))
_DATE: Schema = {
    "anyOf": [
        matching(
            r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
            r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?Z$"
        ),
        closed(_numberLong=_INT64),
    ]
}

_SOME32: Schema = {**_UINT32, "minimum": 1}
_TIME = closed(_timestamp=closed(t=_UINT32, i=_UINT32))
_SOME_TIMES: tuple[Schema, ...] = (
    closed(_timestamp=closed(t=_SOME32, i=_UINT32)),
    closed(_timestamp=closed(t=_UINT32, i=_SOME32)),
)
"""All but the empty one, in whose place MongoDB puts its clock."""
_NUMBERS: tuple[Schema, ...] = (
    closed(_numberInt=_INT32),
    closed(_numberLong=_INT64),
    closed(_numberDouble=matching(r"^(NaN|-?Infinity|-?(0|[1-9][0-9]{0,8})\.[0-9]{1,6})$")),
    closed(_numberDecimal=matching(r"^(NaN|-?Infinity|-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?)$")),
)
NUMERIC: Schema = {"anyOf": [{"type": "number"}, *_NUMBERS]}
"""A number of any of BSON's types."""
_WRAPPERS: tuple[Schema, ...] = (
    _OBJECT_ID,
    *_NUMBERS,
    closed(_date=_DATE),
    closed(_binary=closed(base64=_BASE64, subType=matching("^(0[0135]|80)$"))),
    closed(_symbol={"type": "string"}),
    closed(_code={"type": "string"}),
    closed(_code={"type": "string"}, _scope=map_of(ref("ExtendedValue"))),
    closed(_undefined={"const": True}),
    closed(_minKey={"const": 1}),
    closed(_maxKey={"const": 1}),
)
_PATTERN = closed(
    _regularExpression=closed(pattern=matching(r"^[^\x00]*$"), options=matching(r"^[^\x00]*$"))
)


def _values(name: str, *wrappers: Schema) -> list[Schema]:
    """What a value of the schema of this name may be."""
    return [
        {"type": ["null", "boolean", "number", "string"]},
        {"type": "array", "items": ref(name)},
        map_of(ref(name)),
        *_WRAPPERS,
        *wrappers,
    ]


EXTENDED: dict[str, Schema] = {
    "ExtendedValue": {
        "description": (
            "A value in MongoDB Extended JSON v2, canonical or relaxed. An object with a key that "
            "starts with `$` is one of the types below or is refused. The patterns of numbers and "
            "dates are narrower here than what is read: all of 32 and 64 bits, every double and "
            "decimal, every RFC 3339 date, and the older spellings of the types."
        ),
        "anyOf": _values("ExtendedValue", _PATTERN, _TIME),
    },
    "ExtendedField": {
        "description": "A value right below the document: an empty `$timestamp` is refused there.",
        "anyOf": _values("ExtendedValue", _PATTERN, *_SOME_TIMES),
    },
    "Operand": {
        "description": "A value to compare with: no regular expressions, in it or by themselves.",
        "anyOf": _values("Operand", _TIME),
    },
    "ExtendedId": {
        "description": (
            "The `_id` of a document in Extended JSON: nothing is guessed, a string stays one."
        ),
        "anyOf": [{"type": ["number", "string"]}, _OBJECT_ID, map_of(ref("ExtendedValue"))],
    },
    "ExtendedDocument": {
        **map_of(ref("ExtendedField")),
        "description": "A document in Extended JSON. Without `_id` the service makes an ObjectId.",
        "properties": {"_id": ref("ExtendedId")},
    },
}
