"""What a client is told when the connection to the database breaks around a write."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import bson
import pytest
from bson import ObjectId

from demijohn.documents.insert import insert_one, insertion
from demijohn.errors import DuplicateKey, OutcomeUnknown
from demijohn.formats.spelling import Draft
from demijohn.settings import Settings
from demijohn.store.documents import Store
from demijohn.telemetry.metrics import Metrics
from tests.support.api import UPDATE, Answer, Api
from tests.support.breaker import Breaker, Moment
from tests.support.database import Database, Documents, emptied
from tests.support.service import serving

DOCUMENTS = "/v1/collections/outcomes/documents"


@pytest.fixture(scope="module")
def breaker(database: Database) -> Iterator[Breaker]:
    """A proxy before the database."""
    with Breaker(database.port) as breaker:
        yield breaker


@pytest.fixture(scope="module")
def api(breaker: Breaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A client of a service behind the breaker, whose driver sends no write a second time."""
    uri = f"mongodb://127.0.0.1:{breaker.port}/?directConnection=true&retryWrites=false"
    settings = {"MONGODB_URI": uri, "DEMIJOHN_WORKERS": "1"}
    with (
        serving(tmp_path_factory.mktemp("outcomes"), settings) as service,
        closing(Api(service.url)) as client,
    ):
        yield client


@pytest.fixture
def stored(database: Database) -> Iterator[Documents]:
    """What is stored, seen past the service; empty at first."""
    with emptied(database.uri, "outcomes") as collection:
        yield collection


def _increment(api: Api) -> Answer:
    return api.patch(f"{DOCUMENTS}/n", '{"$inc":{"n":1}}', UPDATE)


def _insert(api: Api, value: object, **headers: str) -> Answer:
    return api.post(json.dumps(value), DOCUMENTS, **headers)


@pytest.mark.parametrize("command", ["find", "update"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_before_the_commit_nothing_is_written(
    api: Api, breaker: Breaker, stored: Documents, command: str, moment: Moment
) -> None:
    """A connection that breaks inside a transaction is database-unavailable: no write, surely."""
    stored.insert_one({"_id": "n", "n": 0})
    assert _increment(api).status == 200
    breaker.arm(command, moment)
    answer = _increment(api)
    assert breaker.broken == 1
    assert answer.problem() == "database-unavailable"
    assert stored.find_one({"_id": "n"}) == {"_id": "n", "n": 1}
    assert _increment(api).json() == {"_id": "n", "n": 2}


def test_a_commit_whose_answer_is_lost(api: Api, breaker: Breaker, stored: Documents) -> None:
    """The driver sends a commit again, so one lost answer changes nothing: one effect, and 200.

    Or, where the database does not know of it any more, the outcome is said to be unknown.
    """
    stored.insert_one({"_id": "n", "n": 0})
    assert _increment(api).status == 200
    breaker.arm("commitTransaction", "after")
    answer = _increment(api)
    assert breaker.broken == 1
    assert answer.status == 200 or answer.problem() == "outcome-unknown"
    assert stored.find_one({"_id": "n"}) == {"_id": "n", "n": 2}


def test_a_commit_that_never_arrives(api: Api, breaker: Breaker, stored: Documents) -> None:
    """It is 200 with the effect, or unknown without: never a denial, never a false success."""
    stored.insert_one({"_id": "n", "n": 0})
    assert _increment(api).status == 200
    breaker.arm("commitTransaction", "before")
    answer = _increment(api)
    (found,) = stored.find()
    assert (answer.status, found) in ((200, {"_id": "n", "n": 2}), (503, {"_id": "n", "n": 1}))
    assert answer.status == 200 or answer.problem() == "outcome-unknown"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_insert_whose_answer_is_lost(
    api: Api, breaker: Breaker, stored: Documents, moment: Moment
) -> None:
    """Without a transaction nobody can tell: outcome-unknown, whether it happened or not."""
    assert _insert(api, {"x": 0}).status == 201
    breaker.arm("insert", moment)
    assert _insert(api, {"x": 1}).problem() == "outcome-unknown"
    assert stored.count_documents({"x": 1}) == (moment == "after")


def test_a_write_that_no_majority_confirms_in_time(
    api: Api, breaker: Breaker, stored: Documents
) -> None:
    """It is stored and may be rolled back: outcome-unknown, alone and in a transaction; not lost.

    (MongoDB manual, "Write Concern": wtimeout.) A retry with the key gets the first answer.
    """
    stored.insert_one({"_id": "n", "n": 0})
    key = str(uuid.uuid4())
    asked: list[tuple[str, Callable[[], Answer]]] = [
        ("insert", lambda: _insert(api, {"x": 1})),
        ("commitTransaction", lambda: _increment(api)),
        ("commitTransaction", lambda: _insert(api, {"y": 1}, Idempotency_Key=key)),
    ]
    for command, ask in asked:
        breaker.arm(command, "unconfirmed")
        answer = ask()
        breaker.disarm()
        assert breaker.broken
        assert (answer.status, answer.problem()) == (503, "outcome-unknown")
    assert stored.count_documents({"x": 1}) == 1
    assert stored.find_one({"_id": "n"}) == {"_id": "n", "n": 1}
    again = _insert(api, {"y": 1}, Idempotency_Key=key)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert stored.count_documents({"y": 1}) == 1


@pytest.mark.parametrize("command", ["find", "insert", "commitTransaction"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_with_a_key_a_retry_is_safe(
    api: Api, breaker: Breaker, stored: Documents, command: str, moment: Moment
) -> None:
    """Wherever it broke, the same request sent again with its key has happened once."""
    key = str(uuid.uuid4())
    assert _insert(api, {"x": 0}, Idempotency_Key=str(uuid.uuid4())).status == 201
    breaker.arm(command, moment)
    first = _insert(api, {"x": 1}, Idempotency_Key=key)
    assert breaker.broken == 1
    assert first.status in (201, 503)
    again = _insert(api, {"x": 1}, Idempotency_Key=key)
    assert again.status == 201
    assert stored.count_documents({"x": 1}) == 1


def test_an_id_of_the_service_is_nobody_elses(database: Database, stored: Documents) -> None:
    """A second insert under an id that the service made is its own: the outcome is unknown.

    A driver that sends an insert again, to a server that has forgotten the first, meets this. An id
    of the client's own is a duplicate.
    """
    store = Store(database.uri, Settings(), Metrics())
    ours = insertion("outcomes", Draft(None, bson.encode({"n": 1})), ObjectId)
    theirs = insertion("outcomes", Draft(ours.id, ours.draft.fields), ObjectId)
    try:
        insert_one(store, ours)
        with pytest.raises(OutcomeUnknown):
            insert_one(store, ours)
        with pytest.raises(DuplicateKey):
            insert_one(store, theirs)
    finally:
        store.close()
    assert stored.count_documents({}) == 1
