"""What the store does without transactions, between the instants that no client can choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import bson
import pymongo
import pytest
from bson import (
    Binary,
    Code,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from demijohn.errors import TooLarge, WriteConflict
from demijohn.settings import Settings
from demijohn.store.by_value import LARGEST_COMPARED
from demijohn.store.commands import Attempt
from demijohn.store.documents import Store
from demijohn.store.transaction import ATTEMPTS
from demijohn.telemetry.metrics import Metrics
from tests.support.database import Database, Documents

NAME = "by-value"
HEAD = bson.encode({"_id": 1})
# Not NaN: it is equal to itself in mongod's $eq, and is not in SecantusDB's.
EACH_TYPE: tuple[object, ...] = (
    *(-0.0, float("inf"), Int64(2**63 - 1), Decimal128("NaN"), Decimal128("1.10")),
    *("", "$n", b"", Binary(b"x", 5), ObjectId(), datetime(2026, 1, 1, tzinfo=UTC), None, True),
    *(Regex("^a", "i"), Code("x"), Code("x", {"y": 1}), Timestamp(1, 2), MinKey(), MaxKey()),
    *({}, [], {"$eq": 1}, {"a.b": {"": [None]}}, DBRef("other", 1)),
)
Between = Callable[[], object]
"""What another writer does between the reading and the writing."""


class Case:
    """A store, and the same collection seen by another client."""

    def __init__(self, store: Store, documents: Documents) -> None:
        """Take both."""
        self.store = store
        self.documents = documents
        self.seen: list[bytes | None] = []
        """What each attempt has read."""

    def change(self, between: Between, write: Callable[[Attempt], object]) -> None:
        """Read document 1, let another writer in at the first attempt, and write."""

        def work(attempt: Attempt) -> None:
            self.seen.append(attempt.find(NAME, HEAD))
            if len(self.seen) == 1:
                between()
            write(attempt)

        self.store.as_one(work)


def _case(database: Database) -> Iterator[Case]:
    settings = Settings(mongodb_uri=database.uri)
    with (
        closing(Store(database.uri, settings, Metrics())) as store,
        pymongo.MongoClient[dict[str, Any]](database.uri) as client,
    ):
        documents = client[settings.database][NAME]
        documents.insert_one({"_id": 1, "n": 1})
        yield Case(store, documents)
        documents.drop()


@pytest.fixture
def case(standalone: Database) -> Iterator[Case]:
    """On a standalone."""
    yield from _case(standalone)


@pytest.fixture
def set_case(database: Database) -> Iterator[Case]:
    """On a replica set, for what it does otherwise."""
    yield from _case(database)


def _replace(attempt: Attempt) -> None:
    attempt.replace(NAME, HEAD, bson.encode({"_id": 1, "by": "us"}))


def _modify(attempt: Attempt) -> None:
    attempt.modify(NAME, HEAD, {"$set": {"by": "us"}})


def _remove(attempt: Attempt) -> None:
    attempt.remove(NAME, HEAD)


WRITES = pytest.mark.parametrize("write", [_replace, _modify, _remove])


@WRITES
def test_another_value_is_a_change(case: Case, write: Callable[[Attempt], None]) -> None:
    """What another has changed in between is not written over: it is read and decided on anew."""
    case.change(lambda: case.documents.update_one({"_id": 1}, {"$set": {"n": 2}}), write)
    assert case.seen == [bson.encode({"_id": 1, "n": 1}), bson.encode({"_id": 1, "n": 2})]


@WRITES
def test_an_equal_number_is_none(case: Case, write: Callable[[Attempt], None]) -> None:
    """The weaker form, as documented: 1 that became 1.0 in between passes for unchanged."""
    case.change(lambda: case.documents.update_one({"_id": 1}, {"$set": {"n": 1.0}}), write)
    assert case.seen == [bson.encode({"_id": 1, "n": 1})]


@WRITES
def test_an_equal_number_is_one_on_a_set(set_case: Case, write: Callable[[Attempt], None]) -> None:
    """On a replica set the same change is one: the transaction is done again on other bytes."""
    another = set_case.documents
    set_case.change(lambda: another.update_one({"_id": 1}, {"$set": {"n": 1.0}}), write)
    assert set_case.seen == [bson.encode({"_id": 1, "n": 1}), bson.encode({"_id": 1, "n": 1.0})]


@WRITES
@pytest.mark.parametrize("value", ["1", [1], None, Decimal128("1.5")])
def test_another_type_is_a_change(
    case: Case, write: Callable[[Attempt], None], value: object
) -> None:
    """Only numbers of different types can be equal."""
    case.change(lambda: case.documents.update_one({"_id": 1}, {"$set": {"n": value}}), write)
    assert len(case.seen) == 2


@pytest.mark.parametrize("value", EACH_TYPE, ids=lambda value: type(value).__name__)
def test_every_document_equals_itself(case: Case, value: object) -> None:
    """No value keeps a document that nobody else writes from being changed."""
    case.documents.replace_one({"_id": 1}, {"in": [value], "n": value})
    case.change(lambda: None, _replace)
    assert len(case.seen) == 1


@WRITES
def test_what_a_document_holds_is_no_expression(
    case: Case, write: Callable[[Attempt], None]
) -> None:
    """Text that looks like a path or an operator is compared as the text that it is."""
    tricky = {"a": "$n", "b": "$$ROOT", "c": {"d": ["$a", {"e": "$$REMOVE"}]}}
    case.documents.replace_one({"_id": 1}, tricky)
    case.change(lambda: None, write)
    assert len(case.seen) == 1


def test_a_document_that_came_in_between(case: Case) -> None:
    """An insert that was decided on when there was none is decided on anew."""
    case.documents.delete_many({})

    def write(attempt: Attempt) -> None:
        if case.seen[-1] is None:
            attempt.insert(NAME, bson.encode({"_id": 1, "by": "us"}))

    case.change(lambda: case.documents.insert_one({"_id": 1, "by": "another"}), write)
    assert case.seen == [None, bson.encode({"_id": 1, "by": "another"})]
    assert case.documents.find_one() == {"_id": 1, "by": "another"}


def test_a_document_that_went_in_between(case: Case) -> None:
    """A replacement does not bring back what another has deleted."""

    def write(attempt: Attempt) -> None:
        if case.seen[-1] is not None:
            _replace(attempt)

    case.change(lambda: case.documents.delete_one({"_id": 1}), write)
    assert case.seen == [bson.encode({"_id": 1, "n": 1}), None]
    assert case.documents.count_documents({}) == 0


def test_others_never_stop(case: Case) -> None:
    """The attempts are bounded: where somebody always comes in between, it is a conflict."""
    another = case.documents

    def write(attempt: Attempt) -> None:
        another.update_one({"_id": 1}, {"$inc": {"n": 1}})
        _replace(attempt)

    with pytest.raises(WriteConflict):
        case.change(lambda: None, write)
    assert len(case.seen) == ATTEMPTS
    assert another.find_one() == {"_id": 1, "n": 1 + ATTEMPTS}


@WRITES
def test_as_large_as_can_be_compared(case: Case, write: Callable[[Attempt], None]) -> None:
    """7 MiB fit a command twice; a byte more is refused before anything is sent."""
    empty = len(bson.encode({"_id": 1, "text": ""}))
    case.documents.replace_one({"_id": 1}, {"text": "x" * (LARGEST_COMPARED - empty + 1)})
    with pytest.raises(TooLarge):
        case.change(lambda: None, write)
    case.documents.replace_one({"_id": 1}, {"text": "x" * (LARGEST_COMPARED - empty)})
    case.change(lambda: None, write)
    assert len(case.seen[1] or b"") == LARGEST_COMPARED


def test_two_that_fit_one_command(case: Case) -> None:
    """The largest old document and the largest new one go together."""
    empty = len(bson.encode({"_id": 1, "text": ""}))
    case.documents.replace_one({"_id": 1}, {"text": "x" * (LARGEST_COMPARED - empty)})
    other = bson.encode({"_id": 1, "text": "y" * (LARGEST_COMPARED - empty)})
    case.change(lambda: None, lambda attempt: attempt.replace(NAME, HEAD, other))
    assert case.documents.count_documents({"text": {"$regex": "^y"}}) == 1
