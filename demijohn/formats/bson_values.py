"""BSON opened only where one looks: what is not touched keeps its bytes (bsonspec.org, 1.1).

A stored document may hold what no Python value can say without loss: a symbol, a duplicate key,
a string that is no UTF-8. So a change of a document opens the containers on its way and no
others. An opened document is a `dict`, an opened array a `list`; everything else, closed
containers too, is a `Value`: its type and its bytes. Values are immutable and may be shared.

Of members with the same key an opened document has the last, in the place of the first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

from demijohn.errors import InternalError, TooLarge
from demijohn.settings import LARGEST_DOCUMENT

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID = 0x01, 0x02, 0x03, 0x04, 5, 6, 7
BOOLEAN, DATE, NULL, REGEX, DB_POINTER, CODE, SYMBOL = 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E
CODE_WITH_SCOPE, INT32, TIMESTAMP, INT64, DECIMAL128 = 0x0F, 0x10, 0x11, 0x12, 0x13
MIN_KEY, MAX_KEY = 0xFF, 0x7F
"""Types of elements."""

CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=False,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
"""How stored values are decoded into Python's, everywhere."""

LENGTH = struct.Struct("<i")
"""Of int32, and of every length."""
INT64_BYTES = struct.Struct("<q")
DOUBLE_BYTES = struct.Struct("<d")
TIMESTAMP_BYTES = struct.Struct("<II")
"""Of payloads."""
OLD_BINARY = 2
"""The subtype of binary that holds its length a second time."""
REFERENCE_KEYS = frozenset(("$ref", "$id", "$db"))
"""Keys of a reference (DBRef), which is no type but a convention."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FRAME = 5
"""Bytes of an empty document: its length and its end."""
_FIXED = {
    DOUBLE: 8,
    UNDEFINED: 0,
    OBJECT_ID: 12,
    BOOLEAN: 1,
    DATE: 8,
    NULL: 0,
    INT32: 4,
    TIMESTAMP: 8,
    INT64: 8,
    DECIMAL128: 16,
    MIN_KEY: 0,
    MAX_KEY: 0,
}
_BESIDE_LENGTH = {
    STRING: 4,
    CODE: 4,
    SYMBOL: 4,
    BINARY: 5,
    DB_POINTER: 16,
    DOCUMENT: 0,
    ARRAY: 0,
    CODE_WITH_SCOPE: 0,
}
"""Bytes of a payload beside those that its leading length counts."""


@dataclass(frozen=True, slots=True)
class Value:
    """One BSON value: its type and its bytes, as an element has them after its name."""

    kind: int
    payload: bytes


Node: TypeAlias = "Value | dict[str, Node] | list[Node]"


def elements(document: bytes) -> Iterator[tuple[str, Value]]:
    """The members of a document in stored order, duplicates too.

    Bytes of a name that are no UTF-8 become lone surrogates, which `encode` turns back. Raises
    InternalError where the bytes are no BSON: they come from the database or from our own hand.
    """
    try:
        if LENGTH.unpack_from(document)[0] != len(document) or document[-1] != 0:
            raise damaged()
        at, end = LENGTH.size, len(document) - 1
        while at < end:
            kind, name_end = document[at], document.index(0, at + 1)
            name = document[at + 1 : name_end].decode("utf-8", "surrogateescape")
            at = name_end + 1 + _payload_length(document, kind, name_end + 1)
            if at > end:
                raise damaged()
            yield name, Value(kind, document[name_end + 1 : at])
    except (struct.error, IndexError, ValueError, KeyError):
        raise damaged() from None


def first_member(document: bytes, name: str) -> Value | None:
    """The first member of that name, which is the one that MongoDB finds; None without one.

    Nothing else is looked at. Raises InternalError as `elements` does.
    """
    wanted = name.encode("utf-8", "surrogateescape")
    try:
        at, end = LENGTH.size, len(document) - 1
        while at < end:
            name_end = document.index(0, at + 1)
            start = name_end + 1
            stop = start + _payload_length(document, document[at], start)
            if document[at + 1 : name_end] == wanted:
                return Value(document[at], document[start:stop])
            at = stop
    except (struct.error, IndexError, ValueError, KeyError):
        raise damaged() from None
    return None


def open_document(document: bytes) -> dict[str, Node]:
    """The members of a document, each closed. Raises InternalError as `elements` does."""
    return dict(elements(document))


def open_node(node: Node) -> Node:
    """A closed document as a `dict`, a closed array as a `list`; anything else as it is."""
    if isinstance(node, Value) and node.kind == DOCUMENT:
        return open_document(node.payload)
    if isinstance(node, Value) and node.kind == ARRAY:
        return [child for _, child in elements(node.payload)]
    return node


def close_node(node: Node) -> Value:
    """The node as one value; an opened container is put together again."""
    if isinstance(node, Value):
        return node
    if isinstance(node, dict):
        return Value(DOCUMENT, encode(node))
    return Value(ARRAY, encode({str(at): child for at, child in enumerate(node)}))


def encode(document: Mapping[str, Node]) -> bytes:
    """BSON of an opened document: what was never opened has the very bytes it had."""
    out = bytearray()
    _write(out, document.items())
    return bytes(out)


def _write(out: bytearray, members: Iterable[tuple[str, Node]]) -> None:
    start = len(out)
    out += bytes(LENGTH.size)
    for name, node in members:
        out.append(_kind(node))
        out += name.encode("utf-8", "surrogateescape")
        out.append(0)
        if isinstance(node, Value):
            out += node.payload
        elif isinstance(node, dict):
            _write(out, node.items())
        else:
            _write(out, ((str(at), child) for at, child in enumerate(node)))
    out.append(0)
    LENGTH.pack_into(out, start, len(out) - start)


def _kind(node: Node) -> int:
    if isinstance(node, Value):
        return node.kind
    return DOCUMENT if isinstance(node, dict) else ARRAY


def from_python(value: object) -> Value:
    """A value that the driver's encoder takes. Raises what `bson.encode` raises."""
    return next(elements(bson.encode({"": value})))[1]


def to_python(value: Value) -> Any:  # noqa: ANN401 — any BSON value
    """A value in the types of the `bson` package, by CODEC. Raises InternalError."""
    try:
        return bson.decode(encode({"": value}), CODEC)[""]
    except (BSONError, ValueError, TypeError, OverflowError, RecursionError):
        raise damaged() from None


def check_size(size: int) -> None:
    """Raise TooLarge for a document of more bytes than the 16 MiB that MongoDB takes."""
    if size > LARGEST_DOCUMENT:
        raise TooLarge(
            f"The document would be {size:,} bytes of BSON; MongoDB takes {LARGEST_DOCUMENT:,}."
        )


def damaged() -> InternalError:
    """The problem of stored bytes that are no BSON."""
    return InternalError("A stored document is damaged or nested too deeply; it cannot be read.")


def _payload_length(document: bytes, kind: int, at: int) -> int:
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed
    if kind == REGEX:
        pattern_end = document.index(0, at)
        return document.index(0, pattern_end + 1) + 1 - at
    counted: int = LENGTH.unpack_from(document, at)[0]
    if counted < 0:
        raise damaged()
    return counted + _BESIDE_LENGTH[kind]
