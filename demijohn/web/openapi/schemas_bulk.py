"""Schemas of many documents in one request, and of what has become of them."""

from __future__ import annotations

from demijohn.errors import problem_classes
from demijohn.web.openapi.operation import Schema
from demijohn.web.openapi.vocabulary import closed, ref

_COUNT: Schema = {"type": "integer", "minimum": 0}

BULK: dict[str, Schema] = {
    "Inserted": {
        **closed(
            optional=("ids",),
            inserted=_COUNT,
            failed=_COUNT,
            errors={"type": "array", "maxItems": 100, "items": ref("Refused")},
            ids={
                "type": "array",
                "description": (
                    "The `_id` of each document in the order of the array, null for one that was "
                    "refused. Absent with `Prefer: return=minimal`, and where an answer that is "
                    "kept beside its `Idempotency-Key` would grow too large with them."
                ),
            },
        ),
        "description": "What has become of an array's documents; the first refused ones by name.",
    },
    "Refused": closed(
        index={**_COUNT, "description": "Its place in the array, from 0."},
        status={"type": "integer", "minimum": 400, "maximum": 599},
        code={"enum": sorted(each.code for each in problem_classes())},
        detail={"type": "string", "minLength": 1},
        pointer={
            "type": "string",
            "pattern": "^/[0-9]+(/[^/]*)*$",
            "description": "JSON Pointer (RFC 6901) into the array.",
        },
    ),
    "NdjsonDocuments": {
        "type": "string",
        "description": "One document a line, of any number. Blank lines are passed over.",
    },
    "NdjsonOutcome": {
        "type": "string",
        "description": (
            "A line for each document that was refused, as it is met: "
            '`{"line":3,"status":422,"code":"…","detail":"…","pointer":"/a"}`, lines counted from '
            '1. The last line is `{"inserted":9,"failed":1,"done":true}`: without it the answer, '
            "and maybe the upload, is cut, and its outcome is unknown."
        ),
    },
}
