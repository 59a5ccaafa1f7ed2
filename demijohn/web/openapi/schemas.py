"""Schemas that several operations share, by the names that they have in the description."""

from __future__ import annotations

from demijohn.web.openapi.operation import Schema

_KEY: Schema = {"type": "string", "pattern": r"^(?!\$)[^\u0000]*$"}


def ref(name: str) -> Schema:
    """A reference to a schema of this module or of a problem."""
    return {"$ref": f"#/components/schemas/{name}"}


def constant(member: str, value: str) -> Schema:
    """An object with one member, whose value never changes."""
    return {
        "type": "object",
        "properties": {member: {"const": value}},
        "required": [member],
        "additionalProperties": False,
    }


SHARED: dict[str, Schema] = {
    "Readiness": {
        "type": "object",
        "properties": {"status": {"const": "ready"}, "database": {"enum": ["up", "down"]}},
        "required": ["status", "database"],
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
            "A value in plain JSON. No key starts with `$` or holds U+0000; an integer has at "
            "most 64 bits. A number beyond them is taken where it is written as a float (`1e300`), "
            "which no schema can tell from an integer. At most 100 levels."
        ),
        "anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": -(2**63), "maximum": 2**63 - 1},
            {"type": "array", "items": {"$ref": "#/components/schemas/PlainValue"}},
            {
                "type": "object",
                "propertyNames": _KEY,
                "additionalProperties": {"$ref": "#/components/schemas/PlainValue"},
            },
        ],
    },
    "PlainId": {
        "description": (
            "The `_id` of a document in plain JSON, at most 1,024 bytes. 24 hex digits are an "
            "ObjectId."
        ),
        "anyOf": [
            {"type": "string"},
            {"type": "number", "minimum": -(2**63), "maximum": 2**63 - 1},
            {
                "type": "object",
                "propertyNames": _KEY,
                "additionalProperties": {"$ref": "#/components/schemas/PlainValue"},
            },
        ],
    },
    "PlainDocument": {
        "type": "object",
        "description": "A document in plain JSON. Without `_id` the service makes an ObjectId.",
        "properties": {"_id": {"$ref": "#/components/schemas/PlainId"}},
        "propertyNames": _KEY,
        "additionalProperties": {"$ref": "#/components/schemas/PlainValue"},
    },
}
