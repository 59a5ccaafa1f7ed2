"""The few words that schemas of documents are made of."""

from __future__ import annotations

from demijohn.web.openapi.operation import Schema

KEY: Schema = {"type": "string", "pattern": r"^(?!\$)[^\x00]*$"}
_NAME = r"[^-\s,.$\x00][^\s,.\x00]*"
_PATH = rf"{_NAME}(\.{_NAME})*"
PATHS = rf"^{_PATH}$"
"""Texts that lead to a field."""
SORTS = rf"^-?{_PATH}(,-?{_PATH})*$"
"""Texts that are a sort."""
FIELD_LISTS = rf"^({_PATH}(,{_PATH})*|-{_PATH}(,-{_PATH})*)$"
"""Texts that say which fields are answered."""


def ref(name: str) -> Schema:
    """A reference to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


PLAIN_DOCUMENT: Schema = {
    **ref("PlainDocument"),
    "examples": [{"name": "Ada", "born": 1815}],
}
"""A document of a request. The example is no part of the schema: a collection has its own."""
EXTENDED_DOCUMENT: Schema = {
    **ref("ExtendedDocument"),
    "examples": [{"name": "Ada", "born": {"$date": "1815-12-10T00:00:00Z"}}],
}


def map_of(values: Schema, keys: Schema = KEY) -> Schema:
    """An object of such values, by keys as a document may have them, or others."""
    return {"type": "object", "propertyNames": keys, "additionalProperties": values}


def closed(optional: tuple[str, ...] = (), **members: Schema) -> Schema:
    """An object of exactly these members; `_` before a name stands for `$`."""
    named = {_dollar(name): schema for name, schema in members.items()}
    return {
        "type": "object",
        "properties": named,
        "required": [name for name in named if name not in optional],
        "additionalProperties": False,
    }


def constant(member: str, value: str) -> Schema:
    """An object with one member, whose value never changes."""
    return {
        "type": "object",
        "properties": {member: {"const": value}},
        "required": [member],
        "additionalProperties": False,
    }


def matching(pattern: str) -> Schema:
    """A string that matches."""
    return {"type": "string", "pattern": pattern}


def _dollar(name: str) -> str:
    return f"${name[1:]}" if name.startswith("_") else name
