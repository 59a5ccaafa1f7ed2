"""What a patch gives in plain JSON, as BSON; and which values are the same in plain JSON."""

from __future__ import annotations

from typing import Any

from bson.errors import BSONError

from demijohn.formats.bson_values import Node, Value, close_node, from_python
from demijohn.formats.json_faults import DOLLAR_KEY, NUL_KEY
from demijohn.formats.plain_out import plain_value
from demijohn.patches.faults import Unfit

_NO_BSON = "The value has no BSON spelling."


def encoded(value: object, place: tuple[str | int, ...]) -> Value:
    """The BSON of a plain JSON value that `parse_value` has let through with any keys.

    Raises Unfit, which names the place within the operation, for a key that starts with `$` or
    holds U+0000.
    """
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
                raise Unfit(DOLLAR_KEY, below)
            if "\0" in key:
                raise Unfit(NUL_KEY, below)
            _check_keys(child, below)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _check_keys(child, (*place, index))
