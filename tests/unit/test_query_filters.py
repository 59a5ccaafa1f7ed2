"""Filters: which operators are let through, with which arguments, and how much of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import bson
import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import ForbiddenOperator, InvalidFilter, MalformedJson, Problem
from demijohn.formats.bson_values import DOCUMENT, REFERENCE_KEYS, Node, Value, open_node
from demijohn.query import expressions, filters, patterns
from demijohn.query.filters import FILTER, Filter, all_of, read_filter
from tests.support.queries import filters as some_filters

LISTED = {*FILTER.operators, *FILTER.queries, "$and", "$or", "$nor"}
HEX = "65a1f0c2b9d4e83a7c15f206"
KEYS = st.sampled_from(
    [
        *("a", "b.c", "_id", "$", "$where", "$function", "$accumulator", "$text", "$near", "$x"),
        *("$jsonSchema", "$ref", "$id", "$db", "$oid", "$date", "$regularExpression", "$code"),
        *sorted(LISTED),
        *("$and", "$or", "$nor", "$literal", "$sum", "$geometry", "$meta", "$merge"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "$a", "$$ROOT", HEX]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def read(condition: Any, *, extended: bool = False) -> dict[str, Any]:
    """What is asked of the database for this filter."""
    return bson.decode(read_filter(json.dumps(condition).encode(), extended=extended).bson)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"a": 1, "b.c": None, "d.0": [1, {"e": "x"}], "f": {"g": True}},
        {"a": {"$eq": 1, "$ne": 2, "$gt": 3, "$gte": 4, "$lt": 5, "$lte": "x"}},
        {"a": {"$in": [1, "a", {"b": 1}], "$nin": []}},
        {"a": {"$exists": False, "$type": ["string", 2, "number"]}},
        {"a": {"$mod": [4, 1], "$size": 2}},
        {"a": {"$all": [1, [2]]}},
        {"a": {"$all": [{"$elemMatch": {"b": 1}}, {"$elemMatch": {"$gt": 2}}]}},
        {"a": {"$elemMatch": {"b": {"$gt": 1}, "$or": [{"c": 1}, {"d": 2}]}}},
        {"a": {"$not": {"$regex": "^x"}}},
        {"$and": [{"a": 1}, {"$or": [{"b": 1}, {"$nor": [{"c": {"$lt": 2}}]}]}]},
        {"a": {"$regex": "^A.*z$", "$options": "imsxu"}},
        {"$expr": {"$gt": ["$a", {"$add": ["$b", 1]}]}, "c": 1},
        {"a": {"$bitsAllSet": 5, "$bitsAnySet": [0, 2], "$bitsAllClear": 8, "$bitsAnyClear": [63]}},
        {"a": {"$geoWithin": {"$centerSphere": [[1, 2], 0.1]}}},
        {"a": {"$geoIntersects": {"$geometry": {"type": "Point", "coordinates": [1, 2]}}}},
    ],
)
def test_what_is_let_through(condition: Any) -> None:
    """Every operator of the list, with the arguments that it takes, comes out as it went in."""
    assert read(condition) == condition


def test_a_reference_is_a_value() -> None:
    """What equals a DBRef is let through, though its keys begin with `$`."""
    reference = {"$ref": "people", "$id": 5}

    assert read({"a": reference})["a"].as_doc().to_dict() == reference


def test_values_are_read_as_extended_json() -> None:
    """Types that JSON has no word for can be compared with."""
    condition = {
        "a": {"$oid": HEX},
        "b": {"$gt": {"$date": "1970-01-01T00:00:00Z"}},
        "c": {"$in": [{"$numberDecimal": "1.5"}, {"$regularExpression": _regex("^x", "i")}]},
        "d": {"$not": {"$regularExpression": _regex("y", "")}},
        "e": {"$regex": {"$regularExpression": _regex("z", "")}},
        "f": {"$bitsAllSet": {"$binary": {"base64": "Ag==", "subType": "00"}}},
    }

    assert read(condition) == {
        "a": ObjectId(HEX),
        "b": {"$gt": bson.decode(bson.encode({"": bson.DatetimeMS(0)}))[""]},
        "c": {"$in": [bson.Decimal128("1.5"), bson.Regex("^x", "i")]},
        "d": {"$not": bson.Regex("y")},
        "e": {"$regex": bson.Regex("z")},
        "f": {"$bitsAllSet": b"\2"},
    }


def _regex(pattern: str, options: str) -> dict[str, str]:
    return {"pattern": pattern, "options": options}


@pytest.mark.parametrize(
    ("condition", "pointer"),
    [
        ([], ""),
        ("a", ""),
        ({"$oid": HEX}, ""),
        ({"$gt": 1}, "/$gt"),
        ({"$not": {"a": 1}}, "/$not"),
        ({"a": {"$gt": 1, "b": 1}}, "/a/b"),
        ({"a": {"$gt": {"$gt": 1}}}, "/a/$gt/$gt"),
        ({"a": {"b": {"$gt": 1}}}, "/a/b/$gt"),
        ({"a": {"$or": [{"b": 1}]}}, "/a/$or"),
        ({"a": [{"$gt": 1}]}, "/a/0/$gt"),
        ({"$or": []}, "/$or"),
        ({"$or": {"a": 1}}, "/$or"),
        ({"$or": [1]}, "/$or/0"),
        ({"a": {"$in": 1}}, "/a/$in"),
        ({"a": {"$in": [{"$regex": "a"}]}}, "/a/$in/0/$regex"),
        ({"a": {"$all": "a"}}, "/a/$all"),
        ({"a": {"$all": [{"$elemMatch": {"b": 1}}, 1]}}, "/a/$all/0/$elemMatch"),
        ({"a": {"$exists": "true"}}, "/a/$exists"),
        ({"a": {"$type": "strin"}}, "/a/$type"),
        ({"a": {"$type": []}}, "/a/$type"),
        ({"a": {"$mod": [1]}}, "/a/$mod"),
        ({"a": {"$size": 1.5}}, "/a/$size"),
        ({"a": {"$elemMatch": 1}}, "/a/$elemMatch"),
        ({"a": {"$not": 1}}, "/a/$not"),
        ({"a": {"$regex": 1}}, "/a/$regex"),
        ({"a": {"$regex": "a\0"}}, "/a/$regex"),
        ({"a": {"$regex": "a", "$options": "g"}}, "/a/$options"),
        ({"a": {"$regex": "a", "$options": 1}}, "/a/$options"),
        ({"a": {"$regularExpression": _regex("a", "l")}}, "/a"),
        ({"a": {"$gt": {"$regularExpression": _regex("a", "")}}}, "/a/$gt"),
        ({"a": {"$ne": {"$regularExpression": _regex("a", "")}}}, "/a/$ne"),
        ({"a": {"$bitsAllSet": "1"}}, "/a/$bitsAllSet"),
        ({"a": {"$bitsAnySet": [1.5]}}, "/a/$bitsAnySet"),
        ({"a": {"$bitsAnySet": [0, -1]}}, "/a/$bitsAnySet"),
        ({"a": {"$bitsAllClear": [99_999_999_999]}}, "/a/$bitsAllClear"),
        ({"a": {"$geoWithin": 1}}, "/a/$geoWithin"),
        ({"a": {"$geoWithin": {"$box": [], "$center": []}}}, "/a/$geoWithin"),
        ({"a": {"$geoIntersects": {"$box": [[0, 0], [1, 1]]}}}, "/a/$geoIntersects"),
        ({"a": {"$geoWithin": {"$geometry": {"$where": 1}}}}, "/a/$geoWithin/$geometry/$where"),
        ({"a": {"$geoIntersects": {"$geometry": 5}}}, "/a/$geoIntersects/$geometry"),
        ({"a": {"$geoWithin": {"$geometry": {"type": 1}}}}, "/a/$geoWithin/$geometry"),
        ({"": 1}, "/"),
        ({"a..b": 1}, "/a..b"),
        ({"a.$": 1}, "/a.$"),
        ({"a.$[]": 1}, "/a.$[]"),
        ({"a.$where": 1}, "/a.$where"),
        ({"a\0": 1}, "/a\0"),
        ({"a": {"$date": "today"}}, "/a"),
        ({"$expr": {"$gt": [1, 2], "$lt": [1, 2]}}, "/$expr/$gt"),
    ],
)
def test_what_is_no_filter(condition: Any, pointer: str) -> None:
    """A bad shape is told with its place."""
    with pytest.raises(InvalidFilter) as caught:
        read(condition)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize(
    "name",
    [
        *("$where", "$function", "$accumulator", "$text", "$near", "$nearSphere", "$jsonSchema"),
        *("$comment", "$rand", "$sampleRate", "$GT", "$", "$$ROOT", "$set", "$out", "$merge"),
    ],
)
def test_what_is_not_on_the_list(name: str) -> None:
    """No other operator passes, wherever an operator may stand; the pointer leads to it."""
    bare: Any = {name: 1}
    for condition, place in (
        (bare, ""),
        ({"a": bare}, "/a"),
        ({"$or": [bare]}, "/$or/0"),
        ({"a": {"$elemMatch": bare}}, "/a/$elemMatch"),
        ({"a": {"$elemMatch": {"b": bare}}}, "/a/$elemMatch/b"),
        ({"a": {"$not": bare}}, "/a/$not"),
        ({"a": {"$all": [{"$elemMatch": bare}]}}, "/a/$all/0/$elemMatch"),
    ):
        with pytest.raises(ForbiddenOperator) as caught:
            read(condition)
        assert [fault.pointer for fault in caught.value.faults] == [f"{place}/{name}"]


@pytest.mark.parametrize("inside", [{"$expr": True}, {"$and": [{"$expr": True}]}])
def test_an_element_knows_nothing_of_its_document(inside: Any) -> None:
    """`$expr` is of whole documents: MongoDB takes it nowhere inside `$elemMatch`."""
    with pytest.raises(ForbiddenOperator):
        read({"a": {"$elemMatch": inside}})


@given(JSON | some_filters(JSON))
def test_nothing_unlisted_gets_through(condition: Any) -> None:
    """Whatever JSON is given, all keys with `$` in what comes out are on the lists."""
    try:
        passed = _opened(Value(DOCUMENT, read_filter(json.dumps(condition).encode()).bson))
    except Problem:
        return
    assert _operators(passed) <= LISTED | filters.SHAPES | REFERENCE_KEYS


def _opened(node: Node) -> Any:
    """The same to its last member; what `bson` would make of some keys is left undone."""
    match open_node(node):
        case dict() as members:
            return {key: _opened(child) for key, child in members.items()}
        case list() as items:
            return [_opened(child) for child in items]
        case closed:
            return closed


def _operators(node: Any) -> set[str]:
    """The keys with `$` at any depth; in an expression those that it does not know."""
    if isinstance(node, list):
        return set().union(*map(_operators, node))
    if not isinstance(node, dict):
        return set()
    here = {key for key in node if key.startswith("$")}
    inner = {
        key: _of_expression(child) if key == "$expr" else _operators(child)
        for key, child in node.items()
    }
    return here.union(*inner.values())


def _of_expression(node: Any) -> set[str]:
    found = {key for key in _keys(node) if key.startswith("$")}
    return found - expressions.OPERATORS


def _keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, child in node.items():
            yield key
            if key != "$literal":
                yield from _keys(child)
    elif isinstance(node, list):
        for child in node:
            yield from _keys(child)


def test_hex_digits_under_id_are_object_ids() -> None:
    """As everywhere in plain JSON; in Extended JSON, and below other names, they are a string."""
    objectid = ObjectId(HEX)
    condition = {
        "_id": {"$in": [HEX, "x"], "$ne": HEX, "$not": {"$gt": HEX}},
        "$or": [{"_id": HEX}, {"$nor": [{"_id": {"$lt": HEX}}]}, {"a": HEX}, {"b": {"_id": HEX}}],
        "c": {"$elemMatch": {"_id": HEX}},
    }

    assert read(condition) == {
        "_id": {"$in": [objectid, "x"], "$ne": objectid, "$not": {"$gt": objectid}},
        "$or": [
            {"_id": objectid},
            {"$nor": [{"_id": {"$lt": objectid}}]},
            {"a": HEX},
            {"b": {"_id": HEX}},
        ],
        "c": {"$elemMatch": {"_id": HEX}},
    }
    assert read(condition, extended=True) == condition


def test_the_bounds() -> None:
    """Clauses, levels, values, patterns and bytes: what is just within passes, and no more."""
    most, deepest, values = FILTER.most_clauses, FILTER.deepest, FILTER.most_values
    assert values is not None
    pattern = {"$regularExpression": _regex("a", "")}
    for within, beyond in (
        ({"$or": [{"a": n} for n in range(most)]}, {"$or": [{"a": n} for n in range(most + 1)]}),
        (_nested(deepest - 1), _nested(deepest)),
        ({"a": {"$in": [1] * values}}, {"a": {"$in": [1] * (values + 1)}}),
        ({"a": {"$in": [pattern] * most}}, {"a": {"$in": [pattern] * (most + 1)}}),
        ({"a": {"$regex": "ä" * 500}}, {"a": {"$regex": "ä" * 500 + "a"}}),
        ({"a": "x" * (filters.LARGEST - 13)}, {"a": "x" * (filters.LARGEST - 12)}),
    ):
        read(within)
        with pytest.raises(InvalidFilter):
            read(beyond)
    assert len("ä".encode() * 500) == patterns.LONGEST


def _nested(times: int) -> Any:
    condition: Any = {"a": 1}
    for _ in range(times):
        condition = {"$nor": [condition]}
    return condition


def test_depth_is_refused_and_not_recursed_into() -> None:
    """A filter of any depth is a problem of its own, never a defect."""
    for depth in (99, 1_000, 50_000):
        text = b'{"$and":[' * depth + b"{}" + b"]}" * depth
        with pytest.raises((InvalidFilter, MalformedJson)):
            read_filter(text)


def test_filters_are_combined() -> None:
    """Those that leave something out are all to be met; without any, nothing is left out."""
    one, other, empty = (Filter(bson.encode(each)) for each in ({"a": 1}, {"a": 2}, {}))

    assert all_of() == all_of(empty, empty) == empty
    assert empty.is_empty
    assert not one.is_empty
    assert all_of(empty, one) == one
    assert bson.decode(all_of(one, empty, other).bson) == {"$and": [{"a": 1}, {"a": 2}]}
