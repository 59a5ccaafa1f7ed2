"""The text of a request's body to the values of JSON, or where it is no JSON (RFC 8259).

What every format has in common that reads documents: the fast parser, and the careful look at a
text that it refuses.
"""

from __future__ import annotations

from typing import Any

import orjson

from demijohn.errors import Fault, InvalidDocument, MalformedJson
from demijohn.formats import json_faults

NO_OBJECT = Fault("", "A document is a JSON object; this is none.")
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_PARSER_LEVELS = 1_000
"""The parser's own limit is a little above; a text below this many levels never meets it."""


def parse_text(body: bytes) -> tuple[Any, bool]:
    """The value of a text, and whether its numbers are exact.

    They are not where one is too large for a double; 0 stands in its place, and
    `json_faults.parse_marked` finds it. That an integer is wider than 64 bits does not show here.
    Raises MalformedJson, with the members `line` and `column` (in characters, from 1), for what is
    not JSON in UTF-8; InvalidDocument for a text too deep for the parser.
    """
    try:
        return orjson.loads(body), True
    except orjson.JSONDecodeError as error:
        return _parse_again(body, error.pos), False


def invalid(faults: list[Fault]) -> InvalidDocument:
    """The problem of a document with these faults; its detail is the first one's."""
    more = f" There are more faults: `errors` lists {len(faults)}." if len(faults) > 1 else ""
    return InvalidDocument(faults[0].detail + more, faults=tuple(faults))


def _parse_again(body: bytes, stopped_at: int) -> object:
    """The value of a text that the parser refused for a number or for its depth.

    Raises InvalidDocument for too deep a text, MalformedJson for every other.
    """
    text = _decode(body)
    if body.count(b"[") + body.count(b"{") > _PARSER_LEVELS:
        fault = json_faults.deep_fault(body)
        if fault:
            raise invalid([fault])
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
