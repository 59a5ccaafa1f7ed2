"""What is wrong with a JSON text that parses, and where: the careful half of reading documents.

The parser behind `json_text` is fast because it does not look back: it turns an integer past 64
bits into a float, has no opinion of keys, and calls a number past the largest double a syntax
error. The functions here tell cheaply whether a text may hold such a thing (no false "no"), and
only then find it, with a JSON Pointer (RFC 6901) to each place.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from demijohn.errors import Fault

LEVELS = 100
"""The deepest nesting that is kept; the document itself is level 1."""
MOST_FAULTS = 20
LONGEST_POINTER = 1_000
"""Characters. A key may be as long as the body; a fault below it is told of its parent."""
LEAST_INTEGER = -(2**63)
LARGEST_INTEGER = 2**63 - 1

DEEP = f"It is nested deeper than {LEVELS} levels."
NUL_KEY = "A key may not contain the character U+0000."
DOLLAR_KEY = (
    "A key may not start with $ in plain JSON. Types such as $date are read in application/ejson, "
    "operators such as $set in a PATCH of application/vnd.mongodb.update+json."
)
_WIDE_INTEGER = "The integer does not fit into 64 bits, signed."
_INFINITE = "The number is too large for a double (IEEE 754, 64 bits)."

_DIGITS_OF_LARGEST = 19
_LONGEST_INTEGER = 20
"""Characters of the least 64-bit integer, with its sign."""
_DIGITS_SHOWN = bytes(0x30 if 0x30 <= each <= 0x39 else 0x20 for each in range(256))  # noqa: PLR2004 - "0" to "9"
_DIGIT_RUN = b"0" * _DIGITS_OF_LARGEST
# Its end may be missing: a text with a string left open is searched in one pass like any other.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+'
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+])-?[0-9]{19,}+(?![.eE])")
# A quote behind a backslash begins no key; to start there too would make the search quadratic.
_KEY_WITH_DOLLAR = re.compile(rb'(?<!\\)"\$[^"\\]*+(?:\\.[^"\\]*+)*+"[ \t\r\n]*+:', re.DOTALL)
_STRING_OR_NUMBER = re.compile(_STRING + rb"|-?[0-9][0-9.eE+-]*+", re.DOTALL)
_STRING_OR_BRACKET = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_STRING_PATTERN = re.compile(_STRING, re.DOTALL)
_CLOSER_OF = {b"[": b"]", b"{": b"}"}
_CLOSERS = frozenset(_CLOSER_OF.values())


@dataclass(frozen=True, slots=True)
class Unkept:
    """Stands in a parsed value for a number that cannot be kept."""

    detail: str


class _Members(list[tuple[str, object]]):
    """The members of an object with every duplicate key, in the order of the text."""


_CONTAINERS = frozenset((dict, list))
_WALKED = frozenset((dict, list, Unkept))


def may_have_faults(body: bytes) -> bool:
    """Whether `find_faults` is worth its time: a key or an integer looks wrong from afar.

    `body` is JSON that parses. Every body with such a fault gets True; few others do.
    """
    if b"$" in body and _KEY_WITH_DOLLAR.search(body):
        return True
    if b"\\u00" in body and (b"\\u0000" in body or b"\\u0024" in body):
        return True
    return has_wide_integer(body)


def has_wide_integer(body: bytes) -> bool:
    """Whether an integer, or what looks like one in a string, is wider than 64 bits."""
    return _DIGIT_RUN in body.translate(_DIGITS_SHOWN) and any(
        not _fits(found[0]) for found in _LONG_INTEGER.finditer(body)
    )


def find_faults(body: bytes, *, any_keys: bool = False) -> list[Fault]:
    """Up to 20 keys and numbers that cannot be kept, in the order of the text.

    With `any_keys` up to 20 numbers. `body` is JSON that parses, apart from numbers past the
    largest double, and is not nested deeper than `LEVELS`. Of members with the same key only the
    last counts.
    """
    faults = _walk(parse_marked(body), ())
    if any_keys:
        faults = (each for each in faults if each.detail not in (NUL_KEY, DOLLAR_KEY))
    return list(islice(faults, MOST_FAULTS))


def parse_marked(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a text, slowly, with `Unkept` in place of each number that cannot be kept.

    `body` is as `find_faults` takes it.
    """
    return json.loads(body.decode(), parse_int=_integer, parse_float=_double)


