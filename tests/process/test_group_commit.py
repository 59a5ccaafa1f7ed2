"""Inserts that ride together, through the service: everyone is told of his own, and not too early.

What clients send, and what is held against the service, is told in tests/support/together_load.py.
"""

from __future__ import annotations

import random
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from itertools import islice

import psutil
import pytest

from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support import faults
from tests.support.api import Api
from tests.support.chaos.stage import kill_one
from tests.support.database import Database, Documents, emptied
from tests.support.processes import wait_until
from tests.support.raw_http import connect, series
from tests.support.service import Service
from tests.support.stores import THINGS, locked
from tests.support.together import at_once
from tests.support.together_load import NAME, TAKEN, Client, Sent, judge, play, wishes

CLIENTS = 64
SLOW = 0.1
"""Seconds after which another call may begin beside one (`store.together.Bounds`)."""
PAUSE = 1.5
"""Seconds for which the database answers nothing."""
UNWRITTEN = "database-unavailable"


@pytest.fixture
def stored(database: Database) -> Iterator[Documents]:
    """What lies in the collection; one document at first."""
    with emptied(database.uri, NAME) as documents:
        documents.insert_one({"_id": TAKEN, "mark": "there before"})
        yield documents


def _all(clients: Sequence[Sequence[Sent]]) -> list[Sent]:
    return [sent for each in clients for sent in each]


def _crowd(port: int, requests: int) -> list[Sent]:
    """What comes of so many requests of each of many clients."""
    return _all(at_once(CLIENTS, lambda each: play(port, f"c{each}", lambda done: done < requests)))


def _inserts(service: Service) -> tuple[float, float]:
    """Commands that have inserted documents, and the documents."""
    count, added = (
        sum(value for _, value in series(service.port, f"insert_batch_documents_{what}"))
        for what in ("count", "sum")
    )
    return count, added


@pytest.mark.parametrize("requests", [14, pytest.param(700, marks=pytest.mark.soak)])
def test_everyone_is_told_of_his_own(service: Service, stored: Documents, requests: int) -> None:
    """One by one, with keys, in uploads, all at once: each acknowledged document is there once.

    Each `Location` names the document that its client has sent, and refusals go to whom they
    are due.
    """
    commands, documents = _inserts(service)
    everyone = _crowd(service.port, requests)
    assert judge(everyone, stored) == {}
    assert len(everyone) == CLIENTS * requests
    after = _inserts(service)
    # Alone they would be not quite two a command, for an upload's lines ride together anyway.
    assert after[1] - documents > 3 * (after[0] - commands)


def test_mixed_up_errors_are_found(
    database: Database, own_service: Starter, stored: Documents
) -> None:
    """The control: a build that swaps what befell two of a command."""
    broken = faults.environ(faults.ERRORS_MIXED_UP)
    service = own_service({"MONGODB_URI": database.uri, **broken})
    assert {"lost", "refused but there", "wrong answer"} <= judge(
        _crowd(service.port, 14), stored
    ).keys()


def test_clients_that_leave_harm_nobody(service: Service, stored: Documents) -> None:
    """Half of them close their connections at any moment; all others are served as ever."""
    left: list[Sent] = []

    def one(number: int) -> list[Sent]:
        if number % 2:
            return play(service.port, f"stays{number}", lambda done: done < 14)
        chance = random.Random(number)
        for wish in islice(wishes(f"leaves{number}"), 14):
            left.append(Sent(wish))
            with connect(service.port) as connection:
                # Mostly all of it, so that it waits for its turn or is being carried out.
                connection.sendall(wish.raw[: int(len(wish.raw) * chance.uniform(0.7, 2))])
                time.sleep(chance.uniform(0, 0.02))
        return []

    stayed = _all(at_once(CLIENTS, one))
    assert judge(stayed, stored) == {}
    assert judge(left, stored).keys() <= {"unanswered"}
    assert any(each["mark"].startswith("leaves") for each in stored.find())
    Api(service.url).insert({"mark": "still there"})


