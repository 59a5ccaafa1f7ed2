"""Paging by keyset: the pages put together are the whole list, whatever is in the documents."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import bson
import bson.errors
import pytest
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.timestamp import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demijohn.documents.listing import listing, page
from demijohn.errors import BadCursor
from demijohn.query.cursor import ORDERED, position_of, read_cursor, write_cursor
from demijohn.query.filters import Filter
from demijohn.query.parameters import Asked
from demijohn.query.sort import Sort, read_sort
from demijohn.store.documents import Store
from demijohn.store.reading import Query
from tests.support.database import Database
from tests.support.stores import THINGS, fill, own_store

ALL = Filter(bson.encode({}))
SPAN = (datetime(1969, 1, 1), datetime(1971, 1, 1))  # noqa: DTZ001 — the driver wants naive ones
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-3, 3).map(Int64),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, float("inf"), float("-inf"), float("nan")]),
    st.sampled_from(["-1", "0", "0.5", "1E+3", "NaN", "Infinity"]).map(Decimal128),
    st.text("abÄ\U0001f600", max_size=2),
    st.datetimes(*SPAN).map(lambda each: each.replace(microsecond=0)),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    # MongoDB compares the length first (its manual, "Comparison/Sort Order"). SecantusDB sorts so
    # too, but its `$gt` does not.
    st.binary(min_size=1, max_size=1).map(Binary),
    st.integers(1, 3).map(lambda each: Timestamp(each, 1)),
    st.sampled_from([MinKey(), MaxKey()]),
)
MEMBERS = st.fixed_dictionaries({}, optional={"a": SCALARS, "b": SCALARS, "c": SCALARS})
NESTED = st.fixed_dictionaries(
    {}, optional={"a": SCALARS, "n": st.fixed_dictionaries({"x": SCALARS})}
)
SORTS = st.lists(
    st.tuples(st.sampled_from(["", "-"]), st.sampled_from(["a", "b", "c", "n.x", "_id"])),
    min_size=1,
    max_size=3,
    unique_by=lambda each: each[1],
).map(lambda keys: read_sort(",".join(sign + path for sign, path in keys)))


@pytest.fixture(scope="module")
def store(database: Database) -> Iterator[Store]:
    """A store of this module's own."""
    with own_store(database, "paging") as store:
        yield store


def whole(store: Store, sort: Sort) -> list[object]:
    """The ids of all documents in the database's own order."""
    batches = store.reading.find(Query(THINGS, sort=sort.keys))
    return [each["_id"] for each in bson.decode_all(b"".join(batches))]


def pages(store: Store, asked: Asked, limit: int) -> Iterator[list[int]]:
    """The ids of page after page."""
    cursor: str | None = None
    while True:
        wanted = Asked(asked.filter, asked.sort, asked.fields, limit, cursor)
        found = page(store, listing(THINGS, wanted))
        yield [bson.decode(each)["_id"] for each in found.documents]
        cursor = found.after
        if cursor is None:
            return


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    documents=st.lists(st.one_of(MEMBERS, NESTED), max_size=14), sort=SORTS, limit=st.integers(1, 5)
)
def test_pages_together_are_the_sorted_whole(
    store: Store, documents: list[dict[str, Any]], sort: Sort, limit: int
) -> None:
    """Whatever the values and the sort, every document is on one page, in the sort's order."""
    fill(store, documents)

    found = list(pages(store, Asked(ALL, sort), limit))

    assert [each for part in found for each in part] == whole(store, sort)
    assert all(len(part) == limit for part in found[:-1])


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    documents=st.lists(MEMBERS, min_size=1, max_size=10),
    others=st.lists(st.lists(MEMBERS, max_size=3), min_size=1, max_size=6),
    sort=SORTS,
    limit=st.integers(1, 3),
)
def test_what_is_there_throughout_is_seen_once(
    store: Store,
    documents: list[dict[str, Any]],
    others: list[list[dict[str, Any]]],
    sort: Sort,
    limit: int,
) -> None:
    """While others insert and delete between any two pages, nothing is missed or seen twice."""
    fill(store, documents)
    seen: list[int] = []

    for number, part in enumerate(pages(store, Asked(ALL, sort), limit)):
        seen += part
        # Or they would for ever be put behind the last page.
        disturb(store, number, others[number] if number < len(others) else [])

    assert sorted(each for each in seen if each < len(documents)) == list(range(len(documents)))


def disturb(store: Store, number: int, documents: list[dict[str, Any]]) -> None:
    """Delete what was put there before, and put others there, with ids from 1,000."""
    store.bulk.delete_many(THINGS, bson.encode({"_id": {"$gte": 1_000}}))
    ids = (1_000 + 10 * number + at for at in range(len(documents)))
    encoded = [bson.encode({"_id": each, **one}) for each, one in zip(ids, documents, strict=True)]
    assert not encoded or store.single.insert_many(THINGS, encoded) == {}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(forged=st.one_of(st.text(), st.binary().map(lambda each: urlsafe_b64encode(each).decode())))
def test_forged_cursors_are_refused(store: Store, forged: str) -> None:
    """What this service has not written is 400, whatever it is."""
    assert store is not None
    with pytest.raises(BadCursor):
        listing(THINGS, Asked(ALL, read_sort("a"), after=forged))


@given(values=st.dictionaries(st.text(max_size=3), SCALARS | st.lists(SCALARS, max_size=2)))
def test_forged_positions_say_no_more_than_a_filter(values: dict[str, Any]) -> None:
    """A cursor with the right digest and other values is a position of scalars, or refused."""
    sort = read_sort("a")
    place = position_of(bson.encode({"_id": 1, "a": 2}), sort)
    cursor = urlsafe_b64decode(write_cursor(place, THINGS, ALL, sort) + "==")
    try:
        packed = bson.encode(values)
    except bson.errors.BSONError:
        return
    head = cursor[: len(cursor) - len(bson.encode({"0": 2, "1": 1}))]
    forged = urlsafe_b64encode(head + packed).rstrip(b"=").decode()
    try:
        found = read_cursor(forged, THINGS, ALL, sort)
    except BadCursor:
        return
    assert list(values) == ["0", "1"]
    assert len(found.values) == 2
    assert all(each.kind in ORDERED for each in found.values)
