"""What lies in both databases before each request, and how the collections are configured."""

from __future__ import annotations

import json

import bson
from bson import ObjectId

SMALL_ID = "64b7f0a1c2d3e4f5a6b7c8d9"
"""The ObjectId of a small document that every collection has."""
LARGE_ID = "64b7f0a1c2d3e4f5a6b7c8da"
"""The ObjectId of one that is larger than what the express path spells on the loop."""
ABSENT_ID = "64b7f0a1c2d3e4f5a6b7c8ff"
"""The ObjectId of no document."""
NAMED_ID = "ada/é"
NUMBERED_ID = 5
"""Other ids that are taken."""
GUIDE, THINGS, HELD, STRICT = "data", "things", "held", "strict"
"""Collections: two without a configuration, one with a schema, one that demands conditions."""
SMALL = bson.encode({"_id": ObjectId(SMALL_ID), "n": 1, "of": {"b": [1.5, None, "é"]}})
_DOCUMENTS = sorted(
    [
        SMALL,
        bson.encode({"_id": ObjectId(LARGE_ID), "n": 2, "pad": "x" * 40_000}),
        bson.encode({"_id": NAMED_ID, "n": 3}),
        bson.encode({"_id": NUMBERED_ID, "n": 4}),
    ]
)
SEEDS = dict.fromkeys((GUIDE, THINGS, HELD, STRICT), _DOCUMENTS)
_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
CONFIGURED = {
    HELD: json.dumps({"schema": _SCHEMA}),
    STRICT: json.dumps({"require_if_match": True}),
}
"""Bodies of `PUT /v1/collections/…`, by collection."""
