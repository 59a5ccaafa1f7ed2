"""Where a page ends, as opaque text that a client brings back for the next one.

It holds a version, a digest of what was listed (collection, filter and sort, so that a cursor of
another list is told apart), and the last document's values along the sort, with their exact types.
It is not signed: it says nothing that a filter could not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from demijohn.errors import BadCursor, InternalError, Unsortable
from demijohn.formats.bson_values import (
    ARRAY,
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL128,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    MAX_KEY,
    MIN_KEY,
    NULL,
    OBJECT_ID,
    STRING,
    TIMESTAMP,
    Value,
    elements,
    encode,
    first_member,
    to_python,
)
from demijohn.formats.opaque import read_opaque, write_opaque
from demijohn.query.filters import Filter
from demijohn.query.paths import ID
from demijohn.query.sort import Sort

VERSION = 1
LARGEST = 4 * 1024
"""Bytes of a position: it has to fit into a URL."""
_DIGEST = 16
_MISSING = Value(NULL, b"")
"""To a sort, a field that is not there is null (MongoDB manual, "Comparison/Sort Order")."""
ORDERED = frozenset(
    (
        *(MIN_KEY, NULL, INT32, INT64, DOUBLE, DECIMAL128, STRING, DOCUMENT, BINARY, OBJECT_ID),
        *(BOOLEAN, DATE, TIMESTAMP, MAX_KEY),
    )
)
"""Types whose place can be asked for again. Of regular expressions, code and the types that MongoDB
no longer writes there is no `$gt`; and an array stands in several places at once."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a sort: one value for each of its keys."""

    values: tuple[Value, ...]


def position_of(document: bytes, sort: Sort) -> Position:
    """Where a document stands. Raises Unsortable where it has no one place."""
    return Position(tuple(_value(document, path) for path in sort.paths))


def check_place(document: bytes, sort: Sort) -> None:
    """Raise Unsortable for a document that has no one place, as an `_id` always has."""
    for path in sort.paths:
        if path != ID:
            _value(document, path)


def write_cursor(position: Position, collection: str, filter_: Filter, sort: Sort) -> str:
    """The text for a position. Raises Unsortable where its values are too large for one."""
    values = _pack(position)
    if len(values) > LARGEST:
        raise Unsortable(
            f"The values of the last document along the sort exceed {LARGEST:,} bytes."
        )
    parts = bytes((VERSION,)) + _digest(collection, filter_, sort) + values
    return write_opaque(parts)


def read_cursor(text: str, collection: str, filter_: Filter, sort: Sort) -> Position:
    """The position that `write_cursor` wrote. Raises BadCursor for anything else."""
    parts = _decode(text)
    values = parts[1 + _DIGEST :]
    if parts[:1] != bytes((VERSION,)) or len(values) > LARGEST:
        raise _refusal()
    if parts[1 : 1 + _DIGEST] != _digest(collection, filter_, sort):
        raise BadCursor("The cursor is of another collection, filter or sort.")
    position = _unpack(values)
    if len(position.values) != len(sort.keys) or _pack(position) != values:
        raise _refusal()
    return position


def _value(document: bytes, path: str) -> Value:
    value = Value(DOCUMENT, document)
    for part in path.split("."):
        if value.kind == ARRAY:
            raise _unsortable(path)
        found = first_member(value.payload, part) if value.kind == DOCUMENT else None
        if found is None:
            return _MISSING
        value = found
    if value.kind not in ORDERED:
        raise _unsortable(path)
    return value


def _unsortable(path: str) -> Unsortable:
    return Unsortable(
        f"A document has an array, or another value without a place of its own, at {path[:200]}.",
        extra={"path": path},
    )


def _digest(collection: str, filter_: Filter, sort: Sort) -> bytes:
    order = ",".join(f"{direction}{path}" for path, direction in sort.keys)
    total = sha256()
    for part in (collection.encode(), order.encode(), filter_.bson):
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.digest()[:_DIGEST]


def _pack(position: Position) -> bytes:
    return encode({str(at): value for at, value in enumerate(position.values)})


def _unpack(values: bytes) -> Position:
    try:
        found = tuple(value for _, value in elements(values))
        for value in found:
            to_python(value)
    except InternalError:
        raise _refusal() from None
    if not ORDERED.issuperset(value.kind for value in found):
        raise _refusal()
    return Position(found)


def _decode(text: str) -> bytes:
    decoded = read_opaque(text) if len(text) <= 2 * LARGEST else None
    if decoded is None:
        raise _refusal()
    return decoded


def _refusal() -> BadCursor:
    return BadCursor("The cursor was not made by this service, or by another version of it.")
