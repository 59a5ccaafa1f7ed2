"""The database gone, slow and back: 503 with Retry-After in time, and recovery by itself."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymongo

from demijohn.documents.collections import FRESH
from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support.api import Answer, Api
from tests.support.database import Database, free_port
from tests.support.lag import lagging
from tests.support.processes import wait_until
from tests.support.raw_http import connect, head

HANG = 15.0
"""Seconds: several times the two of the database timeout, its one retry and the selection."""
PATIENCE = 2.0
"""Seconds in which a request must have its 503; the product page's promise."""
TRIES = 10


def _timed(ask: Any) -> tuple[Answer, float]:
    began = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - began


def test_a_database_that_is_gone(own_database: Database, own_service: Starter) -> None:
    """Every request gets 503 within two seconds, however many come; then all is well again."""
    service = own_service({"MONGODB_URI": own_database.uri, "DEMIJOHN_THREADS": "4"})
    api = Api(service.url)
    assert api.insert({"n": 1}).status == 201
    own_database.kill()
    with lagging(service.url) as lag, ThreadPoolExecutor(20) as clients:
        asks = [lambda: api.insert({"n": 2}), lambda: api.get("/data")] * 20
        answers = list(clients.map(_timed, asks))
    for answer, seconds in answers:
        assert answer.status == 503, answer.body
        # Four threads that all wait are too few for twenty clients: some are shed.
        assert answer.problem() in ("database-unavailable", "outcome-unknown", "overloaded")
        assert seconds < PATIENCE + 0.5 + lag.seconds  # what two busy cores add
    assert api.get("/livez").status == 200
    assert api.get("/readyz").json() == {"status": "ready", "database": "down"}
    assert "demijohn_database_up 0.0" in api.get("/metrics").body.decode()
    own_database.start()
    wait_until(lambda: api.insert({"n": 3}).status == 201, "it is back", 15)
    assert api.get("/readyz").json()["database"] == "up"
    # More than one 3 where the database has stood still while it took the first.
    assert {each["n"] for each in api.get("/data").json()} == {1, 3}
    assert service.stop() == Exit.OK


def test_nothing_written_where_it_says_so(own_database: Database, own_service: Starter) -> None:
    """`database-unavailable` means that the document is not there, also after the recovery."""
    service = own_service({"MONGODB_URI": own_database.uri})
    api = Api(service.url)
    assert api.insert({"n": "before"}).status == 201
    own_database.kill()
    codes = {f"lost-{n}": api.insert({"n": f"lost-{n}"}).problem() for n in range(10)}
    assert "database-unavailable" in codes.values()
    own_database.start()
    wait_until(lambda: api.insert({"n": "after"}).status == 201, "it is back", 15)
    there = {each["n"] for each in api.get("/data").json()}
    assert {"before", "after"} <= there
    assert not {n for n, code in codes.items() if code == "database-unavailable"} & there


def test_an_answer_that_is_left_when_the_database_has_gone(
    own_database: Database, own_service: Starter
) -> None:
    """That its cursor cannot be closed then is a line of the log as any other."""
    service = own_service({"MONGODB_URI": own_database.uri})
    with pymongo.MongoClient[dict[str, Any]](own_database.uri) as client:
        client["flask_db"]["data"].insert_many([{"x": 400_000 * "x"} for _ in range(100)])
    with connect(service.port) as leaving:  # in the first batch of several, with 16 MiB to go
        leaving.sendall(head("GET", "/data"))
        assert leaving.recv(12) == b"HTTP/1.1 200"
        own_database.kill()

    def said() -> list[object]:
        return [each["operation"] for each in service.events("database operation failed")]

    wait_until(lambda: "background" in said(), "it is in the log")
    assert all(map(json.loads, service.log().splitlines()))


def test_a_database_that_was_never_there(own_service: Starter) -> None:
    """The service starts without it, is live but not ready, and says 503."""
    database_port = free_port()
    service = own_service({"MONGODB_URI": f"mongodb://127.0.0.1:{database_port}/"})
    api = Api(service.url)
    with lagging(service.url) as lag:
        answers = [_timed(lambda: api.insert({})) for _ in range(3)]
    for answer, seconds in answers:
        assert answer.problem() == "database-unavailable"
        assert seconds < PATIENCE + 0.5 + lag.seconds
    assert api.get("/livez").status == 200
    ready = api.get("/readyz")
    assert (ready.status, ready.problem()) == (503, "database-unavailable")
    assert str(database_port) not in ready.body.decode()


def test_a_database_that_does_not_answer(own_database: Database, own_service: Starter) -> None:
    """A paused database: no hang and no 500; a write's outcome is called unknown, and is."""
    settings = {"MONGODB_URI": own_database.uri, "DEMIJOHN_DATABASE_TIMEOUT": "2"}
    service = own_service(settings)
    api = Api(service.url)
    # What is known of the collection has to be new, so that it is the write itself that waits.
    for _ in range(TRIES):
        time.sleep(FRESH)
        began = time.monotonic()
        assert api.insert({"n": 1}).status == 201
        own_database.pause()
        if time.monotonic() - began < FRESH / 2:
            break
        own_database.resume()
    write, seconds = _timed(lambda: api.insert({"n": 2}))
    assert (write.status, write.problem()) == (503, "outcome-unknown")
    assert seconds < HANG
    read, seconds = _timed(lambda: api.get("/data"))
    assert read.problem() in ("deadline-exceeded", "database-unavailable")
    assert seconds < HANG
    assert api.get("/livez").status == 200
    own_database.resume()
    wait_until(lambda: api.get("/data").status == 200, "it answers again", 20)
    assert 1 in [each["n"] for each in api.get("/data").json()]
    assert service.stop() == Exit.OK


def test_a_stream_that_the_database_leaves_is_cut(
    own_database: Database, own_service: Starter
) -> None:
    """The array stays open and the connection is cut: no client takes a part for the whole."""
    service = own_service({"MONGODB_URI": own_database.uri})
    with pymongo.MongoClient[dict[str, Any]](own_database.uri) as client:
        many = [{"n": n, "x": "y" * 2000} for n in range(20_000)]
        client["flask_db"]["data"].insert_many(many)
    began, killed = threading.Event(), threading.Event()

    def kill_when_begun() -> None:
        began.wait(60)
        own_database.kill()
        killed.set()

    threading.Thread(target=kill_when_begun, daemon=True).start()
    answer = _read_slowly(service.port, began, killed)
    assert answer.startswith(b"[{")
    assert not answer.endswith(b"\r\n0\r\n\r\n")
    assert Api(service.url).get("/livez").status == 200
    wait_until(lambda: "demijohn_streams_cut_total 1.0" in _metrics(service.url), "it counts")


def _metrics(url: str) -> str:
    return Api(url).get("/metrics").body.decode()


def _read_slowly(port: int, began: threading.Event, killed: threading.Event) -> bytes:
    """Read a little of `GET /data`, let the database be killed, read the rest."""
    with connect(port) as connection:
        connection.sendall(head("GET", "/data"))
        text = connection.recv(10_000)
        began.set()
        assert killed.wait(60)
        while more := connection.recv(1_000_000):
            text += more
    return text.partition(b"\r\n\r\n")[2].partition(b"\r\n")[2]
