"""What a client is told when the database is lost around filter-wide writes and pipelines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import urllib3

from tests.conftest import Starter
from tests.support.api import JSON, UPDATE, Answer, Api
from tests.support.breaker import Breaker, Moment
from tests.support.database import Database, Documents, emptied
from tests.support.service import serving

OUTCOMES = "/v1/collections/outcomes"
DOCUMENTS = f"{OUTCOMES}/documents"
INDEX = '{"key":{"n":1}}'
ALL = '{"pipeline":[]}'


@pytest.fixture(scope="module")
def breaker(database: Database) -> Iterator[Breaker]:
    """A proxy before the database."""
    with Breaker(database.port) as breaker:
        yield breaker


@pytest.fixture(scope="module")
def api(breaker: Breaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A client of a service behind the breaker."""
    uri = f"mongodb://127.0.0.1:{breaker.port}/?directConnection=true"
    settings = {"MONGODB_URI": uri, "DEMIJOHN_WORKERS": "1"}
    with (
        serving(tmp_path_factory.mktemp("outcomes"), settings) as service,
        closing(Api(service.url)) as client,
    ):
        yield client


@pytest.fixture
def stored(database: Database) -> Iterator[Documents]:
    """Three documents, seen past the service."""
    with emptied(database.uri, "outcomes") as collection:
        collection.drop()
        collection.insert_many([{"_id": n, "n": n} for n in range(3)])
        yield collection


def _update(api: Api) -> Answer:
    return api.patch(f"{DOCUMENTS}?n[gte]=1", '{"$set":{"seen":true}}', UPDATE)


@pytest.mark.parametrize("moment", ["before", "after", "unconfirmed"])
def test_an_update_whose_answer_is_lost(
    api: Api, breaker: Breaker, stored: Documents, moment: Moment
) -> None:
    """Nobody can tell: outcome-unknown that says what may be; it is not sent a second time."""
    breaker.arm("update", moment)
    answer = _update(api)
    breaker.disarm()
    assert breaker.broken == 1
    assert answer.problem() == "outcome-unknown"
    assert "some or all of the documents" in answer.json()["detail"]
    assert stored.count_documents({"seen": True}) == (0 if moment == "before" else 2)
    assert _update(api).json()["matched"] == 2


@pytest.mark.parametrize("moment", ["before", "after", "unconfirmed"])
def test_a_delete_whose_answer_is_lost(
    api: Api, breaker: Breaker, stored: Documents, moment: Moment
) -> None:
    """The same."""
    breaker.arm("delete", moment)
    answer = api.delete(f"{DOCUMENTS}?n[gte]=1")
    breaker.disarm()
    assert breaker.broken == 1
    assert answer.problem() == "outcome-unknown"
    assert "some or all of the documents" in answer.json()["detail"]
    assert stored.count_documents({}) == (3 if moment == "before" else 1)


def test_an_update_that_ends_half_way(api: Api, stored: Documents) -> None:
    """What came before stays changed where it is no transaction, and `partial` says that it may."""
    stored.update_one({"_id": 2}, {"$set": {"n": "two"}})
    refused = api.patch(f"{DOCUMENTS}?all=true", '{"$inc":{"n":10}}', UPDATE)
    assert (refused.problem(), refused.json()["partial"]) == ("invalid-patch", True)
    assert [each["n"] for each in stored.find(sort=[("_id", 1)])] in (
        [10, 11, "two"],
        [0, 1, "two"],
    )


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_index_whose_answer_is_lost(
    api: Api, breaker: Breaker, stored: Documents, moment: Moment
) -> None:
    """Outcome-unknown; the same request, sent again, says that the index is there."""
    breaker.arm("createIndexes", moment)
    answer = api.post(INDEX, f"{OUTCOMES}/indexes")
    assert breaker.broken == 1
    assert answer.problem() == "outcome-unknown"
    assert "sent again" in answer.json()["detail"]
    again = api.post(INDEX, f"{OUTCOMES}/indexes")
    assert again.status == (201 if moment == "before" else 200)
    assert "n_1" in stored.index_information()


def test_filter_wide_writes_among_transactions(
    own_database: Database, own_service: Starter
) -> None:
    """Changes of all and of one at a time, many at once: each is done once or refused whole.

    Sent as MongoDB would have them, they made the embedded database hang for good.
    """
    api = Api(own_service({"MONGODB_URI": own_database.uri}).url)
    ids = [f"d{n}" for n in range(200)]
    assert api.post(json.dumps([{"_id": each, "n": 0} for each in ids]), DOCUMENTS).status == 201

    def increment(number: int) -> Answer:
        one = f"{DOCUMENTS}/d{number}" if number % 3 == 0 else f"{DOCUMENTS}?all=true"
        return api.patch(one, '{"$inc":{"n":1}}', UPDATE)

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(increment, range(60)))
    assert {each.status for each in answers} <= {200, 409}
    of_all = sum("matched" in each.json() for each in answers)
    assert of_all > 0
    found = api.get(f"{DOCUMENTS}/d1").json()["n"]
    assert found == of_all


@pytest.mark.parametrize("accepted", ["application/json", "application/x-ndjson"])
def test_a_pipeline_that_breaks_half_way_is_cut(
    api: Api, breaker: Breaker, stored: Documents, accepted: str
) -> None:
    """A database lost after the first bytes cuts the answer, in both forms; no part looks whole."""
    stored.insert_many([{"_id": n, "text": "x" * 4_000} for n in range(3, 5_000)])
    headers = {**JSON, "Accept": accepted}
    with urllib3.PoolManager(retries=False) as pool:
        url = f"{api.url}{OUTCOMES}/aggregate"
        answer = pool.request("POST", url, body=ALL, headers=headers, preload_content=False)
        assert (answer.status, len(answer.read(1_000))) == (200, 1_000)
        breaker.arm("getMore", "before")
        with pytest.raises(urllib3.exceptions.ProtocolError):
            answer.read()
    assert breaker.broken == 1
    assert len(api.post(ALL, f"{OUTCOMES}/aggregate", Accept=accepted).body) > 20_000_000


@pytest.mark.parametrize(
    ("ask", "command", "code"),
    [
        (_update, "update", "outcome-unknown"),
        (lambda api: api.delete(f"{DOCUMENTS}?n=1"), "delete", "outcome-unknown"),
        (lambda api: api.post(ALL, f"{OUTCOMES}/aggregate"), "aggregate", "deadline-exceeded"),
        (lambda api: api.get(f"{OUTCOMES}/distinct/n"), "distinct", "deadline-exceeded"),
        (lambda api: api.get(f"{OUTCOMES}/indexes"), "listIndexes", "deadline-exceeded"),
    ],
    ids=["update", "delete", "aggregate", "distinct", "indexes"],
)
@pytest.mark.usefixtures("stored")
def test_a_database_that_does_not_answer(
    breaker: Breaker,
    own_service: Starter,
    ask: Callable[[Api], Answer],
    command: str,
    code: str,
) -> None:
    """No hang and no 500: a read is a 504 before its first byte, the outcome of a write unknown.

    The request itself is what is not answered, whenever the service looks what holds for it.
    """
    uri = f"mongodb://127.0.0.1:{breaker.port}/?directConnection=true&retryReads=false"
    settings = {"MONGODB_URI": uri, "DEMIJOHN_DATABASE_TIMEOUT": "4"}
    api = Api(own_service(settings).url)
    assert ask(api).status == 200
    breaker.arm(command, "unanswered")
    try:
        assert ask(api).problem() == code
    finally:
        breaker.disarm()
    assert breaker.broken
    assert ask(api).status == 200
