"""The ranges that a page is made of, as they are asked of the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from demijohn.query.cursor import position_of
from demijohn.query.keyset import after
from demijohn.query.sort import read_sort

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from(["NaN", "-1.5", "Infinity"]).map(Decimal128),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.builds(Timestamp, st.integers(0, 9), st.integers(0, 9)),
    st.sampled_from([MinKey(), MaxKey(), bson.ObjectId("0" * 24), {"a": 1}, {}]),
)
SORTS = st.sampled_from(["_id", "-_id", "a", "-a", "n.x", "-n.x", "a,-n.x", "-a,n.x,_id"])
ALLOWED = {"$and", "$eq", "$gt", "$lt", "$gte", "$in", "$ne", "$not", "$type"}


def ranges(sort: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    """What follows this document."""
    place = position_of(bson.encode(document), read_sort(sort))
    return [bson.decode(each.bson) for each in after(place, read_sort(sort))]


def operators(node: object) -> Iterator[tuple[str, object]]:
    """Every operator in a filter, with its argument."""
    if isinstance(node, dict):
        for key, child in node.items():
            if key.startswith("$"):
                yield key, child
            yield from operators(child)
    elif isinstance(node, list):
        for child in node:
            yield from operators(child)


@given(sort=SORTS, a=VALUES, x=VALUES)
def test_a_range_is_a_conjunction_with_bounds(sort: str, a: object, x: object) -> None:
    """No alternatives, and no `$type: "array"`: either would have a whole index read."""
    for each in ranges(sort, {"_id": 7, "a": a, "n": {"x": x}}):
        for name, argument in operators(each):
            assert name in ALLOWED
            assert name != "$type" or "array" not in list(argument)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("sort", "document", "first"),
    [
        ("_id", {"_id": 7}, {"_id": {"$gt": 7}}),
        ("-_id", {"_id": "x"}, {"_id": {"$lt": "x"}}),
        ("a", {"_id": 7, "a": 5}, {"$and": [{"a": {"$eq": 5}}, {"_id": {"$gt": 7}}]}),
        ("a", {"_id": 7}, {"$and": [{"a": {"$eq": None}}, {"_id": {"$gt": 7}}]}),
        ("_id", {"_id": float("nan")}, {"_id": {"$gte": float("-inf")}}),
    ],
)
def test_the_nearest_comes_first(
    sort: str, document: dict[str, Any], first: dict[str, Any]
) -> None:
    """What is equal in all but the last key, and of the same type in that."""
    assert ranges(sort, document)[0] == first


@pytest.mark.parametrize(("sort", "last"), [("_id", MaxKey()), ("-_id", MinKey())])
def test_nothing_follows_the_last_value(sort: str, last: object) -> None:
    """Nothing sorts after MaxKey, or before MinKey."""
    assert ranges(sort, {"_id": last}) == []
