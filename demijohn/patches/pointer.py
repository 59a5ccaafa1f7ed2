"""JSON Pointer (RFC 6901): a path into a document, as text and as its reference tokens."""

from __future__ import annotations

import re

from demijohn.patches.faults import Unfit

END = "-"
"""The token for the place after an array's last element (RFC 6901, section 4)."""
_WRONG_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]*+")
_MOST_DIGITS = 9
"""Digits of the largest position that an array of 16 MiB could have, and some to spare."""


def parse(text: str) -> tuple[str, ...]:
    """The reference tokens of a pointer, none for the whole document.

    Raises Unfit where the text is no pointer: it does not start with `/`, or `~` stands before
    anything but 0 and 1.
    """
    if text and not text.startswith("/"):
        raise Unfit('A JSON Pointer is empty or starts with "/".')
    if _WRONG_ESCAPE.search(text):
        raise Unfit('In a JSON Pointer "~" is written "~0", and "/" inside a key "~1".')
    # "~01" is "~1" and not "/": the order of the two is the standard's.
    return tuple(each.replace("~1", "/").replace("~0", "~") for each in text.split("/")[1:])


def position(token: str, length: int) -> int:
    """The position of an element that an array of so many has. Raises Unfit where it has none."""
    if token == END:
        raise Unfit('"-" is the place after the last element of an array: nothing is there.')
    at = _index(token)
    if at >= length:
        raise Unfit(f"The array has {length:,} elements, counted from 0; there is none at {at}.")
    return at


def place(token: str, length: int) -> int:
    """Where an array of so many elements takes a new one: at most at its end. Raises Unfit."""
    at = length if token == END else _index(token)
    if at > length:
        raise Unfit(f"The array has {length:,} elements; a new one cannot have the place {at}.")
    return at


def _index(token: str) -> int:
    if not _INDEX.fullmatch(token):
        raise Unfit('A position in an array is written in digits, without leading zeros, or "-".')
    if len(token) > _MOST_DIGITS:
        raise Unfit("No array has so many elements.")
    return int(token)
