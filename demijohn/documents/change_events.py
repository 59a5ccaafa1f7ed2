"""Changes as their clients read them: each an event in some shape, each position a short text."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from demijohn.documents.backlog import Position
from demijohn.errors import BadCursor
from demijohn.formats import event_stream
from demijohn.formats.bson_values import DOCUMENT, NULL, Value, elements, encode, from_python
from demijohn.formats.opaque import read_opaque, write_opaque
from demijohn.formats.spelling import Spelling
from demijohn.query.fields import Fields
from demijohn.store.changes import Change

LONGEST_ID = 8 * 1024
"""Characters of an `id`: it comes back in a header. A position holds the document's own id."""
_VERSION = b"\x01"
_DIGEST = 6
_TIME = struct.Struct(">Q")
_NOTHING = Value(NULL, b"")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a client wants to read changes."""

    spelling: Spelling
    fields: Fields | None = None


def render(collection: str, change: Change, shape: Shape) -> bytes:
    """The event that tells of a change. Raises InternalError for what cannot be decoded."""
    document = change.document
    if document is not None and shape.fields is not None:
        document = shape.fields.apply(document)
    told = {
        "operation": from_python(change.operation),
        "id": _NOTHING if change.key is None else dict(elements(change.key))["_id"],
        "document": _NOTHING if document is None else Value(DOCUMENT, document),
    }
    data = shape.spelling.render(encode(told)).rstrip(b"\n")
    return event_stream.event(
        change.operation, data, write_id(collection, Position(change.token, change.time))
    )


def write_id(collection: str, position: Position) -> str:
    """A position in the changes of a collection, as the `id` of an event."""
    raw = _head(collection) + _TIME.pack(position.time) + position.token
    return write_opaque(raw)


def read_id(collection: str, text: str) -> Position:
    """The position that an `id` is of. Raises BadCursor, where it is of another collection too."""
    raw = read_opaque(text) or b""
    rest = raw.removeprefix(_head(collection)).ljust(_TIME.size)
    position = Position(rest[_TIME.size :], _TIME.unpack_from(rest)[0])
    if len(text) > LONGEST_ID or write_id(collection, position) != text:
        raise BadCursor("This is not the id of an event of this collection.")
    return position


def _head(collection: str) -> bytes:
    return _VERSION + hashlib.sha256(collection.encode()).digest()[:_DIGEST]
