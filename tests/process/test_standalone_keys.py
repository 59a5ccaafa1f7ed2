"""Idempotency-Key on a standalone mongod: for inserts, and said where it is not."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest
import urllib3
from pymongo.database import Database as Names

from demijohn.documents.records import COLLECTION as RECORDS
from tests.conftest import Starter
from tests.support.api import Answer, Api
from tests.support.database import Database, free_port
from tests.support.processes import wait_until
from tests.support.service import Service, serving
from tests.support.standalone import Standalone
from tests.support.together import at_once

PLACES = ("/data", "/v1/collections/data/documents")
ROUNDS = 6
Stored = Names[dict[str, Any]]


@pytest.fixture(scope="module")
def keyed_service(
    standalone: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Two workers on the standalone."""
    settings = {"MONGODB_URI": standalone.uri, "DEMIJOHN_WORKERS": "2"}
    with serving(tmp_path_factory.mktemp("keyed"), settings) as service:
        yield service


@pytest.fixture
def api(keyed_service: Service) -> Iterator[Api]:
    """A client of it."""
    with closing(Api(keyed_service.url)) as api:
        yield api


@pytest.fixture
def stored(standalone: Database) -> Iterator[Stored]:
    """What lies in the service's database, seen by another client; empty at first."""
    with pymongo.MongoClient[dict[str, Any]](standalone.uri) as client:
        for name in ("data", RECORDS):
            client["flask_db"][name].delete_many({})
        yield client["flask_db"]


def _post(api: Api, place: str, value: object, key: str) -> Answer:
    return api.post(json.dumps(value), place, Idempotency_Key=key)


def _assert_replay(first: Answer, again: Answer) -> None:
    """The same answer, marked; of the first, nothing is."""
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status, again.body) == (first.status, first.body)
    for name in ("Location", "ETag", "Content-Type"):
        assert again.headers.get(name) == first.headers.get(name)


@pytest.mark.parametrize("place", PLACES)
def test_a_retry_gets_the_first_answer(api: Api, stored: Stored, place: str) -> None:
    """One document however often it is sent; another request under the key is refused."""
    first = _post(api, place, {"n": 1}, "a")
    assert first.status == 201
    for _ in range(4):
        _assert_replay(first, _post(api, place, {"n": 1}, "a"))
    assert _post(api, place, {"n": 2}, "a").problem() == "idempotency-key-reused"
    assert _post(api, place, {"n": 1}, "b").status == 201
    assert stored["data"].count_documents({}) == 2
    assert stored["data"].count_documents({"n": 1}) == 2


def test_a_refusal_is_an_answer_too(api: Api, stored: Stored) -> None:
    """A duplicate is told to a retry as well, though the other document is gone by then."""
    stored["data"].insert_one({"_id": "x"})
    first = _post(api, PLACES[1], {"_id": "x", "n": 1}, "a")
    assert first.problem() == "duplicate-key"
    stored["data"].delete_many({})
    again = _post(api, PLACES[1], {"_id": "x", "n": 1}, "a")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["code"] == "duplicate-key"
    assert stored["data"].count_documents({}) == 0


def test_a_retry_does_not_undo_a_deletion(api: Api, stored: Stored) -> None:
    """What was answered stays answered: a document that somebody deleted is not there again."""
    first = _post(api, PLACES[1], {"n": 1}, "a")
    assert api.ask("DELETE", first.headers["Location"]).status == 204
    _assert_replay(first, _post(api, PLACES[1], {"n": 1}, "a"))
    assert stored["data"].count_documents({}) == 0


def test_many_at_one_time(api: Api, stored: Stored) -> None:
    """One key from many clients at once: one document, and no answer names another."""
    answers = at_once(8, lambda _: _post(api, PLACES[1], {"n": 1}, "a"))
    assert {each.status for each in answers} <= {201, 409}
    assert {each.problem() for each in answers if each.status == 409} <= {"idempotency-in-progress"}
    (document,) = stored["data"].find()
    told = {each.headers["Location"] for each in answers if each.status == 201}
    assert told == {f"{PLACES[1]}/{document['_id']}"}
    made = (each for each in answers if each.status == 201)
    _assert_replay(
        next(each for each in made if "Idempotency-Replayed" not in each.headers),
        _post(api, PLACES[1], {"n": 1}, "a"),
    )


