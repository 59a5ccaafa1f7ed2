"""A document's `_id` as one segment of a URL's path, and back.

======================  ==============================================================
`_id`                   segment, before percent-encoding
======================  ==============================================================
ObjectId                its 24 hex digits
a string                itself
a string that would be  a JSON string, in quotes: 24 hex digits; what starts with `{`
taken for another       or `"`; empty, `.` and `..`, which are no segments of a path
any other value         canonical MongoDB Extended JSON v2, which starts with `{`
======================  ==============================================================

No two ids share a segment. Numbers are exact in their type (`{"$numberInt":"5"}` is not
`{"$numberDouble":"5.0"}`), though to MongoDB equal numbers are one and the same `_id`.
"""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import quote

from demijohn.errors import BadParameter, InvalidDocument, MalformedJson
from demijohn.formats.bson_values import LENGTH, OBJECT_ID, STRING, Value
from demijohn.formats.extended_in import parse_extended_id
from demijohn.formats.extended_out import render_value
from demijohn.formats.extended_types import string
from demijohn.formats.id_values import HEX_ID, id_refusal

_NO_SEGMENTS = ("", ".", "..")


class Unaddressable(ValueError):
    """An id that no path can name: what MongoDB or this service takes as no `_id`.

    Or one that has no spelling of its own in Extended JSON, such as bytes that are no UTF-8.
    """


def to_segment(document_id: Value) -> str:
    """The percent-encoded path segment of an id. Raises Unaddressable, InternalError."""
    if document_id.kind == OBJECT_ID:
        return document_id.payload.hex()
    refusal = id_refusal(document_id)
    if refusal is not None:
        raise Unaddressable(refusal)
    text = _spell(document_id)
    if not _is_exact(text, document_id):
        raise Unaddressable("The id has no spelling of its own in Extended JSON.")
    return quote(text, safe="")


def from_segment(segment: str) -> Value:
    """The id that a segment, already percent-decoded, names, with its exact type.

    Any Extended JSON that `extended_in` reads is read, relaxed forms too. Raises BadParameter for
    a segment that names no id; operators (`{"$gt":""}`) and regular expressions are among them, so
    that the result can stand in a filter and match by equality alone, and so is what is nested
    deeper than a document may be.
    """
    if segment in _NO_SEGMENTS:
        _refuse()
    try:
        return _read(segment)
    except (MalformedJson, InvalidDocument, UnicodeEncodeError):
        _refuse()


def _spell(document_id: Value) -> str:
    if document_id.kind == STRING:
        text = document_id.payload[LENGTH.size : -1].decode("utf-8", "replace")
        if not _misleads(text):
            return text
    return render_value(document_id, canonical=True).decode()


def _is_exact(text: str, document_id: Value) -> bool:
    """Whether the spelling is that of no other id."""
    try:
        return _read(text) == document_id
    except InvalidDocument:  # deeper than what is read
        return False


def _misleads(text: str) -> bool:
    """Whether a string as a segment would be taken for something else."""
    return text in _NO_SEGMENTS or text.startswith(("{", '"')) or HEX_ID.fullmatch(text) is not None


def _read(segment: str) -> Value:
    """The value that a segment spells. Raises MalformedJson, InvalidDocument, UnicodeError."""
    if HEX_ID.fullmatch(segment):
        return Value(OBJECT_ID, bytes.fromhex(segment))
    if segment.startswith(("{", '"')):
        return parse_extended_id(segment.encode())
    return string(segment)


def _refuse() -> NoReturn:
    raise BadParameter(
        "The last part of the path is no id: 24 hex digits are an ObjectId, what starts with "
        '{ or " is Extended JSON, anything else is a string.'
    )
