"""Paging where documents stand in odd places: no page passes over what has no one place."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from typing import Any

import bson
import pytest
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demijohn.documents.listing import listing, page, stream
from demijohn.errors import DeadlineExceeded, Unsortable
from demijohn.query.fields import read_fields
from demijohn.query.filters import Filter
from demijohn.query.parameters import Asked
from demijohn.query.sort import read_sort
from demijohn.store.documents import Store
from demijohn.store.reading import Query
from tests.support.database import Database
from tests.support.stores import THINGS, fill, own_store

ALL = Filter(bson.encode({}))
# Values of every type in the order of MongoDB's manual, "Comparison/Sort Order".
ORDERED: list[object] = [
    *(MinKey(), None, float("nan"), -1, 2.5, "", "a", {"z": 1}, b"", bson.ObjectId("0" * 24)),
    *(False, True, bson.DatetimeMS(0), Timestamp(1, 1), MaxKey()),
]
# An array of arrays alone is missing here, at the end of the path: see `query.keyset`.
ODD = st.sampled_from(
    [
        {"n": []},
        {"n": [1]},
        {"n": [None, "x"]},
        {"n": [[]]},
        {"n": [{}]},
        {"n": [{"x": 1}, {}]},
        {"n": {"x": []}},
        {"n": {"x": [1, "a"]}},
        {"n": {"x": Regex("a")}},
        {"n": {"x": bson.Code("f")}},
    ]
)


@pytest.fixture(scope="module")
def store(database: Database) -> Iterator[Store]:
    """A store of this module's own."""
    with own_store(database, "odd") as store:
        yield store


def walk(store: Store, sort: str, limit: int) -> Iterator[int]:
    """The ids on page after page."""
    cursor: str | None = None
    for at in itertools.count():
        asked = Asked(ALL, read_sort(sort), None, limit, cursor)
        found = page(store, listing(THINGS, asked))
        yield from (bson.decode(each)["_id"] for each in found.documents)
        cursor = found.after
        if cursor is None:
            return
        assert at < 100, "it does not end"


@pytest.mark.parametrize("sort", ["n.x", "-n.x", "n", "-n"])
def test_every_type_is_met_in_its_order(store: Store, sort: str) -> None:
    """From one value of each type to the next, up and down, at the top and inside."""
    fill(store, [{"n": {"x": each} if "." in sort else each} for each in ORDERED])

    found = list(walk(store, sort, 1))

    ascending = list(range(len(ORDERED)))
    assert found == (ascending[::-1] if sort.startswith("-") else ascending)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    odd=ODD,
    at=st.integers(0, 12),
    values=st.lists(st.sampled_from([*ORDERED, ...]), min_size=12, max_size=12),
    how=st.tuples(st.sampled_from(["n.x", "-n.x"]), st.integers(1, 4)),
)
def test_no_walk_to_the_end_passes_over_an_odd_document(
    store: Store, odd: dict[str, Any], at: int, values: list[object], how: tuple[str, int]
) -> None:
    """A value without a place of its own, wherever it stands, ends every walk with 422."""
    documents: list[Mapping[str, Any]] = [
        {} if each is ... else {"n": {"x": each}} for each in values
    ]
    documents.insert(at, odd)
    fill(store, documents)

    with pytest.raises(Unsortable):
        list(walk(store, *how))


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("odd", [[], [None], [1, "z"], [MaxKey()]], ids=repr)
def test_an_array_at_the_top_is_met(store: Store, sign: str, odd: list[object]) -> None:
    """The empty array too, which stands below null."""
    documents: list[Mapping[str, Any]] = [{"n": each} for each in ORDERED]
    fill(store, [*documents, {"n": odd}])

    with pytest.raises(Unsortable):
        list(walk(store, f"{sign}n", 1))


def test_a_stream_after_a_cursor_shows_no_document_twice(store: Store) -> None:
    """One that stands in two of the ranges ends it, also where the sorted path is not shown."""
    fill(store, [{"n": 5}, {"n": 5}, {"n": 6}])
    sort = read_sort("n")
    cursor = page(store, listing(THINGS, Asked(ALL, sort, None, 1))).after
    asked = Asked(ALL, sort, read_fields("_id"), None, cursor)

    before = bson.decode_all(b"".join(stream(store, listing(THINGS, asked))))
    store.single.insert_many(THINGS, [bson.encode({"_id": 3, "n": [5, 9]})])

    assert before == [{"_id": 1}, {"_id": 2}]
    with pytest.raises(Unsortable):
        list(stream(store, listing(THINGS, asked)))


def test_a_page_that_ends_at_a_huge_value_is_refused(store: Store) -> None:
    """Its cursor would not fit a URL; a page that ends elsewhere passes over it."""
    fill(store, [{"n": "a"}, {"n": "b" * 5_000}, {"n": "c"}])

    with pytest.raises(Unsortable):
        list(walk(store, "n", 2))
    assert list(walk(store, "n", 3)) == [0, 1, 2]


def test_the_queries_of_a_page_share_a_deadline(store: Store) -> None:
    """When it is over, nothing more is asked."""
    query = Query(THINGS, limit=1)

    with pytest.raises(DeadlineExceeded):
        list(store.reading.find(query, time.monotonic() - 1))
