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

import json
import re
from typing import NoReturn
from urllib.parse import quote

import bson
from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.dbref import DBRef
from bson.errors import BSONError
from bson.json_util import JSONMode, JSONOptions
from bson.objectid import ObjectId
from bson.regex import Regex

from demijohn.errors import BadParameter
from demijohn.formats.json_faults import is_deep

_HEX_ID = re.compile(r"[0-9A-Fa-f]{24}")
_NO_SEGMENTS = ("", ".", "..")
_EXTENDED = JSONOptions(
    json_mode=JSONMode.CANONICAL,
    tz_aware=False,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)


class Unaddressable(ValueError):
    """An id that no path can name: null, a boolean, and what MongoDB takes as no `_id`."""


def to_segment(document_id: object) -> str:
    """The percent-encoded path segment of an id.

    Raises Unaddressable for null, booleans, arrays, regular expressions, and objects with a key
    that starts with `$`, references (DBRef) among them: MongoDB refuses all but the first two
    as `_id`, and the API those.
    """
    if not _is_addressable(document_id):
        raise Unaddressable(f"a {type(document_id).__name__} is no _id that a path can name")
    return quote(_spell(document_id), safe="")


def from_segment(segment: str) -> object:
    """The id that a segment, already percent-decoded, names.

    Any Extended JSON is read, relaxed and older forms too. Raises BadParameter for a segment
    that names no id; operators (`{"$gt":""}`) and regular expressions are among them, so that
    the result can stand in a filter and match by equality alone, and so is what is nested
    deeper than a document may be.
    """
    if _HEX_ID.fullmatch(segment):
        return ObjectId(segment)
    document_id = _parse(segment) if segment.startswith(("{", '"')) else segment
    if segment in _NO_SEGMENTS or is_deep(document_id) or not _is_addressable(document_id):
        _refuse()
    try:
        bson.encode({"_id": document_id})
    except (BSONError, OverflowError, UnicodeError, RecursionError):
        _refuse()
    return document_id


def _spell(document_id: object) -> str:
    if type(document_id) is ObjectId:
        return str(document_id)
    if type(document_id) is str:
        return (
            json.dumps(document_id, ensure_ascii=False) if _misleads(document_id) else document_id
        )
    return json_util.dumps(
        document_id, json_options=_EXTENDED, ensure_ascii=False, separators=(",", ":")
    )


def _misleads(text: str) -> bool:
    """Whether a string as a segment would be taken for something else."""
    return (
        text in _NO_SEGMENTS or text.startswith(("{", '"')) or _HEX_ID.fullmatch(text) is not None
    )


def _parse(segment: str) -> object:
    try:
        return json_util.loads(segment, json_options=_EXTENDED, parse_constant=_refuse)
    except (BSONError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        _refuse()


def _refuse(_constant: str = "") -> NoReturn:
    raise BadParameter(
        "The last part of the path is no id: 24 hex digits are an ObjectId, what starts with "
        '{ or " is Extended JSON, anything else is a string.'
    )


def _is_addressable(document_id: object) -> bool:
    if document_id is None or isinstance(document_id, bool | list | tuple | Regex):
        return False
    return not _has_operator(document_id)


def _has_operator(value: object) -> bool:
    """Whether a key that starts with `$` is anywhere in the value."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, DBRef):
            return True
        if isinstance(each, dict):
            if any(key.startswith("$") for key in each):
                return True
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)
    return False
