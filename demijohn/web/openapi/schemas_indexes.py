"""Schemas of indexes, as they are asked for and as they are answered."""

from __future__ import annotations

from demijohn.documents.indexes import KINDS, LONGEST_NAME, MOST_PATHS, MOST_SECONDS
from demijohn.web.openapi.operation import Schema
from demijohn.web.openapi.vocabulary import closed, map_of, matching, ref

_FIELD = r"[^.$\x00][^.\x00]*(\.[^.$\x00][^.\x00]*)*"
_PATH = matching(rf"^(\$\*\*|{_FIELD}(\.\$\*\*)?)$")
_DIRECTION: Schema = {"enum": [1, -1, *KINDS]}
_KEY: Schema = {
    "description": (
        "Paths and directions, in this order: an object, or an array of pairs where an object "
        "would not keep its order. `$**`, alone or at the end of a path, is everything below it."
    ),
    "anyOf": [
        {
            "type": "object",
            "propertyNames": _PATH,
            "additionalProperties": _DIRECTION,
            "minProperties": 1,
            "maxProperties": MOST_PATHS,
        },
        {
            "type": "array",
            "items": {
                "type": "array",
                "prefixItems": [_PATH, _DIRECTION],
                "minItems": 2,
                "maxItems": 2,
            },
            "minItems": 1,
            "maxItems": MOST_PATHS,
        },
    ],
}
_SEPARATE: Schema = {"not": {"required": ["sparse", "partialFilterExpression"]}}
_TRUTH: Schema = {"type": "boolean"}
_COLLATION = {
    **closed(
        (
            *("strength", "caseLevel", "caseFirst", "numericOrdering", "alternate"),
            *("maxVariable", "backwards", "normalization"),
        ),
        locale={"type": "string", "minLength": 1, "examples": ["en", "simple"]},
        strength={"type": "integer", "minimum": 1, "maximum": 5},
        caseLevel=_TRUTH,
        caseFirst={"enum": ["upper", "lower", "off"]},
        numericOrdering=_TRUTH,
        alternate={"enum": ["non-ignorable", "shifted"]},
        maxVariable={"enum": ["punct", "space"]},
        backwards=_TRUTH,
        normalization=_TRUTH,
    ),
    "description": "Rules of a language for comparing strings (MongoDB manual, Collation).",
}
INDEXES: dict[str, Schema] = {
    "NewIndex": {
        **closed(
            (
                *("name", "unique", "sparse", "partialFilterExpression", "expireAfterSeconds"),
                "collation",
            ),
            key=_KEY,
            name={
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST_NAME,
                "pattern": r"^(?!(\*|_id_)$)[^\x00]*$",
                "description": "Without one, the paths and directions with `_` between them.",
            },
            unique=_TRUTH,
            sparse=_TRUTH,
            partialFilterExpression={
                **map_of(ref("PlainValue"), matching(rf"^{_FIELD}$")),
                "description": "Which documents it is of: a filter, with operators too.",
                "examples": [{"deleted": False}],
            },
            expireAfterSeconds={
                "type": "integer",
                "minimum": 0,
                "maximum": MOST_SECONDS,
                "description": "The database deletes documents so long after the date at its path.",
            },
            collation=_COLLATION,
        ),
        **_SEPARATE,
        "description": "An index in the words of MongoDB's `createIndexes`.",
        "examples": [{"key": {"email": 1}, "unique": True}, {"key": {"born": -1, "name": 1}}],
    },
    "Index": {
        "type": "object",
        "description": "An index as MongoDB describes it, values in Extended JSON.",
        "properties": {"name": {"type": "string"}, "key": {"type": "object", "minProperties": 1}},
        "required": ["name", "key"],
    },
}
