"""What the store makes of many documents, on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import bson
import pytest

from demijohn.errors import (
    DuplicateKey,
    IndexConflict,
    InvalidFilter,
    InvalidIndex,
    InvalidPatch,
    InvalidPipeline,
    NotFound,
)
from demijohn.formats.bson_values import from_python, to_python
from demijohn.store.documents import Store
from demijohn.store.reading import Query
from tests.support.database import Database
from tests.support.stores import THINGS, own_store


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """A store whose collection `things` has the documents 0 to 9."""
    with own_store(database, "many") as store:
        store.catalog.drop(THINGS)
        documents = [bson.encode({"_id": at, "even": at % 2 == 0}) for at in range(10)]
        assert store.single.insert_many(THINGS, documents) == {}
        yield store


def ids(batches: Iterator[bytes]) -> list[object]:
    """The ids of what comes in batches."""
    return [each["_id"] for each in bson.decode_all(b"".join(batches))]


def test_find_keeps_to_filter_sort_projection_and_limit(store: Store) -> None:
    """A query is answered as it was asked."""
    query = Query(
        THINGS,
        bson.encode({"even": True}),
        sort=(("_id", -1),),
        projection=bson.encode({"_id": True}),
        limit=2,
    )

    (batch,) = store.reading.find(query)

    assert bson.decode_all(batch) == [{"_id": 8}, {"_id": 6}]


def test_counts_and_distinct_values(store: Store) -> None:
    """Counts are exact or from statistics; distinct values keep their types."""
    assert store.reading.count(THINGS, bson.encode({"even": True})) == 5
    assert store.reading.estimate(THINGS) == 10
    values = store.reading.distinct(THINGS, "even", bson.encode({}))
    assert sorted(to_python(values)) == [False, True]


def test_a_pipeline_is_carried_out(store: Store) -> None:
    """What an aggregation makes comes as raw batches."""
    stages = [bson.encode({"$match": {"even": False}}), bson.encode({"$count": "n"})]

    (batch,) = store.reading.aggregate(THINGS, stages)

    assert bson.decode_all(batch) == [{"n": 5}]


def test_what_the_database_refuses_is_the_questions_fault(store: Store) -> None:
    """A filter or pipeline that does not fit is a problem of 422, with the database's number."""
    with pytest.raises(InvalidFilter) as refused:
        list(store.reading.find(Query(THINGS, bson.encode({"a": {"$in": 1}}))))
    assert isinstance(refused.value.extra["database_code"], int)
    with pytest.raises(InvalidPipeline):
        list(store.reading.aggregate(THINGS, [bson.encode({"$nonsense": 1})]))


def test_each_insert_is_tried_by_itself(store: Store) -> None:
    """Of many inserts a duplicate fails alone, and is told by its place."""
    documents = [bson.encode({"_id": each}) for each in (10, 3, 11)]

    failed = store.single.insert_many(THINGS, documents)

    assert list(failed) == [1]
    assert isinstance(failed[1], DuplicateKey)
    assert failed[1].extra == {"index": "_id_", "fields": ["_id"]}
    assert store.single.present(THINGS, [from_python(each) for each in (3, 10, 12)]) == {
        from_python(3),
        from_python(10),
    }


def test_filter_wide_writes_tell_what_they_met(store: Store) -> None:
    """Updates tell how many they met and changed, deletes how many they took."""
    evens = bson.encode({"even": True})
    assert store.bulk.update_many(THINGS, evens, {"$set": {"n": 1}}) == (5, 5)
    assert store.bulk.update_many(THINGS, evens, {"$set": {"n": 1}}) == (5, 0)
    with pytest.raises(InvalidPatch):
        store.bulk.update_many(THINGS, evens, {"$inc": {"even": 1}})
    assert store.bulk.delete_many(THINGS, evens) == 5
    assert ids(store.reading.find(Query(THINGS))) == [1, 3, 5, 7, 9]


def test_collections_and_indexes_are_made_and_dropped(store: Store) -> None:
    """Making twice is no harm, another of the same name is a conflict, and `_id_` stays."""
    assert not store.catalog.exists("made")
    for _ in range(2):
        store.catalog.create("made")
        assert store.catalog.exists("made")
    assert {"made", THINGS} <= set(store.catalog.collections())
    store.catalog.drop("made")
    assert "made" not in store.catalog.collections()

    index = bson.encode({"key": {"n": 1}, "name": "by_n"})
    assert store.catalog.create_index(THINGS, index) is True
    assert store.catalog.create_index(THINGS, index) is False
    with pytest.raises(IndexConflict):
        store.catalog.create_index(THINGS, bson.encode({"key": {"m": 1}, "name": "by_n"}))
    unique = bson.encode({"key": {"even": 1}, "name": "one", "unique": True})
    with pytest.raises(DuplicateKey):
        store.catalog.create_index(THINGS, unique)
    names = [bson.decode(each)["name"] for each in store.catalog.indexes(THINGS)]
    assert names == ["_id_", "by_n"]
    store.catalog.drop_index(THINGS, "by_n")
    with pytest.raises(NotFound):
        store.catalog.drop_index(THINGS, "by_n")
    with pytest.raises(InvalidIndex):
        store.catalog.drop_index(THINGS, "_id_")
