"""How much is read at one time of many documents, on a real server: bytes, not documents, bound it.

But for the first batch each is asked for by what those before it had.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import bson
import pymongo
import pytest

from demijohn.formats.batches import split
from demijohn.store.documents import Store
from demijohn.store.reading import BATCH_BYTES, FIRST_BATCH, Query
from tests.support.database import Database
from tests.support.processes import wait_until
from tests.support.stores import THINGS, fill, own_store

ALL = Query(THINGS)


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """A store for documents of every size."""
    with own_store(database, "batches") as store:
        yield store


def _fill(store: Store, sizes: Sequence[int]) -> None:
    fill(store, [{"text": "x" * size} for size in sizes])


def _counts(batches: Sequence[bytes]) -> list[int]:
    return [sum(1 for _ in split(memoryview(each))) for each in batches]


def _ids(batches: Sequence[bytes]) -> list[object]:
    return [each["_id"] for each in bson.decode_all(b"".join(batches))]


def test_small_documents_come_few_at_first_then_many(store: Store) -> None:
    """The first batch is small, so that it is there soon; those behind it are as large as is meant.

    Each document comes once.
    """
    _fill(store, [100] * 12_000)
    batches = list(store.reading.find(ALL))
    assert _counts(batches)[0] == FIRST_BATCH
    assert all(BATCH_BYTES // 2 < len(each) < 2 * BATCH_BYTES for each in batches[1:-1])
    assert sorted(_ids(batches)) == list(range(12_000))  # type: ignore[type-var]


def test_large_documents_come_few_at_a_time(store: Store) -> None:
    """Documents of 100 KB come two or three at a time behind the first batch, not all at once."""
    _fill(store, [100_000] * 140)
    batches = list(store.reading.find(ALL))
    assert len(batches) > 2
    assert all(len(each) < 2 * BATCH_BYTES for each in batches[1:])
    assert sorted(_ids(batches)) == list(range(140))  # type: ignore[type-var]


def test_a_change_of_size_is_followed(store: Store) -> None:
    """After small documents come large ones: a batch has both, one more is large, no others are."""
    _fill(store, [0] * 3_000 + [100_000] * 300)
    batches = list(store.reading.find(Query(THINGS, sort=(("_id", 1),))))
    first = next(at for at, each in enumerate(batches) if len(each) > 2 * BATCH_BYTES)
    assert all(len(each) < 2 * BATCH_BYTES for each in batches[first + 2 :])
    assert _ids(batches) == list(range(3_300))


def test_a_pipeline_is_read_as_a_query_is(store: Store) -> None:
    """What a pipeline makes of large documents comes few at a time too."""
    _fill(store, [20_000] * 500)
    first, *rest = store.reading.aggregate(THINGS, [])
    assert _counts([first]) == [FIRST_BATCH]
    assert rest
    assert all(len(each) < 2 * BATCH_BYTES for each in rest)
    assert sorted(_ids([first, *rest])) == list(range(500))  # type: ignore[type-var]


def test_a_limit_that_fits_is_one_batch(store: Store) -> None:
    """A page is read in one go: its size is known, and each batch more would be a round trip."""
    _fill(store, [100] * 900)
    assert _counts(list(store.reading.find(Query(THINGS, limit=800)))) == [800]


@pytest.mark.parametrize("way", ["find", "aggregate"])
def test_what_is_left_half_read_is_ended_from_elsewhere(own_database: Database, way: str) -> None:
    """The garbage collector runs in any thread, at any line: perhaps while it has a lock.

    So whatever it finds there, this thread asks the database nothing; and no cursor is left open.
    """
    with (
        own_store(own_database, "left") as store,
        pymongo.MongoClient[dict[str, Any]](own_database.uri) as client,
    ):
        _fill(store, [1_000] * 1_000)
        reading = store.reading
        batches = reading.find(ALL) if way == "find" else reading.aggregate(THINGS, [])
        next(batches)
        assert _open_cursors(client) == 1
        circle: list[object] = [batches]
        circle.append(circle)
        gc.collect()  # what has outlived that comes in another order, batches before their cursor
        asked = store._pool.handed_out  # how often this thread has asked something
        del batches, circle
        gc.collect()
        assert store._pool.handed_out == asked
        wait_until(lambda: _open_cursors(client) == 0, "the cursor is closed")


def _open_cursors(client: pymongo.MongoClient[dict[str, Any]]) -> int:
    status = client.admin.command("serverStatus")
    return int(status["metrics"]["cursor"]["open"]["total"])
