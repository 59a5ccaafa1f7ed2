"""MongoDB Extended JSON v2 on its way out, canonical and relaxed, straight from the bytes of BSON.

Made by the conversion table of "MongoDB Extended JSON (v2)" for every type that BSON has, the old
ones too. Members come in stored order, those with the same key all of them; text is raw UTF-8.
Nothing is decoded that would lose its type on the way, as a symbol does in the driver.

What Extended JSON has no spelling for: the payload of a NaN and the sign of one, a Decimal128
whose digits are out of range (the standard reads it as 0), the keys of an array. Bytes of a string
or a key that are no UTF-8 become U+FFFD.
"""

from __future__ import annotations

import math
import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TypeAlias

import orjson
from bson.decimal128 import Decimal128

from demijohn.formats import bson_values as bv
from demijohn.formats.batches import chunks, split
from demijohn.formats.bson_values import (
    DOUBLE_BYTES,
    EPOCH,
    INT64_BYTES,
    LENGTH,
    OLD_BINARY,
    TIMESTAMP_BYTES,
    Value,
    damaged,
    elements,
)

_Spell: TypeAlias = Callable[[bytes], bytes]
_OBJECT_ID_BYTES = 12
_LEAST_STRING = LENGTH.size + 1
_BINARY_HEAD = LENGTH.size + 1
_MILLISECONDS_TO_10000 = 253_402_300_800_000
"""From 1970 to the year 10000: relaxed dates are spelt as text between the two."""


def render(document: bytes, *, canonical: bool) -> bytes:
    """The text of one stored document and a newline, without spaces.

    Deep documents cost no recursion. Raises InternalError for bytes that are no BSON.
    """
    return render_value(Value(bv.DOCUMENT, document), canonical=canonical) + b"\n"


def render_lines(batches: Iterator[bytes], *, canonical: bool) -> Iterator[bytes]:
    """The texts of batches of concatenated documents, one a line, in chunks.

    Raises InternalError for bytes that are no BSON.
    """
    for batch in batches:
        yield from chunks(render(each, canonical=canonical) for each in split(memoryview(batch)))


def render_value(value: Value, *, canonical: bool) -> bytes:
    """The text of one value, without spaces and without a newline: it may stand in another text.

    Raises InternalError for bytes that are no BSON.
    """
    leaves = _CANONICAL if canonical else _RELAXED
    if value.kind in leaves:
        return _spell(value, leaves)
    out = bytearray()
    open_values = [_open(value, leaves)]
    while open_values:
        for piece in open_values[-1]:
            if isinstance(piece, Value):
                open_values.append(_open(piece, leaves))
                break
            out += piece
        else:
            open_values.pop()
    return bytes(out)


def _spell(value: Value, leaves: Mapping[int, _Spell]) -> bytes:
    try:
        return leaves[value.kind](value.payload)
    except (struct.error, ValueError, IndexError):
        raise damaged() from None


def _open(value: Value, leaves: Mapping[int, _Spell]) -> Iterator[bytes | Value]:
    """The pieces of a container's text; what must be opened in its turn stays a value."""
    if value.kind == bv.ARRAY:
        return _array(value.payload, leaves)
    if value.kind == bv.CODE_WITH_SCOPE:
        return _code_with_scope(value.payload)
    return _document(value.payload, leaves)


def _document(payload: bytes, leaves: Mapping[int, _Spell]) -> Iterator[bytes | Value]:
    lead = b"{"
    for name, value in elements(payload):
        yield lead + _key(name) + b":"
        yield _spell(value, leaves) if value.kind in leaves else value
        lead = b","
    yield b"}" if lead == b"," else b"{}"


def _array(payload: bytes, leaves: Mapping[int, _Spell]) -> Iterator[bytes | Value]:
    lead = b"["
    for _, value in elements(payload):
        yield lead
        yield _spell(value, leaves) if value.kind in leaves else value
        lead = b","
    yield b"]" if lead == b"," else b"[]"


def _code_with_scope(payload: bytes) -> Iterator[bytes | Value]:
    try:
        scope_at = 2 * LENGTH.size + LENGTH.unpack_from(payload, LENGTH.size)[0]
    except struct.error:
        raise damaged() from None
    if LENGTH.unpack_from(payload)[0] != len(payload) or scope_at < LENGTH.size + _LEAST_STRING:
        raise damaged()
    yield b'{"$code":' + _string(payload[LENGTH.size : scope_at]) + b',"$scope":'
    yield Value(bv.DOCUMENT, payload[scope_at:])
    yield b"}"


def _key(name: str) -> bytes:
    try:
        return orjson.dumps(name)
    except TypeError:  # lone surrogates stand for bytes that are no UTF-8
        return _text(name.encode("utf-8", "surrogateescape"))


def _text(content: bytes) -> bytes:
    return orjson.dumps(content.decode("utf-8", "replace"))


