"""What follows a position in a sort, as a sequence of ranges.

A page after a position is made of the documents that are equal to it in all keys but the last and
later in that, then of those that are equal in all but the last two and later in the last but one,
and so on. "Later" is in its turn: later among values that compare with it, and then whatever type
comes later (MongoDB manual, "Comparison/Sort Order"), since `$gt` and its kin meet values of their
own type bracket alone. Each range is a conjunction, whose bounds an index finds at once; an `$or`
of them would have the database look through what came before. The ranges do not overlap, so that a
document which does not change is in exactly one of them, whatever others do in the meantime.

An array stands where one of its elements does, and the empty array below null: a range meets it by
the same conditions, and the page that it is on is refused. The one array that no range may meet is
that which holds nothing but arrays: `$type: "array"` would find it, and read the whole index.
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
    INT64_BYTES,
    LENGTH,
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
from demijohn.query.paths import ID
from demijohn.query.sort import ASCENDING, Sort

_ABOVE_NULL = (
    *("number", "string", "symbol", "object", "binData", "objectId", "bool", "date", "timestamp"),
    *("regex", "dbPointer", "javascript", "javascriptWithScope", "maxKey"),
)
"""Names of the types above null, in their order."""
_BELOW_NULL = ("minKey", "undefined")
_NAMES = MappingProxyType(
    {
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
_NULL, _MIN, _MAX = Value(NULL, b""), Value(MIN_KEY, b""), Value(MAX_KEY, b"")
_NAN, _LEAST = from_python(math.nan), from_python(-math.inf)
_EMPTY: Node = []
_YEAR_1 = -62_135_596_800_000
"""Milliseconds from 1970 to the first date that the embedded database knows."""
_LEAST_VALUES = MappingProxyType(
    {
        "number": _LEAST,
        "string": string(""),
        "object": Value(DOCUMENT, encode({})),
        "binData": Value(BINARY, LENGTH.pack(0) + b"\0"),
        "objectId": Value(OBJECT_ID, bytes(12)),
        "bool": Value(BOOLEAN, b"\0"),
        "date": Value(DATE, INT64_BYTES.pack(_YEAR_1)),
        "timestamp": Value(TIMESTAMP, bytes(8)),
    }
)
"""The least value of each type that is common in a sort, or almost."""


def after(position: Position, sort: Sort) -> Iterator[Filter]:
    """The ranges that follow a position, in the order of the sort."""
    keys = list(zip(sort.keys, position.values, strict=True))
    while keys:
        (path, direction), value = keys.pop()
        same = [_equal(each, equal) for (each, _), equal in keys]
        later = _greater if direction == ASCENDING else _less
        for range_ in later(path, value):
            yield all_of(*same, range_)


def _on(path: str, *conditions: Node) -> Filter:
    return all_of(*(Filter(encode({path: condition})) for condition in conditions))


def _equal(path: str, value: Value) -> Filter:
    return _absent(path) if value == _NULL else _on(path, {"$eq": value})


def _greater(path: str, value: Value) -> Iterator[Filter]:
    """What comes after a value, ascending."""
    if value == _MIN:
        if path != ID:
            yield _on(path, {"$eq": _EMPTY})
            yield _of_types(path, ("undefined",))
        yield _absent(path)
    if value in (_MIN, _NULL):
        yield _of_types(path, _ABOVE_NULL)
        return
    if _is_nan(value):
        # The least of the numbers, but to `$gt` no number at all.
        yield _on(path, {"$gte": _LEAST})
    elif value != _MAX:
        yield _on(path, {"$gt": value})
    above = _ABOVE_NULL[_ABOVE_NULL.index(_NAMES[value.kind]) + 1 :]
    if _NAMES[value.kind] == "string":
        above = above[1:]  # a symbol compares with a string
    if above:
        yield _of_types(path, above)


def _less(path: str, value: Value) -> Iterator[Filter]:
    """What comes after a value, descending."""
    if value == _MIN:
        return
    single = [] if value == _NULL else [_NULL]
    if value != _NULL:
        is_nan = _is_nan(value)
        if value != _MAX and not is_nan:
            yield _on(path, {"$lt": value})
        below = _ABOVE_NULL[: _ABOVE_NULL.index(_NAMES[value.kind])]
        if below:
            yield _of_types(path, below)
        elif not is_nan:
            single = [_NAN, _NULL]  # to `$lt` NaN is no number
    yield from _lowest(path, single)


def _lowest(path: str, single: list[Value]) -> Iterator[Filter]:
    """These values, of which null is the last if it is among them, and what stands below null."""
    if _NULL in single and not _is_plain(path):
        if single[:-1]:
            yield _on(path, {"$eq": single[0]})
        yield _absent(path)
        single = []
    below: list[Node] = [_MIN] if path == ID else [_EMPTY, _MIN]
    yield _on(path, {"$in": [*single, *below]})
    if path != ID:
        yield _of_types(path, ("undefined",))


def _absent(path: str) -> Filter:
    """What stands where null does: null itself, or no value at the path.

    That may be because an array on the way has no object in it. MongoDB sorts such a document as
    one without the field, but `{"a.b": null}` does not meet it; so here all else is excluded.
    """
    if _is_plain(path):
        return _on(path, {"$eq": _NULL})
    others: Node = [string(name) for name in (*_BELOW_NULL, *_ABOVE_NULL)]
    return _on(path, {"$not": {"$type": others}}, *_other_than(()))


def _of_types(path: str, names: tuple[str, ...]) -> Filter:
    """Values of these types, none of which is null."""
    types: Node = [string(name) for name in names]
    # In an array on the way there may be null beside other values.
    not_null: list[Node] = [{"$ne": _NULL}] if _is_plain(path) else []
    return _on(path, {"$type": types}, *not_null, *_other_than(names))


def _other_than(names: tuple[str, ...]) -> list[Node]:
    """Conditions that hold for values of these types, and give an index bounds around them.

    `$type` has such bounds in MongoDB itself, but not negated, and not in every database that
    speaks its protocol.
    """
    return [{"$not": {"$gte": least}} for name, least in _LEAST_VALUES.items() if name not in names]


def _is_plain(path: str) -> bool:
    return "." not in path


def _is_nan(value: Value) -> bool:
    if value.kind not in (DOUBLE, DECIMAL128):
        return False
    number = to_python(value)
    if isinstance(number, Decimal128):
        return number.to_decimal().is_nan()
    return math.isnan(number)
