"""What a patch gives in plain JSON, as BSON; and which values are the same in plain JSON."""

from __future__ import annotations

from typing import Any

from bson.errors import BSONError

from demijohn.formats.bson_values import Node, Value, close_node, from_python
from demijohn.formats.json_faults import DEEP, NUL_KEY, is_deep
from demijohn.formats.plain_out import plain_value
from demijohn.patches.faults import Unfit, refusal

_DOLLAR = "A key may not start with $ in plain JSON."
_NO_BSON = "The value has no BSON spelling."


def from_json(value: object) -> Value:
    """The BSON value of a parsed plain JSON value, as documents in plain JSON are read.

    Raises InvalidPatch, with a pointer, for nesting past 100 levels, for a key that starts with
    `$` or holds U+0000, and for an integer past 64 bits.
    """
    try:
        return encoded(value, ())
    except Unfit as error:
        raise refusal(error.detail, error.member) from None


def encoded(value: object, place: tuple[str | int, ...]) -> Value:
    """The same for the value at this place in an operation. Raises Unfit, which names the place."""
    if is_deep(value):
        raise Unfit(DEEP, place)
    _check_keys(value, place)
    try:
        return from_python(value)
    except (BSONError, OverflowError, UnicodeError, RecursionError):
        raise Unfit(_NO_BSON, place) from None


def same(left: Any, right: Any) -> bool:  # noqa: ANN401 — any JSON value
    """Whether two JSON values are equal as RFC 6902, section 4.6, has it.

    Numbers by their value and exactly, whatever their type, and never equal to a boolean; strings
    by code points; arrays in order, objects in any.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def same_plain(left: Node, right: Node) -> bool:
    """Whether two BSON values are equal in their plain spelling, the one that clients read."""
    return left == right or same(plain_value(close_node(left)), plain_value(close_node(right)))


def _check_keys(value: object, place: tuple[str | int, ...]) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            below = (*place, key)
            if key.startswith("$"):
                raise Unfit(_DOLLAR, below)
            if "\0" in key:
                raise Unfit(NUL_KEY, below)
            _check_keys(child, below)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _check_keys(child, (*place, index))