@pytest.mark.parametrize("has_document", [True, False])
def test_an_attempt_that_was_cut(api: Api, stored: Stored, has_document: bool) -> None:  # noqa: FBT001
    """A record without its answer, as a crash leaves it, with or without its document.

    The retry inserts under the id that was noted, or finds that it was done.
    """
    first = _post(api, PLACES[1], {"n": 1}, "a")
    (document,) = stored["data"].find()
    head = bson.encode({"_id": document["_id"]})
    unsaid = {"status": "", "headers": "", "body": ""}
    stored[RECORDS].update_one({}, {"$set": {"intended": head}, "$unset": unsaid})
    if not has_document:
        stored["data"].delete_many({})
    retry = _post(api, PLACES[1], {"n": 1}, "a")
    assert (retry.status, retry.headers["Location"]) == (201, first.headers["Location"])
    assert list(stored["data"].find()) == [document]
    _assert_replay(retry, _post(api, PLACES[1], {"n": 1}, "a"))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_writes_need_a_replica_set(api: Api, stored: Stored, method: str) -> None:
    """They say so and do nothing, with the key; without it they work."""
    stored["data"].insert_one({"_id": "x", "n": 1})
    headers = {"Content-Type": "application/json"}
    body = None if method == "DELETE" else '{"n":2}'
    path = f"{PLACES[1]}/x"
    refused = api.ask(method, path, body, {**headers, "Idempotency-Key": "a"})
    assert (refused.status, refused.problem()) == (501, "needs-replica-set")
    assert stored["data"].find_one() == {"_id": "x", "n": 1}
    assert stored[RECORDS].count_documents({}) == 0
    assert api.ask(method, path, body, headers).status in (200, 204)


class Sender:
    """Posts document after document, each under a key of its own, again until it is answered."""

    def __init__(self, port: int) -> None:
        """Begin at once."""
        self.acknowledged: dict[int, str] = {}
        """The `Location` of each number's document."""
        self.stopping = threading.Event()
        self._api = Api(f"http://127.0.0.1:{port}")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait_for_more(self) -> None:
        """Wait for answers to a few more requests."""
        goal = len(self.acknowledged) + 3
        wait_until(lambda: len(self.acknowledged) >= goal, "answers come")

    def end(self) -> None:
        """Wait for the answer to the last."""
        self.stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._api.close()

    def _run(self) -> None:
        while not self.stopping.is_set():
            number = len(self.acknowledged)
            self.acknowledged[number] = self._insist(number)

    def _insist(self, number: int) -> str:
        while True:
            try:
                answer = _post(self._api, PLACES[1], {"n": number}, f"key-{number}")
            except urllib3.exceptions.HTTPError:
                answer = None
            if answer is not None and answer.status == 201:
                return str(answer.headers["Location"])
            assert answer is None or answer.status in (503, 504), answer.body
            time.sleep(0.02)


def test_a_kill_at_any_instant(tmp_path: Path, own_service: Starter) -> None:
    """Service and database are killed under a client that retries: each key has one document."""
    database = Standalone(tmp_path).start()
    port = free_port()
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE_TIMEOUT": "5"}
    service = own_service(settings, "--port", str(port))
    sender = Sender(port)
    try:
        for number in range(ROUNDS):
            sender.wait_for_more()
            time.sleep(random.uniform(0, 0.05))
            if number % 3 == 2:
                database.kill()
                database.start()
            else:
                service.kill()
                service = own_service(settings, "--port", str(port))
        sender.end()
        with pymongo.MongoClient[dict[str, Any]](database.uri) as client:
            found = {each["n"]: each["_id"] for each in client["flask_db"]["data"].find()}
            assert client["flask_db"]["data"].count_documents({}) == len(found)
    finally:
        sender.stopping.set()
        database.stop()
    told = {number: where.rpartition("/")[2] for number, where in sender.acknowledged.items()}
    assert {number: str(each) for number, each in found.items()} == told
