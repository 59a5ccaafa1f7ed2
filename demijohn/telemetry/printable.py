"""Text that others wrote, before it is shown: nothing in it moves a cursor or begins a line.

A terminal obeys control characters (ECMA-48: C0, DEL, and C1 in UTF-8 too), readers of lines
break at U+0085, U+2028 and U+2029, and bidirectional overrides turn what follows around (CVE-2021-
42574). None of these is printable in the terms of the Unicode database, which are Python's.
"""

from __future__ import annotations

import re

_DELETE = b"\x7f"
_SUSPECTS = re.compile(r"[^ -~\n]")


def printable(text: str) -> str:
    """The text on one line, each character that is not to be seen as its escape in Python."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def printable_json(text: bytes) -> bytes:
    """JSON of the same value, printable but for its line ends; orjson leaves no C0 in strings."""
    if text.isascii() and _DELETE not in text:
        return text
    return _SUSPECTS.sub(_as_in_json, text.decode()).encode()


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _as_in_json(match: re.Match[str]) -> str:
    """The character itself, or as RFC 8259, section 7, spells it: UTF-16 in hexadecimal."""
    character = match[0]
    if character.isprintable():
        return character
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
