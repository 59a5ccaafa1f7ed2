"""The conditions of `$pull`: what is let through, what is not, and how much of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from demijohn.errors import ForbiddenOperator, InvalidPatch
from demijohn.formats.extended_in import parse_extended_value
from demijohn.patches.conditions import PULL


def check(condition: Any) -> None:
    """Check a condition in Extended JSON."""
    PULL.check(parse_extended_value(json.dumps(condition).encode(), operators=True), ("c",))


@pytest.mark.parametrize(
    "condition",
    [
        1,
        None,
        [1, 2],
        {},
        {"a": 1, "b.c": {"d": 1}},
        {"$eq": 1},
        {"$ne": None, "$gt": 1, "$gte": 2, "$lt": "x", "$lte": 9.5},
        {"$in": [1, "a", {"b": 1}], "$nin": []},
        {"$exists": True},
        {"$type": "string"},
        {"$type": [1, "array"]},
        {"$size": 2},
        {"$all": [1, 2]},
        {"$mod": [4, 0]},
        {"$elemMatch": {"$gt": 1, "$lt": 5}},
        {"$elemMatch": {"a": 1, "b": {"$in": [1]}}},
        {"$not": {"$gt": 5}},
        {"$and": [{"a": 1}, {"b": {"$gt": 2}}]},
        {"$or": [{"a": 1}, {"$nor": [{"b": 2}]}], "c": 1},
        {"a": {"$not": {"$elemMatch": {"b": 1}}}},
        {"r": {"$ref": "c", "$id": 1}},
        {"_id": {"$oid": "0123456789abcdef01234567"}},
    ],
)
def test_what_is_let_through(condition: Any) -> None:
    """Values, comparisons, and queries of an element's members, in each form that there is."""
    check(condition)


@pytest.mark.parametrize(
    ("condition", "pointer"),
    [
        ({"$in": 1}, "/c/$in"),
        ({"$in": [{"$gt": 1}]}, "/c/$in/0/$gt"),
        ({"$eq": {"$gt": 1}}, "/c/$eq/$gt"),
        ({"$exists": "yes"}, "/c/$exists"),
        ({"$type": True}, "/c/$type"),
        ({"$type": [{}]}, "/c/$type"),
        ({"$size": "2"}, "/c/$size"),
        ({"$mod": [1]}, "/c/$mod"),
        ({"$mod": [1, "2"]}, "/c/$mod"),
        ({"$elemMatch": 1}, "/c/$elemMatch"),
        ({"$elemMatch": {}}, "/c/$elemMatch"),
        ({"$not": 1}, "/c/$not"),
        ({"$not": {"a": 1}}, "/c/$not/a"),
        ({"$and": []}, "/c/$and"),
        ({"$and": {"a": 1}}, "/c/$and"),
        ({"$and": [1]}, "/c/$and/0"),
        ({"$and": [{"$gt": 1}]}, "/c/$and/0/$gt"),
        ({"$gt": 1, "a": 1}, "/c/a"),
        ({"$gt": 1, "$and": [{"a": 1}]}, "/c/$and"),
        ({"a": {"$or": [{"b": 1}]}}, "/c/a/$or"),
        ({"a": {"$gt": 1, "b": 1}}, "/c/a/b"),
        ({"a": {"b": {"$gt": 1}}}, "/c/a/b/$gt"),
        ({"a..b": 1}, "/c/a..b"),
        ({"a.$": 1}, "/c/a.$"),
    ],
)
def test_what_is_no_condition(condition: Any, pointer: str) -> None:
    """Operators in the wrong place or with the wrong argument are told with their place."""
    with pytest.raises(InvalidPatch) as caught:
        check(condition)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize(
    "name",
    ["$where", "$expr", "$regex", "$text", "$jsonSchema", "$near", "$function", "$rand", "$x"],
)
def test_what_is_not_on_the_list(name: str) -> None:
    """No other operator passes, on the element, on a member, or inside another condition."""
    bare: Any = {name: 1}
    for condition in (bare, {"a": bare}, {"$or": [bare]}, {"$elemMatch": bare}, {"$not": bare}):
        with pytest.raises(ForbiddenOperator):
            check(condition)


def test_conditions_are_bounded() -> None:
    """At most 100 clauses in all, however they are nested, and at most 10 levels."""
    check({"$or": [{"a": n} for n in range(100)]})
    check({f"a{n}": {"$gt": n, "$lt": n} for n in range(50)})
    for wide in (
        {"$or": [{"a": n} for n in range(101)]},
        {f"a{n}": {"$gt": n, "$lt": n} for n in range(51)},
        {"$and": [{"$or": [{"a": n} for n in range(51)]}] * 2},
    ):
        with pytest.raises(InvalidPatch, match="clauses"):
            check(wide)
    check(nested(9))
    for deep in (nested(10), nested(40)):
        with pytest.raises(InvalidPatch, match="levels"):
            check(deep)


def nested(times: int) -> Any:
    """A condition inside so many others."""
    condition: Any = {"a": 1}
    for _ in range(times):
        condition = {"$nor": [condition]}
    return condition


def test_a_long_list_of_values_is_one_clause() -> None:
    """The values of `$in` are bounded by the body alone."""
    check({"$in": list(range(10_000))})
