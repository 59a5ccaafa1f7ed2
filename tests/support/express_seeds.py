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
PLAIN_ID = "Ada-b_2.c~x"
"""An id that is a string and spells itself in a URL."""
NAMED_ID = "ada/é"
NUMBERED_ID = 5
"""Other ids that are taken."""
GUIDE, THINGS, HELD, SLOW, STRICT = "data", "things", "held", "slow", "strict"
"""Collections: two without a configuration, one with a schema, one with a schema to which documents
are held in a thread, one that demands conditions."""
SMALL = bson.encode({"_id": ObjectId(SMALL_ID), "n": 1, "of": {"b": [1.5, None, "é"]}})
_DOCUMENTS = sorted(
    [
        SMALL,
        bson.encode({"_id": ObjectId(LARGE_ID), "n": 2, "pad": "x" * 40_000}),
        bson.encode({"_id": NAMED_ID, "n": 3}),
        bson.encode({"_id": PLAIN_ID, "n": 5}),
        bson.encode({"_id": NUMBERED_ID, "n": 4}),
    ]
)
SEEDS = dict.fromkeys((GUIDE, THINGS, HELD, SLOW, STRICT), _DOCUMENTS)
_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
_SLOW = {**_SCHEMA, "patternProperties": {"^w": {"type": "string", "pattern": "^[a-z0-9]*$"}}}
CONFIGURED = {
    HELD: json.dumps({"schema": _SCHEMA}),
    SLOW: json.dumps({"schema": _SLOW}),
    STRICT: json.dumps({"require_if_match": True}),
}
"""Bodies of `PUT /v1/collections/…`, by collection."""
ALL_CONFIGURED = {**CONFIGURED, GUIDE: CONFIGURED[HELD], THINGS: CONFIGURED[SLOW]}
"""The same, with a schema wherever one can be."""
ROWS = {"one": '{"n":1}', "two": '{"n":2}', "whole": None}
"""The row filters of keys, by their names: whose the small document is, and the large one."""
