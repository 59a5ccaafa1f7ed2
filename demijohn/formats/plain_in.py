"""Plain JSON on its way in: the text of one document to BSON, or why not.

"Plain" means that nothing is guessed: a string stays a string, whatever it looks like. The one
exception is `_id`, where 24 hex digits are an ObjectId, as they are in a URL.

What is refused is what could not be read back unchanged (`InvalidDocument`) and what is no JSON
by RFC 8259 (`MalformedJson`). Of members with the same key the last wins, in the place of the
first, as in most parsers; the standard leaves it open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import bson
import orjson
from bson.errors import BSONError
from bson.objectid import ObjectId

from demijohn.errors import Fault, InvalidDocument, MalformedJson, TooLarge
from demijohn.formats import json_faults
from demijohn.settings import LARGEST_DOCUMENT

LONGEST_ID = 1024
"""Bytes of an `_id` as JSON; percent-encoded it is three times that, and must fit a header."""
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_HEX_ID = re.compile(r"[0-9A-Fa-f]{24}")
_PARSER_LEVELS = 1_000
"""The parser's own limit is a little above; a text below this many levels never meets it."""

DocumentId: TypeAlias = ObjectId | str | int | float | dict[str, Any]
"""What plain JSON can give as `_id`."""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document that can be kept: its fields in their order, `_id` set apart.

    `id` is None when the client gave none. A client can't give null: that is refused.
    """

    fields: dict[str, Any]
    id: DocumentId | None


def parse_document(body: bytes) -> ParsedDocument:
    """Parse the text of one JSON object.

    Raises MalformedJson, with the members `line` and `column` (in characters, from 1), for
    what is not JSON in UTF-8; InvalidDocument, with up to 20 pointers, for JSON that is not an
    object, is nested deeper than 100 levels (then the first such place is the only fault told),
    has a key that starts with `$` or holds U+0000, an integer outside signed 64 bits, a number
    that no double can hold, or an `_id` that no URL can name (null, a boolean, an array, more than
    1,024 bytes).
    """
    try:
        value = orjson.loads(body)
        suspicious = False
    except orjson.JSONDecodeError as error:
        value = _parse_again(body, error.pos)
        suspicious = True
    if body.count(b"[") + body.count(b"{") > json_faults.LEVELS and json_faults.is_deep(value):
        raise _invalid([json_faults.deep_fault(body) or Fault("", json_faults.DEEP)])
    if type(value) is not dict:
        raise _invalid([Fault("", "A document is a JSON object; this is none.")])
    id_fault = _id_fault(value)
    if suspicious or id_fault or json_faults.may_have_faults(body):
        faults = json_faults.find_faults(body) + id_fault
        if faults:
            raise _invalid(faults[: json_faults.MOST_FAULTS])
    return ParsedDocument(id=_take_id(value), fields=value)


def encode(parsed: ParsedDocument, document_id: object) -> bytes:
    """BSON of the document under the given id: `_id` first, then the fields in their order.

    Raises TooLarge past the 16 MiB that MongoDB takes, InvalidDocument for what BSON refuses.
    """
    try:
        raw = bson.encode({"_id": document_id, **parsed.fields})
    except (BSONError, OverflowError, UnicodeError, RecursionError):
        raise _invalid([Fault("", "The document has no BSON spelling.")]) from None
    if len(raw) > LARGEST_DOCUMENT:
        raise TooLarge(
            f"The document is {len(raw):,} bytes of BSON; MongoDB takes {LARGEST_DOCUMENT:,}."
        )
    return raw


def _invalid(faults: list[Fault]) -> InvalidDocument:
    more = f" There are more faults: `errors` lists {len(faults)}." if len(faults) > 1 else ""
    return InvalidDocument(faults[0].detail + more, faults=tuple(faults))


def _id_fault(document: dict[str, Any]) -> list[Fault]:
    given = document.get("_id", "")
    if isinstance(given, bool | list | None):
        return [Fault("/_id", "An _id is a string, a number or an object.")]
    if isinstance(given, str | dict) and len(orjson.dumps(given)) > LONGEST_ID:
        return [Fault("/_id", f"An _id is at most {LONGEST_ID:,} bytes long: it becomes a URL.")]
    return []


def _take_id(document: dict[str, Any]) -> DocumentId | None:
    given: DocumentId | None = document.pop("_id", None)
    if type(given) is str and _HEX_ID.fullmatch(given):
        return ObjectId(given)
    return given


def _parse_again(body: bytes, stopped_at: int) -> object:
    """The value of a text that the parser refused for a number or for its depth.

    Raises InvalidDocument for too deep a text, MalformedJson for every other.
    """
    text = _decode(body)
    if body.count(b"[") + body.count(b"{") > _PARSER_LEVELS:
        fault = json_faults.deep_fault(body)
        if fault:
            raise _invalid([fault])
    if text[stopped_at : stopped_at + 1] not in set("-0123456789"):
        raise _malformed(text, stopped_at)
    try:
        return orjson.loads(json_faults.without_infinite(body))
    except orjson.JSONDecodeError as error:
        raise _malformed(text, error.pos) from None


def _decode(body: bytes) -> str:
    """The text of a body. Raises MalformedJson where there is none."""
    if not body.strip(_BLANK):
        raise _refusal("The body is empty; a JSON object is expected.", 1, 1)
    if body.startswith(_BOM):
        raise _refusal("The body starts with a byte order mark, which JSON must not.", 1, 1)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        before = body[: error.start].decode()
        line, column = _place(before)
        detail = f"The body is not UTF-8: a wrong byte at line {line}, column {column}."
        raise _refusal(detail, line, column) from None


def _malformed(text: str, offset: int) -> MalformedJson:
    line, column = _place(text[:offset])
    what = _reason(text[offset : offset + 1])
    detail = f"The body is not JSON: {what} at line {line}, column {column}."
    return _refusal(detail, line, column)


def _reason(character: str) -> str:
    if not character:
        return "it ends too early,"
    if character == "\\":
        return "a wrong escape, or half of a surrogate pair,"
    if character < " ":
        return "a bare control character"
    if character in "+-.0123456789":
        return "a wrong number, or one in the wrong place,"
    return f"an unexpected {character}"


def _place(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows the given text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _refusal(detail: str, line: int, column: int) -> MalformedJson:
    return MalformedJson(detail, extra={"line": line, "column": column})
