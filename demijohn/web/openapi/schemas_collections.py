"""Schemas of collections and their configuration."""

from __future__ import annotations

from demijohn.web.openapi.operation import Schema
from demijohn.web.openapi.vocabulary import closed, ref

_SCHEMA: Schema = {
    "type": ["object", "null"],
    "description": (
        "A JSON Schema (2020-12) that stands for itself, of the plain JSON spelling of documents "
        "without `_id`; null for none."
    ),
}
_TRUTH: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
COLLECTIONS: dict[str, Schema] = {
    "Configuration": {
        "type": "object",
        "properties": {
            "schema": _SCHEMA,
            "require_if_match": _TRUTH,
        },
        "additionalProperties": False,
        "examples": [{"schema": {"type": "object", "required": ["name"]}}],
    },
    "Collection": closed(
        ("existing",),
        name={"type": "string"},
        count=_NUMBER,
        schema=_SCHEMA,
        require_if_match=_TRUTH,
        indexes={"type": "array", "items": ref("Index")},
        existing={
            **closed(
                checked=_NUMBER,
                complete=_TRUTH,
                refused=_NUMBER,
                examples={
                    "type": "array",
                    "items": closed(id={}, pointer={"type": "string"}, detail={"type": "string"}),
                },
            ),
            "description": "How the documents that were there before fit a new schema.",
        },
    ),
}
