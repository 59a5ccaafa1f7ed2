"""Which values of BSON can be an `_id` here: those that MongoDB takes and a URL can name."""

from __future__ import annotations

from demijohn.formats.bson_values import (
    ARRAY,
    BOOLEAN,
    DOCUMENT,
    NULL,
    REGEX,
    UNDEFINED,
    Value,
    elements,
)

LONGEST_ID = 1024
"""Bytes of an `_id` as JSON; percent-encoded it is three times that, and must fit a header."""
_NO_IDS = frozenset((NULL, BOOLEAN, ARRAY, REGEX, UNDEFINED))
_HOLDS_MEMBERS = frozenset((DOCUMENT, ARRAY))


def id_refusal(value: Value) -> str | None:
    """Why a value can be no `_id`, in words for the client; None where it can.

    MongoDB refuses arrays, regular expressions, the old Undefined, and objects in which a key
    starts with `$`, references (DBRef) among them; null and booleans are refused here. Raises
    InternalError for bytes that are no BSON.
    """
    if value.kind in _NO_IDS:
        return "An _id is no null, boolean, array or regular expression."
    if _has_operator(value):
        return "In an _id no key may start with $."
    return None


def _has_operator(value: Value) -> bool:
    pending = [value]
    while pending:
        each = pending.pop()
        if each.kind not in _HOLDS_MEMBERS:
            continue
        for name, child in elements(each.payload):
            if name.startswith("$"):
                return True
            pending.append(child)
    return False