def is_deep(value: object, levels: int = LEVELS) -> bool:
    """Whether a parsed value is nested deeper than `levels`."""
    level: list[Any] = [value] if type(value) in _CONTAINERS else []
    for _ in range(levels):
        # Level by level, not down and up: no recursion, and a wide text costs two passes.
        level = [
            child
            for each in level
            for child in (each.values() if type(each) is dict else each)
            if type(child) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def deep_fault(body: bytes) -> Fault | None:
    """The first place below `LEVELS` in a text, found without parsing what lies beyond it.

    None when there is no such place, or when its brackets do not pair up: that is no JSON.
    """
    found = _first_deep(body) if _has_pairs(body) else None
    if found is None:
        return None
    offset, closers = found
    try:
        # Whatever is open there is closed, so the place is the last child all the way down.
        outline = json.loads(body[:offset] + b"0" + closers, object_pairs_hook=_Members)
    except ValueError:
        return None
    return Fault(pointer_to(_last_path(outline)), DEEP)


def without_infinite(body: bytes) -> bytes:
    """The text with each number past the largest double replaced by 0, every offset kept."""
    return _STRING_OR_NUMBER.sub(_zero_if_infinite, body)


def pointer_to(path: Iterable[str | int]) -> str:
    """The JSON Pointer of a path; of as much of it as `LONGEST_POINTER` has room for."""
    pointer = ""
    for step in path:
        token = str(step).replace("~", "~0").replace("/", "~1")
        if len(pointer) + 1 + len(token) > LONGEST_POINTER:
            break
        pointer += "/" + token
    return pointer


def _walk(value: object, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if isinstance(value, Unkept):
        yield Fault(pointer_to(path), value.detail)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _key_faults(key, path)
            if child and type(child) in _WALKED:
                yield from _walk(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if child and type(child) in _WALKED:
                yield from _walk(child, (*path, index))


def _key_faults(key: str, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if key.startswith("$"):
        yield Fault(pointer_to((*path, key)), DOLLAR_KEY)
    if "\0" in key:
        yield Fault(pointer_to((*path, key)), NUL_KEY)


def _fits(text: bytes) -> bool:
    # The length comes first: Python refuses to read integers of thousands of digits.
    return len(text) <= _LONGEST_INTEGER and LEAST_INTEGER <= int(text) <= LARGEST_INTEGER


def _integer(text: str) -> int | Unkept:
    return int(text) if _fits(text.encode()) else Unkept(_WIDE_INTEGER)


def _double(text: str) -> float | Unkept:
    value = float(text)
    return Unkept(_INFINITE) if math.isinf(value) else value


def _zero_if_infinite(found: re.Match[bytes]) -> bytes:
    text = found[0]
    if not text.startswith(b'"') and _NUMBER.fullmatch(text) and math.isinf(float(text)):
        return b"0".ljust(len(text))
    return text


def _first_deep(body: bytes) -> tuple[int, bytes] | None:
    """Offset of the first bracket below `LEVELS`, and what closes all brackets open there."""
    closers = bytearray()
    for match in _STRING_OR_BRACKET.finditer(body):
        bracket = match[0]
        if bracket in _CLOSER_OF:
            if len(closers) == LEVELS:
                return match.start(), bytes(reversed(closers))
            closers += _CLOSER_OF[bracket]
        elif bracket in _CLOSERS and (not closers or closers.pop() != bracket[0]):
            return None
    return None


def _has_pairs(body: bytes) -> bool:
    """Whether as many brackets close as open: a cheap look at a text too deep for the parser."""
    bare = _STRING_PATTERN.sub(b"", body)
    return all(bare.count(left) == bare.count(right) for left, right in _CLOSER_OF.items())


def _last_path(outline: object) -> Iterator[str | int]:
    while isinstance(outline, list) and outline:
        if isinstance(outline, _Members):
            key, outline = outline[-1]
            yield key
        else:
            yield len(outline) - 1
            outline = outline[-1]