def _string(payload: bytes) -> bytes:
    if len(payload) < _LEAST_STRING or payload[-1] != 0:
        raise damaged()
    return _text(payload[LENGTH.size : -1])


def _double(payload: bytes) -> bytes:
    value: float = DOUBLE_BYTES.unpack(payload)[0]
    return repr(value).encode() if math.isfinite(value) else _exact_double(payload)


def _exact_double(payload: bytes) -> bytes:
    value: float = DOUBLE_BYTES.unpack(payload)[0]
    if math.isnan(value):
        text = "NaN"
    elif math.isinf(value):
        text = "Infinity" if value > 0 else "-Infinity"
    else:
        text = repr(value)
    return b'{"$numberDouble":"%b"}' % text.encode()


def _int32(payload: bytes) -> bytes:
    return b"%d" % LENGTH.unpack(payload)[0]


def _exact_int32(payload: bytes) -> bytes:
    return b'{"$numberInt":"%d"}' % LENGTH.unpack(payload)[0]


def _int64(payload: bytes) -> bytes:
    return b"%d" % INT64_BYTES.unpack(payload)[0]


def _exact_int64(payload: bytes) -> bytes:
    return b'{"$numberLong":"%d"}' % INT64_BYTES.unpack(payload)[0]


def _exact_date(payload: bytes) -> bytes:
    return b'{"$date":%b}' % _exact_int64(payload)


def _date(payload: bytes) -> bytes:
    milliseconds: int = INT64_BYTES.unpack(payload)[0]
    if not 0 <= milliseconds < _MILLISECONDS_TO_10000:
        return _exact_date(payload)
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    # The standard wants three digits of a second, or none.
    text = moment.replace(tzinfo=None).isoformat(
        timespec="milliseconds" if milliseconds % 1000 else "seconds"
    )
    return b'{"$date":"%bZ"}' % text.encode()


def _binary(payload: bytes) -> bytes:
    subtype, content = payload[LENGTH.size], payload[_BINARY_HEAD:]
    if subtype == OLD_BINARY:
        if LENGTH.unpack_from(content)[0] != len(content) - LENGTH.size:
            raise damaged()
        content = content[LENGTH.size :]
    return b'{"$binary":{"base64":"%b","subType":"%02x"}}' % (b64encode(content), subtype)


def _object_id(payload: bytes) -> bytes:
    return b'{"$oid":"%b"}' % payload.hex().encode()


def _boolean(payload: bytes) -> bytes:
    return (b"false", b"true")[payload[0]]


def _regex(payload: bytes) -> bytes:
    pattern, options, _ = payload.split(b"\0")
    parts = (_text(pattern), _text(options))
    return b'{"$regularExpression":{"pattern":%b,"options":%b}}' % parts


def _db_pointer(payload: bytes) -> bytes:
    name, identity = payload[:-_OBJECT_ID_BYTES], payload[-_OBJECT_ID_BYTES:]
    return b'{"$dbPointer":{"$ref":%b,"$id":%b}}' % (_string(name), _object_id(identity))


def _code(payload: bytes) -> bytes:
    return b'{"$code":%b}' % _string(payload)


def _symbol(payload: bytes) -> bytes:
    return b'{"$symbol":%b}' % _string(payload)


def _timestamp(payload: bytes) -> bytes:
    increment, seconds = TIMESTAMP_BYTES.unpack(payload)
    return b'{"$timestamp":{"t":%d,"i":%d}}' % (seconds, increment)


def _decimal(payload: bytes) -> bytes:
    return b'{"$numberDecimal":"%b"}' % str(Decimal128.from_bid(payload)).encode()


_RELAXED: Mapping[int, _Spell] = MappingProxyType(
    {
        bv.STRING: _string,
        bv.DOUBLE: _double,
        bv.INT32: _int32,
        bv.INT64: _int64,
        bv.DATE: _date,
        bv.BINARY: _binary,
        bv.OBJECT_ID: _object_id,
        bv.BOOLEAN: _boolean,
        bv.REGEX: _regex,
        bv.DB_POINTER: _db_pointer,
        bv.CODE: _code,
        bv.SYMBOL: _symbol,
        bv.TIMESTAMP: _timestamp,
        bv.DECIMAL128: _decimal,
        bv.NULL: lambda _: b"null",
        bv.UNDEFINED: lambda _: b'{"$undefined":true}',
        bv.MIN_KEY: lambda _: b'{"$minKey":1}',
        bv.MAX_KEY: lambda _: b'{"$maxKey":1}',
    }
)
_CANONICAL: Mapping[int, _Spell] = MappingProxyType(
    {
        **_RELAXED,
        bv.DOUBLE: _exact_double,
        bv.INT32: _exact_int32,
        bv.INT64: _exact_int64,
        bv.DATE: _exact_date,
    }
)