@pytest.mark.parametrize(
    "kills", [4, pytest.param(30, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_a_killed_worker_loses_nothing_acknowledged(
    database: Database, own_service: Starter, stored: Documents, kills: int
) -> None:
    """SIGKILL in the midst of it: what was acknowledged is there, once, and under its own id."""
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "2"})
    has_ended = threading.Event()

    def one(number: int) -> list[Sent]:
        if number:
            return play(service.port, f"c{number}", lambda _: not has_ended.is_set())
        chooser = random.Random()
        for _ in range(kills // 2):
            wait_until(lambda: len(service.workers()) == 2, "both workers run")
            time.sleep(chooser.uniform(0.1, 0.4))
            for worker in service.workers():  # of two, one may have all connections
                kill_one([worker], chooser)
                time.sleep(chooser.uniform(0, 0.1))
        has_ended.set()
        return []

    everyone = _all(at_once(CLIENTS, one))
    found = judge(everyone, stored)
    assert found.keys() == {"unanswered"}
    assert len(found["unanswered"]) < len(everyone)


def test_a_stop_leaves_nobody_without_an_answer(
    database: Database, own_service: Starter, stored: Documents
) -> None:
    """SIGTERM in the midst of it: whoever was let in is answered, and nothing of it is lost."""
    # Longer than a client may stand still: one that asks again later is cut off.
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_DRAIN_DELAY": "5"}
    service = own_service(settings)

    def one(number: int) -> list[Sent]:
        if number:
            return play(service.port, f"c{number}", lambda _: True, is_stopped=True)
        time.sleep(0.5)
        assert service.stop(signal.SIGTERM) == Exit.OK
        return []

    everyone = _all(at_once(CLIENTS, one))
    assert judge(everyone, stored) == {}
    assert len(everyone) > 2 * CLIENTS


@pytest.fixture(scope="module")
def pausable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database that may be paused."""
    database = Database(tmp_path_factory.mktemp("pausable"))
    try:
        yield database.start()
    finally:
        database.stop()


def _ask_while_paused(
    service: Service, database: Database, awaited: int | None = None
) -> tuple[list[Sent], list[Sent]]:
    """What is sent to a database that does not answer: what was told meanwhile, and all of it.

    It answers after a while, or once somebody has been told the awaited status.
    """
    each_of = list(islice(wishes("paused"), 7))
    with ExitStack() as stack, ThreadPoolExecutor(CLIENTS) as threads:
        clients = [Client(service.port) for _ in range(4 * len(each_of))]
        for client in clients:
            stack.callback(client.close)
        for kind in each_of:  # what the service asks the database once, it has asked now
            clients[0].ask(kind)
        database.pause()
        wait_until(lambda: psutil.Process(database.pid).status() == "stopped", "it is paused")
        stack.callback(database.resume)
        told = [
            threads.submit(client.ask, wish)
            for number, client in enumerate(clients)
            for wish in islice(wishes(f"paused{number}"), number % 7, number % 7 + 1)
        ]
        if awaited is not None:
            wait_until(lambda: awaited in _statuses(told), f"one is told {awaited}")
        early, _ = wait(told, PAUSE)
        early_ones = [each.result() for each in early]
        database.resume()
        return early_ones, [each.result() for each in told]


def _statuses(told: Sequence[Future[Sent]]) -> set[int]:
    """What some have been told by now."""
    return {each.result().status for each in told if each.done()}


def test_nobody_is_told_before_the_database_has_answered(
    pausable: Database, own_service: Starter
) -> None:
    """While the database is paused nobody is; when it goes on, everyone is, as ever."""
    service = own_service({"MONGODB_URI": pausable.uri})
    with emptied(pausable.uri, NAME) as stored:
        stored.insert_one({"_id": TAKEN, "mark": "there before"})
        early, everyone = _ask_while_paused(service, pausable)
        assert {sent.code for sent in early} <= {UNWRITTEN}
        found = judge(everyone, stored)
        # For a connection more, as a transaction needs it, the driver has less patience.
        wrong = found.pop("wrong answer", [])
        assert found == {}
        assert all(UNWRITTEN in each and "-keyed" in each for each in wrong)


def test_an_early_acknowledgement_is_found(pausable: Database, own_service: Starter) -> None:
    """The control: a build that acknowledges what it is about to send."""
    settings = {"MONGODB_URI": pausable.uri, **faults.environ(faults.ACKNOWLEDGED_EARLY)}
    early, _ = _ask_while_paused(own_service(settings), pausable, awaited=201)
    assert 201 in [sent.status for sent in early]


def test_a_locked_document_holds_up_nobody_else(database: Database, own_service: Starter) -> None:
    """As after a kill a transaction has it: whoever puts it waits, and all else goes on."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "1"}
    place = f"/v1/collections/{THINGS}/documents"
    with (
        emptied(database.uri, THINGS),
        closing(Api(own_service(settings).url)) as api,
        ThreadPoolExecutor(5) as threads,
    ):
        assert api.put(f"{place}/locked", '{"n":0}').status == 201
        with locked(database, "locked"):
            waiting = []
            for number in range(1, 6):  # another than is there: an equal one is not written
                waiting.append(threads.submit(api.put, f"{place}/locked", f'{{"n":{number}}}'))
                time.sleep(2 * SLOW)
            assert api.put(f"{place}/other", "{}").status == 201
            assert api.get(f"{place}/other").status == 200
            assert api.post("{}", place).status == 201
            assert api.post("{}", place, Idempotency_Key=uuid.uuid4().hex).status == 201
            done = [each.result().status for each in waiting if each.done()]
            assert done == []
        assert [each.result().status for each in waiting] == [200] * 5
