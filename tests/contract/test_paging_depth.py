"""What a page costs, however deep in the list it is: the index keys that the database examines."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest
from bson.raw_bson import RawBSONDocument

from demijohn.query.cursor import position_of
from demijohn.query.filters import Filter
from demijohn.query.keyset import after
from demijohn.query.sort import Sort, read_sort
from demijohn.settings import Settings
from demijohn.store.documents import Store
from demijohn.store.reading import Query
from demijohn.telemetry.metrics import Metrics
from tests.bench.database import NAME, RustDatabase

THINGS, DATABASE = "things", "depth"
LIMIT = 20
SORTS = ("_id", "number", "-number", "status", "-status", "status,-age", "mixed", "-mixed")
MIXED = (None, True, 0.5, "x", bson.ObjectId("0" * 24))
ALL = Filter(bson.encode({}))


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose `explain` has bounds to be believed; the embedded one's has not."""
    program = shutil.which(os.environ.get(NAME) or "secantusd-rs")
    if program is None:
        pytest.skip("secantusd-rs is not on the PATH")
    directory: Path = tmp_path_factory.mktemp("database")
    database = RustDatabase(directory, program).start()
    yield database.uri
    database.stop()


@pytest.mark.parametrize(
    "pages", [100, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_a_deep_page_costs_what_the_first_one_costs(uri: str, pages: int) -> None:
    """With an index that matches, on every page about as many keys are examined as are shown.

    Also on the last one, and where few values of the first path are shared by all documents.
    """
    with pymongo.MongoClient[RawBSONDocument](uri, document_class=RawBSONDocument) as client:
        fill(client, pages * LIMIT)
        store = Store(uri, Settings(mongodb_uri=uri, database=DATABASE), Metrics())
        for text in SORTS:
            sort = read_sort(text)
            costs = [cost(store, sort, start(client, sort, each)) for each in depths(pages)]
            print(f"sort={text}: keys {[keys for keys, _ in costs]} on pages {depths(pages)}")
            assert all(keys <= LIMIT + 1 + 2 * ranges for keys, ranges in costs), costs
        store.close()


def depths(pages: int) -> list[int]:
    """The first page, some in the middle, and the last two."""
    return [1, 2, 10, pages // 3, pages // 2, pages - 1, pages]


def fill(client: pymongo.MongoClient[Any], number: int) -> None:
    """Put that many documents there, with an index for each sort."""
    things = client[DATABASE][THINGS]
    things.drop()
    chance = random.Random(number)
    for begin in range(0, number, 5_000):
        size = min(5_000, number - begin)
        things.insert_many([RawBSONDocument(bson.encode(one(chance))) for _ in range(size)])
    for path in ("number", "status", "mixed"):
        things.create_index([(path, 1), ("_id", 1)])
    things.create_index([("status", 1), ("age", -1), ("_id", -1)])


def one(chance: random.Random) -> dict[str, object]:
    """A document with many different numbers, few statuses and ages, and values of mixed types."""
    return {
        "_id": bson.ObjectId(),
        "number": chance.randrange(10**9),
        "status": chance.choice(["open", "closed", "new"]),
        "age": chance.randrange(100),
        "mixed": chance.choice(MIXED),
    }


def start(client: pymongo.MongoClient[Any], sort: Sort, page: int) -> Sequence[Filter]:
    """The ranges of a page, given its number."""
    if page == 1:
        return [ALL]
    found = client[DATABASE][THINGS].find({}, sort=list(sort.keys))
    last = next(found.skip((page - 1) * LIMIT - 1).limit(1))
    return list(after(position_of(bytes(last.raw), sort), sort))


def cost(store: Store, sort: Sort, ranges: Sequence[Filter]) -> tuple[int, int]:
    """Keys examined until the page is full, and in how many ranges."""
    found = keys = asked = 0
    for each in ranges:
        query = Query(THINGS, each.bson, sort.keys, limit=LIMIT + 1 - found)
        told = store.reading.explain(query)["executionStats"]
        found += told["nReturned"]
        keys += told["totalKeysExamined"]
        asked += 1
        if found > LIMIT:
            break
    assert found >= LIMIT
    return keys, asked
