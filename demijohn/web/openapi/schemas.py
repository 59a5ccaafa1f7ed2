"""Schemas that several operations share, by the names that they have in the description.

Those of requests are as strict as a schema can be and never stricter than the service, but for
what their descriptions say; those of answers are closed where their shape is fixed.
"""

from __future__ import annotations

from demijohn.web.openapi.operation import Schema
from demijohn.web.openapi.schemas_bulk import BULK
from demijohn.web.openapi.schemas_collections import COLLECTIONS
from demijohn.web.openapi.schemas_extended import EXTENDED
from demijohn.web.openapi.schemas_indexes import INDEXES
from demijohn.web.openapi.schemas_patch import PATCHES
from demijohn.web.openapi.vocabulary import FIELD_LISTS, PATHS, SORTS, map_of, ref

SHARED: dict[str, Schema] = {
    "Readiness": {
        "type": "object",
        "properties": {"status": {"const": "ready"}, "database": {"enum": ["up", "down"]}},
        "required": ["status"],
        "additionalProperties": False,
    },
    "Document": {
        "type": "object",
        "description": (
            "A document as it is answered: an open object. Types of BSON that JSON lacks have "
            "the spelling that the media type says."
        ),
    },
    "PlainValue": {
        "description": (
            "A value in plain JSON. No key starts with `$` or holds U+0000. A number that is "
            "written as an integer has at most 64 bits; written with a fraction or an exponent "
            "(`1e300`) it is a double. At most 100 levels."
        ),
        "anyOf": [
            {"type": ["null", "boolean", "number", "string"]},
            {"type": "array", "items": ref("PlainValue")},
            map_of(ref("PlainValue")),
        ],
    },
    "PlainId": {
        "description": (
            "The `_id` of a document in plain JSON, at most 1,024 bytes. 24 hex digits are an "
            "ObjectId."
        ),
        "anyOf": [{"type": ["number", "string"]}, map_of(ref("PlainValue"))],
    },
    "PlainDocument": {
        **map_of(ref("PlainValue")),
        "description": "A document in plain JSON. Without `_id` the service makes an ObjectId.",
        "properties": {"_id": ref("PlainId")},
    },
    **BULK,
    "Page": {
        "type": "object",
        "properties": {
            "documents": {"type": "array", "items": ref("Document")},
            "next": {
                "type": ["string", "null"],
                "description": "The address of the next page, null where there is none.",
            },
            "after": {
                "type": ["string", "null"],
                "description": "The cursor in it, null where there is none.",
            },
            "count": {"type": "integer", "minimum": 0},
        },
        "required": ["documents", "next", "after"],
        "additionalProperties": False,
    },
    "Search": {
        "type": "object",
        "properties": {
            "filter": {"type": ["object", "null"], "examples": [{"age": {"$gte": 21}}]},
            "sort": {
                "type": ["string", "object", "null"],
                "pattern": SORTS,
                "propertyNames": {"pattern": PATHS},
                "additionalProperties": {"enum": [1, -1]},
                "minProperties": 1,
                "examples": ["-age,name", {"age": -1, "name": 1}],
            },
            "fields": {
                "type": ["string", "null"],
                "pattern": FIELD_LISTS,
                "examples": ["name,age"],
            },
            "limit": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
            "after": {"type": ["string", "null"]},
            "count": {"enum": ["exact", "estimated", None]},
        },
        "additionalProperties": False,
        "examples": [{}],
    },
    **EXTENDED,
    **INDEXES,
    **PATCHES,
    **COLLECTIONS,
}
