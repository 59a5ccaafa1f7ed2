"""The media types of documents and of patches, and which of them are read as Extended JSON."""

from __future__ import annotations

PLAIN = "application/json"
"""A document in plain JSON; as a patch, RFC 7396."""
EXTENDED = "application/ejson"
"""A document in MongoDB Extended JSON v2; as a patch, RFC 7396 with such values."""
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396, values in plain JSON."""
JSON_PATCH = "application/json-patch+json"
"""RFC 6902, values in plain JSON."""
UPDATE = "application/vnd.mongodb.update+json"
"""MongoDB's update operators, values in Extended JSON."""
NDJSON = "application/x-ndjson"
"""Documents in plain JSON, one a line; with a `mode` in Extended JSON."""

DOCUMENTS = (PLAIN, EXTENDED)
READ_AS_EXTENDED = frozenset((EXTENDED, UPDATE))
