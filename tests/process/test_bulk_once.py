"""Arrays with an Idempotency-Key: one effect, whoever dies, and not at all without transactions."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import urllib3

from tests.conftest import Starter
from tests.support.api import Answer, Api
from tests.support.database import Database, emptied
from tests.support.processes import kill_all
from tests.support.service import Service, serving
from tests.support.together import at_once

NAME = "arrays"
PATH = f"/v1/collections/{NAME}/documents"
SIZE = 300
"""Documents in an array; every tenth is refused."""
ARRAYS, KILLS = 12, 4


def _array(name: str) -> str:
    return json.dumps([{"of": name} if at % 10 else {"$of": name} for at in range(SIZE)])


def _post(api: Api, name: str) -> Answer:
    return api.post(_array(name), PATH, Idempotency_Key=name)


def _post_until_answered(api: Api, name: str) -> Answer:
    """Send the same array until there is an answer that is no failure."""
    while True:
        with suppress(urllib3.exceptions.HTTPError):
            answer = _post(api, name)
            if answer.status < 500 and answer.status != 409:
                return answer
        time.sleep(0.05)


def test_an_array_has_one_effect_whoever_dies(own_database: Database, own_service: Starter) -> None:
    """Workers are killed, then the database: each answered array is there, whole and once."""
    service = own_service({"MONGODB_URI": own_database.uri, "DEMIJOHN_WORKERS": "2"})
    names = [uuid.uuid4().hex for _ in range(ARRAYS)]
    killer = threading.Thread(target=_kill, args=(service, own_database))
    with emptied(own_database.uri, NAME) as kept, closing(Api(service.url)) as api:
        killer.start()
        answers = at_once(ARRAYS, lambda number: _post_until_answered(api, names[number]))
        killer.join()
        good = SIZE * 9 // 10
        assert [(each.status, each.json()["inserted"]) for each in answers] == [
            (207, good)
        ] * ARRAYS
        assert [kept.count_documents({"of": name}) for name in names] == [good] * ARRAYS
        again = [_post_until_answered(api, name) for name in names]
        assert [each.body for each in again] == [each.body for each in answers]
        assert kept.count_documents({}) == good * ARRAYS


def _kill(service: Service, database: Database) -> None:
    """Kill one worker after another, some of them in the middle of their arrays.

    In the end the database too, which would keep the transactions of the dead for a minute.
    """
    for _ in range(KILLS):
        time.sleep(random.uniform(0.05, 0.3))
        workers = set(service.workers())
        kill_all([each for each in service.everything() if each.pid in workers][:1])
    database.kill()
    database.start()


def test_the_same_array_at_one_time(service: Service, database: Database) -> None:
    """Of many that are sent together one is carried out; the others get its answer, or wait."""
    name = uuid.uuid4().hex
    with emptied(database.uri, NAME) as kept, closing(Api(service.url)) as api:
        answers = at_once(8, lambda _: _post(api, name))
        done = [each for each in answers if each.status == 207]
        assert {each.status for each in answers} <= {207, 409}
        assert len({each.body for each in done}) == 1
        assert [each.problem() for each in answers if each.status == 409] == [
            "idempotency-in-progress"
        ] * (8 - len(done))
        assert kept.count_documents({}) == SIZE * 9 // 10


@pytest.fixture(scope="module")
def lone_api(standalone: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A client of a service on the standalone."""
    settings = {"MONGODB_URI": standalone.uri, "DEMIJOHN_WORKERS": "1"}
    with (
        serving(tmp_path_factory.mktemp("lone"), settings) as service,
        closing(Api(service.url)) as api,
    ):
        yield api


def test_many_documents_without_transactions(standalone: Database, lone_api: Api) -> None:
    """Arrays and uploads go in as anywhere; with a key an array is 501, and nothing is done."""
    with emptied(standalone.uri, NAME) as kept:
        assert _post(lone_api, "key").problem() == "needs-replica-set"
        assert kept.count_documents({}) == 0
        answer = lone_api.post(_array("plain"), PATH)
        assert (answer.status, answer.json()["inserted"]) == (207, SIZE * 9 // 10)
        headers = {"Content-Type": "application/x-ndjson"}
        answer = lone_api.ask("POST", PATH, '{"_id":1}\n{"_id":1.0}\n{"_id":2}', headers)
        told, summary = map(json.loads, answer.body.splitlines())
        assert (told["line"], told["code"]) == (2, "duplicate-key")
        assert summary == {"inserted": 2, "failed": 1, "done": True}
