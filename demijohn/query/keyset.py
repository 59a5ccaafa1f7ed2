"""What follows a position in a sort, as a sequence of ranges.

A page after a position is made of the documents that are equal to it in all keys but the last and
later in that, then of those that are equal in all but the last two and later in the last but one,
and so on. "Later" is in its turn: later among values that compare with it, and then whatever type
comes later (MongoDB manual, "Comparison/Sort Order"), since `$gt` and its kin meet values of their
own type bracket alone. Each range is a conjunction, whose bounds an index finds at once; an `$or`
of them would have the database look through what came before. The ranges do not overlap, so that a
document which does not change is in exactly one of them, whatever others do in the meantime.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import MappingProxyType

from bson.decimal128 import Decimal128

from demijohn.formats.bson_values import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL128,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    MAX_KEY,
    MIN_KEY,
    NULL,
    OBJECT_ID,
    STRING,
    TIMESTAMP,
    Node,
    Value,
    encode,
    from_python,
    to_python,
)
from demijohn.formats.extended_types import string
from demijohn.query.cursor import Position
from demijohn.query.filters import Filter, all_of
from demijohn.query.sort import ASCENDING, Sort

_TYPES = (
    *("minKey", "null", "number", "string", "symbol", "object", "binData", "objectId", "bool"),
    *("date", "timestamp", "regex", "dbPointer", "javascript", "javascriptWithScope", "maxKey"),
)
"""Names of types in their order."""
_NAMES = MappingProxyType(
    {
        MIN_KEY: "minKey",
        NULL: "null",
        INT32: "number",
        INT64: "number",
        DOUBLE: "number",
        DECIMAL128: "number",
        STRING: "string",
        DOCUMENT: "object",
        BINARY: "binData",
        OBJECT_ID: "objectId",
        BOOLEAN: "bool",
        DATE: "date",
        TIMESTAMP: "timestamp",
        MAX_KEY: "maxKey",
    }
)
_ALONE = frozenset((MIN_KEY, NULL, MAX_KEY))
"""Types with one value."""
_NULL, _MIN = Value(NULL, b""), Value(MIN_KEY, b"")
_NAN, _LEAST = from_python(math.nan), from_python(-math.inf)
_ARRAY: Node = {"$type": string("array")}
"""An array stands where one of its elements does; a page that meets one is refused, and so no range
may pass over it."""


def after(position: Position, sort: Sort) -> Iterator[Filter]:
    """The ranges that follow a position, in the order of the sort."""
    keys = list(zip(sort.keys, position.values, strict=True))
    while keys:
        (path, direction), value = keys.pop()
        same = [_condition(each, {"$eq": equal}) for (each, _), equal in keys]
        for later in _later(value, direction):
            yield all_of(*same, _condition(path, later))


def _condition(path: str, condition: Node) -> Filter:
    return Filter(encode({path: condition}))


def _later(value: Value, direction: int) -> Iterator[Node]:
    """Conditions for what is later than a value, in their order."""
    if direction == ASCENDING:
        yield from _greater(value)
    else:
        yield from _less(value)


def _greater(value: Value) -> Iterator[Node]:
    if _is_nan(value):
        # The least of the numbers, but to `$gt` no number at all.
        yield {"$gte": _LEAST}
    elif value.kind not in _ALONE:
        yield {"$gt": value}
    if value.kind == MIN_KEY:
        yield {"$eq": _NULL}
    at = max(_TYPES.index(_NAMES[value.kind]), _TYPES.index("null"))
    yield _of_types(_TYPES[_last_of_bracket(at) + 1 :])


def _less(value: Value) -> Iterator[Node]:
    """As `_greater`; a missing field is null here too, which `$type` does not know."""
    is_number = _NAMES[value.kind] == "number"
    if value.kind not in _ALONE and not _is_nan(value):
        yield {"$lt": value}
    below = _TYPES[_TYPES.index("number") : _TYPES.index(_NAMES[value.kind])]
    rest = [_NULL, _MIN] if value.kind != NULL else [_MIN]
    if value.kind == MIN_KEY:
        return
    if below:
        yield _of_types(below)
    elif is_number and not _is_nan(value):
        rest = [_NAN, *rest]
    yield {"$in": list(rest)}
    if not below:
        yield _ARRAY


def _last_of_bracket(at: int) -> int:
    """Strings and symbols compare with each other."""
    return at + 1 if _TYPES[at] == "string" else at


def _of_types(names: tuple[str, ...]) -> Node:
    return {"$type": [string(name) for name in (*names, "array")]}


def _is_nan(value: Value) -> bool:
    if value.kind not in (DOUBLE, DECIMAL128):
        return False
    number = to_python(value)
    if isinstance(number, Decimal128):
        return number.to_decimal().is_nan()
    return math.isnan(number)
