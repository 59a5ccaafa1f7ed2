"""Keyed inserts without transactions: what a client gets whose attempts overlap or are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import bson
import pymongo
import pytest
from bson import ObjectId

from demijohn.documents.change import Changed, Check
from demijohn.documents.idempotency import Keyed
from demijohn.documents.insert import insertion
from demijohn.documents.records import COLLECTION, Told, make_key
from demijohn.documents.standalone import insert_once
from demijohn.errors import InvalidDocument, Problem
from demijohn.formats.bson_values import Value, from_python
from demijohn.formats.spelling import Draft
from demijohn.settings import Settings
from demijohn.store.documents import Store
from demijohn.telemetry.metrics import Metrics
from tests.support.database import Database, Documents

NAME = "once"
KEY = make_key("", "key", (b"request",))
FIELDS = bson.encode({"n": 1})
OURS = from_python("ours")


class CutError(Exception):
    """The process dies here."""


@dataclass(frozen=True, slots=True)
class Interrupted(Draft):
    """Something happens once the key is begun, before the document is there."""

    between: Callable[[], object]

    def under(self, document_id: Value) -> bytes:
        """As the draft, afterwards."""
        self.between()
        return Draft.under(self, document_id)


def _cut() -> None:
    raise CutError


def _refuse(_: bytes) -> None:
    raise InvalidDocument("It does not fit.")


class Attempts:
    """Attempts at the same request, on one store."""

    def __init__(self, store: Store, client: pymongo.MongoClient[dict[str, Any]]) -> None:
        """Take the store, and another way to what it writes."""
        self.documents: Documents = client["flask_db"][NAME]
        self.records: Documents = client["flask_db"][COLLECTION]
        self._store = store

    def post(
        self,
        own_id: Value | None,
        between: Callable[[], object] = lambda: None,
        check: Check = lambda _: None,
    ) -> Told:
        """One attempt; without an id of the client's own it makes one, as the service does."""
        draft = Interrupted(own_id, FIELDS, between)
        keyed = Keyed(KEY, self._tell, self._refuse, lambda: 0.0)
        return insert_once(self._store, keyed, insertion(NAME, draft, ObjectId, check))

    def recorded(self) -> int:
        """The status that a later retry is told."""
        record = self.records.find_one()
        assert record is not None
        return int(record["status"])

    def _tell(self, changed: Changed) -> Told:
        return Told(201, (), changed.after)

    def _refuse(self, problem: Problem) -> Told:
        return Told(problem.status, (), b"", problem.code)


@pytest.fixture
def attempts(standalone: Database) -> Iterator[Attempts]:
    """On a standalone, without documents and records."""
    settings = Settings(mongodb_uri=standalone.uri)
    with (
        closing(Store(standalone.uri, settings, Metrics())) as store,
        pymongo.MongoClient[dict[str, Any]](standalone.uri) as client,
    ):
        attempts = Attempts(store, client)
        attempts.records.delete_many({})
        yield attempts
        attempts.documents.drop()
        attempts.records.delete_many({})


IDS = pytest.mark.parametrize("own_id", [None, OURS], ids=["new id", "own id"])


@IDS
def test_a_retry_overtakes_the_first(attempts: Attempts, own_id: Value | None) -> None:
    """The slow first attempt finds its document there, and says what the retry was told."""
    told: list[Told] = []
    late = attempts.post(own_id, lambda: told.append(attempts.post(own_id)))
    assert [each.status for each in (*told, late)] == [201, 201]
    assert told[0].body == late.body
    assert attempts.documents.count_documents({}) == 1
    assert attempts.recorded() == 201


@IDS
def test_a_cut_attempt_is_finished(attempts: Attempts, own_id: Value | None) -> None:
    """Cut before the document is there: the retry inserts it, under the id that was noted."""
    with pytest.raises(CutError):
        attempts.post(own_id, _cut)
    noted = bson.decode(attempts.records.find_one({})["intended"])  # type: ignore[index]
    assert attempts.documents.count_documents({}) == 0
    assert attempts.post(own_id).status == 201
    assert attempts.documents.find_one() == {**noted, "n": 1}
    assert attempts.post(own_id).replayed


@IDS
def test_a_schema_holds_where_nothing_was_done(attempts: Attempts, own_id: Value | None) -> None:
    """A key that is begun is no way past the schema: what is not there yet is held to it."""
    with pytest.raises(CutError):
        attempts.post(own_id, _cut)
    assert attempts.post(own_id, check=_refuse).problem == "invalid-document"
    assert attempts.documents.count_documents({}) == 0
    assert attempts.recorded() == 422


@IDS
def test_a_schema_does_not_undo(attempts: Attempts, own_id: Value | None) -> None:
    """What a cut attempt has inserted is told as inserted, whatever is demanded since."""
    with pytest.raises(CutError):
        attempts.post(own_id, _cut)
    noted = bson.decode(attempts.records.find_one({})["intended"])  # type: ignore[index]
    attempts.documents.insert_one({**noted, "n": 1})
    assert attempts.post(own_id, check=_refuse).status == 201
    assert attempts.recorded() == 201


@IDS
def test_a_duplicate_of_something_else(attempts: Attempts, own_id: Value | None) -> None:
    """What a unique index refuses was not inserted by a cut attempt before: it is refused."""
    attempts.documents.create_index("n", unique=True)
    with pytest.raises(CutError):
        attempts.post(own_id, _cut)
    attempts.documents.insert_one({"_id": "another", "n": 1})
    assert attempts.post(own_id).problem == "duplicate-key"
    assert list(attempts.documents.find()) == [{"_id": "another", "n": 1}]
    assert attempts.post(own_id).replayed
    assert attempts.recorded() == 409


def test_the_id_is_taken_by_another(attempts: Attempts) -> None:
    """Another document under the client's own id is not taken for the cut attempt's."""
    with pytest.raises(CutError):
        attempts.post(OURS, _cut)
    attempts.documents.insert_one({"_id": "ours", "n": 2})
    assert attempts.post(OURS).problem == "duplicate-key"
    assert attempts.documents.find_one() == {"_id": "ours", "n": 2}


def test_equal_and_there_before(attempts: Attempts) -> None:
    """A first attempt at what is there already is a duplicate, even of equal bytes."""
    attempts.documents.insert_one({"_id": "ours", "n": 1})
    assert attempts.post(OURS).problem == "duplicate-key"
    assert attempts.recorded() == 409
