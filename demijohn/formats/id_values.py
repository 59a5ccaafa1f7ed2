"""Which values of BSON can be an `_id` here: those that MongoDB takes and a URL can name."""

from __future__ import annotations

import re

from demijohn.formats.bson_values import (
    ARRAY,
    BOOLEAN,
    CODE_WITH_SCOPE,
    DB_POINTER,
    DOCUMENT,
    NULL,
    REGEX,
    SYMBOL,
    UNDEFINED,
    Value,
    elements,
    to_python,
)
from demijohn.formats.extended_out import render_value
from demijohn.formats.json_faults import DEEP, LEVELS, is_deep

HEX_ID = re.compile(r"[0-9A-Fa-f]{24}")
"""An ObjectId in plain JSON and in a URL."""
LONGEST_ID = 1024
"""Bytes of an `_id` as canonical Extended JSON; percent-encoded it is up to three times that, and
must fit a header."""
_NO_IDS = frozenset((NULL, BOOLEAN, ARRAY, REGEX, UNDEFINED))
_OLD_IDS = frozenset((SYMBOL, DB_POINTER, CODE_WITH_SCOPE))
"""Deprecated in BSON. A symbol equals the string of the same letters, to MongoDB."""
_HOLDS_MEMBERS = frozenset((DOCUMENT, ARRAY))


def id_refusal(value: Value) -> str | None:
    """Why a value can be no `_id`, in words for the client; None where it can.

    MongoDB refuses arrays, regular expressions, the old Undefined, and objects in which a key
    starts with `$`, references (DBRef) among them; null and booleans are refused here. Raises
    InternalError for bytes that are no BSON.
    """
    if value.kind in _NO_IDS:
        return "An _id is no null, boolean, array or regular expression."
    if value.kind in _OLD_IDS:
        return "An _id is of none of BSON's old types: symbol, DBPointer, code with scope."
    if _has_operator(value):
        return "In an _id no key may start with $."
    return None


def new_id_refusal(value: Value) -> str | None:
    """The same for the `_id` of a document that is to be stored, which is also bounded."""
    refusal = id_refusal(value)
    if refusal is None and value.kind == DOCUMENT and is_deep(to_python(value), LEVELS - 1):
        return DEEP
    if refusal is None and len(render_value(value, canonical=True)) > LONGEST_ID:
        refusal = f"An _id is at most {LONGEST_ID:,} bytes long, as JSON: it becomes a URL."
    return refusal


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
