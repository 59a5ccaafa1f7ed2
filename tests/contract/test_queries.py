"""What is let through is understood by a real server, and projections here are the server's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import bson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demijohn.errors import BadParameter, InvalidFilter
from demijohn.formats.extended_in import parse_extended_value
from demijohn.query.fields import read_fields
from demijohn.query.filters import read_filter
from demijohn.query.parameters import OPERATORS, read_parameters
from demijohn.query.pipeline import check_pipeline
from demijohn.store.documents import Store
from demijohn.store.reading import Query
from tests.support.database import Database
from tests.support.queries import STAGE_EXAMPLES, filters
from tests.support.stores import THINGS, own_store

NAMES = st.sampled_from(["a", "b", "c"])
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        st.none() | st.integers(0, 3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
EXPRESSIONS: list[Any] = [
    {"$gt": ["$a", 1]},
    {"$eq": [{"$type": "$a"}, "int"]},
    {"$in": [1, {"$ifNull": ["$c", []]}]},
    {"$regexMatch": {"input": "$e", "regex": "^a", "options": "i"}},
    {"$lt": ["$d", "$$NOW"]},
    {"$let": {"vars": {"x": {"$add": [1, 2]}}, "in": {"$eq": ["$$x", 3]}}},
    {"$and": [True, {"$not": ["$b"]}]},
    {"$gte": [{"$size": {"$filter": {"input": [1, 2], "cond": {"$gt": ["$$this", 1]}}}}, 1]},
    {"$eq": [{"$getField": {"field": {"$literal": "a"}, "input": "$$ROOT"}}, 1]},
]
SHAPES: list[Any] = [
    {"$geoWithin": {"$centerSphere": [[1, 2], 0.1]}},
    {"$geoWithin": {"$box": [[0, 0], [2, 2]]}},
    {"$geoIntersects": {"$geometry": {"type": "Point", "coordinates": [1, 2]}}},
]


@pytest.fixture(scope="module")
def store(database: Database) -> Iterator[Store]:
    """A store of this module's own, with some documents."""
    some: list[dict[str, Any]] = [
        {"_id": 1, "a": 1, "b": {"c": "a"}, "c": [1, 2]},
        {"_id": 2, "a": 2, "b": [{"c": 1}, {"c": None}], "d": [0, 1]},
        {"_id": 3, "a": 4},
    ]
    with own_store(database, "queries") as store:
        store.bulk.delete_many(THINGS, bson.encode({}))  # a worker may come back to this module
        assert store.single.insert_many(THINGS, [bson.encode(each) for each in some]) == {}
        yield store


def found(store: Store, condition: bytes, projection: bytes | None = None) -> list[dict[str, Any]]:
    """The documents that a filter meets."""
    query = Query(THINGS, condition, projection=projection)
    return bson.decode_all(b"".join(store.reading.find(query)))


@given(condition=filters())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_filters_are_understood(store: Store, condition: Any) -> None:
    """Whatever is well formed passes, and the server has nothing to say against it."""
    found(store, read_filter(json.dumps(condition).encode()).bson)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_expressions_are_understood(store: Store, expression: Any) -> None:
    """In `$expr`, beside any other condition."""
    found(store, read_filter(json.dumps({"$expr": expression, "a": 1}).encode()).bson)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_are_understood(store: Store, shape: Any) -> None:
    """Each operator of places, in the forms that it takes."""
    found(store, read_filter(json.dumps({"place": shape}).encode()).bson)


@given(
    path=PATHS,
    operator=st.sampled_from(["", *(f"[{each}]" for each in OPERATORS)]),
    value=st.text("a1,\"'", max_size=4) | st.sampled_from(["true", "null", "1.5", "^a", "string"]),
)
@settings(deadline=None)
def test_parameters_are_understood(store: Store, path: str, operator: str, value: str) -> None:
    """A parameter is refused at once, or is a filter that the server takes."""
    try:
        asked = read_parameters([(f"{path}{operator}", value)])
    except BadParameter:
        return
    found(store, asked.filter.bson)


@pytest.mark.parametrize("pattern", ["(", "[", "a**", "(?<x", "\\"])
def test_a_pattern_that_is_none_is_the_filters_fault(store: Store, pattern: str) -> None:
    """The server judges regular expressions, and what it refuses is no failure of it."""
    with pytest.raises(InvalidFilter):
        found(store, read_parameters([("a[regex]", pattern)]).filter.bson)


@pytest.mark.parametrize("name", STAGE_EXAMPLES)
def test_stages_are_carried_out(store: Store, name: str) -> None:
    """Each stage of the list is one that a server has, in the words that are let through."""
    text = json.dumps([{"$match": {"_id": 1}}, {name: STAGE_EXAMPLES[name]}]).encode()
    stages = check_pipeline(parse_extended_value(text, operators=True)).stages

    bson.decode_all(b"".join(store.reading.aggregate(THINGS, stages)))


@given(
    document=DOCUMENTS,
    paths=st.lists(PATHS, max_size=3),
    sign=st.sampled_from(["", "-"]),
    more=st.sampled_from([[], ["_id"], ["-_id"]]),
)
@settings(deadline=None)
def test_what_is_left_out_here_is_what_the_server_leaves_out(
    store: Store, document: dict[str, Any], paths: list[str], sign: str, more: list[str]
) -> None:
    """For any document a projection by the server and one by the service come to the same bytes."""
    try:
        fields = read_fields(",".join([*(f"{sign}{path}" for path in paths), *more]))
    except BadParameter:
        return
    stored = bson.encode({"_id": 9, **document})
    condition = bson.encode({"_id": 9})
    store.bulk.delete_many(THINGS, condition)
    assert store.single.insert_many(THINGS, [stored]) == {}

    assert found(store, condition, fields.projection()) == [bson.decode(fields.apply(stored))]
