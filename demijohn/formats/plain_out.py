"""Plain JSON on its way out: BSON as the database has it to JSON text, in constant memory.

ObjectId is spelt as hex, a date as RFC 3339 in UTC with milliseconds, Decimal128 as a string,
binary of every subtype (UUIDs too) as a base64 string, the old Symbol as a string and the old
Undefined as null. What JSON has no counterpart for is relaxed MongoDB Extended JSON v2: regular
expressions, code, timestamps, MinKey and MaxKey, doubles that are not finite, dates outside the
years 1 to 9999. A reference (DBRef) is the document that it is, `$ref`, `$id`, `$db` and then
what else it holds. All other keys come in stored order. Text is raw UTF-8; bytes in a stored
string that are no UTF-8 become U+FFFD.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import bson
import orjson
from bson import json_util
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from demijohn.formats.batches import chunks, document_length, groups
from demijohn.formats.bson_values import CODEC, Value, damaged, to_python

# Without the first, Code would pass for the string that it derives from.
_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME
# An element of type double, its name, and the high bits of an infinity or NaN, for which orjson
# would write null. The name may hold \x01 too, but then its last \x01 serves as well as the type;
# leaving it out of the class keeps the search linear.
_NOT_FINITE = re.compile(rb"\x01[^\x00\x01]*+\x00.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)


def render_array(batches: Iterator[bytes], *, without_id: bool = False) -> Iterator[bytes]:
    """Spell batches of concatenated BSON documents as one JSON array and a newline, in chunks.

    `without_id` leaves the documents' own `_id` out.

    The documents of a batch are in chunks before the next batch is asked for; at most one batch,
    a chunk, and what `GROUP_BYTES` (or one larger document) are decoded, are held. Raises
    InternalError for a document that cannot be decoded: the array is then left open, and must not
    be closed.
    """
    lead = b"["
    for batch in batches:
        pieces = (_render_group(each, without_id=without_id) for each in groups(memoryview(batch)))
        for chunk in chunks(pieces, b","):
            yield lead + chunk
            lead = b","
    yield b"[]\n" if lead == b"[" else b"]\n"


def render_lines(batches: Iterator[bytes]) -> Iterator[bytes]:
    """Spell batches of concatenated BSON documents one a line, in chunks.

    Holds what `render_array` holds, and raises as it does.
    """
    for batch in batches:
        yield from chunks(map(_render_lines, groups(memoryview(batch))))


def render_document(document: bytes) -> bytes:
    """The text of one stored document, `_id` too, and a newline.

    Raises InternalError for bytes that are not exactly one BSON document.
    """
    whole = memoryview(document)
    if document_length(whole, 0) != len(document):
        raise damaged()
    return _render_group(whole, without_id=False) + b"\n"


def plain_value(value: Value) -> Any:  # noqa: ANN401 - any JSON value
    """The plain JSON value of one BSON value, in types that every JSON writer takes.

    Integers are `int` and doubles `float`, so 1 and 1.0 are told apart by their type alone.
    Raises InternalError for bytes that are no BSON.
    """
    try:
        return _spell(to_python(value))
    except RecursionError:
        raise damaged() from None


def _render_group(group: memoryview, *, without_id: bool) -> bytes:
    """The documents of a group as JSON texts with commas between them."""
    return _dump(_decode(group, without_id=without_id))[1:-1]


def _render_lines(group: memoryview) -> bytes:
    # Not joined from a list: so many small texts at one time would tear the heap into pieces.
    lines = bytearray()
    for each in _decode(group, without_id=False):
        lines += _dump(each)
        lines += b"\n"
    return bytes(lines)


def _decode(group: memoryview, *, without_id: bool) -> list[Any]:
    """The documents of a group in what orjson can spell, with `_spell_other`."""
    try:
        documents: list[Any] = bson.decode_all(group, CODEC)
    except (BSONError, ValueError, TypeError, OverflowError, RecursionError):
        raise damaged() from None
    if without_id:
        for each in documents:
            each.pop("_id", None)
    if _NOT_FINITE.search(group):
        return [_spell(each) for each in documents]
    return documents


def _dump(value: Any) -> bytes:  # noqa: ANN401 - documents, or one
    try:
        return orjson.dumps(value, default=_spell_other, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # Deeper than orjson's 254 levels, which MongoDB's own limit of about 180 forbids.
        return _render_deep(value)


def _render_deep(value: Any) -> bytes:  # noqa: ANN401 - documents, or one
    try:
        return json.dumps(_spell(value), ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError:
        raise damaged() from None


def _spell(value: Any) -> Any:  # noqa: ANN401 - any BSON value, any JSON value
    """A value in plain types that every JSON writer takes, all the way down."""
    if type(value) is dict:
        return {key: _spell(child) for key, child in value.items()}
    if type(value) is list:
        return [_spell(child) for child in value]
    if type(value) is float and not math.isfinite(value):
        return json_util.default(value, json_util.RELAXED_JSON_OPTIONS)
    return _spell(_spell_other(value)) if type(value) in _SPELLINGS else value


def _spell_other(value: Any) -> Any:  # noqa: ANN401 - any BSON value, any JSON value
    """One step of spelling for a type that orjson leaves to us."""
    return _SPELLINGS[type(value)](value)


def _spell_date(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds") + "Z"


def _spell_binary(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _spell_reference(value: DBRef) -> dict[str, Any]:
    return dict(value.as_doc())


def _spell_extended(value: object) -> object:
    return json_util.default(value, json_util.RELAXED_JSON_OPTIONS)


_SPELLINGS: dict[type, Callable[[Any], object]] = {
    ObjectId: str,
    Int64: int,
    datetime: _spell_date,
    Decimal128: str,
    bytes: _spell_binary,
    Binary: _spell_binary,
    DBRef: _spell_reference,
    DatetimeMS: _spell_extended,
    Regex: _spell_extended,
    Code: _spell_extended,
    Timestamp: _spell_extended,
    MinKey: _spell_extended,
    MaxKey: _spell_extended,
}
