"""Memory under attack: the worst bodies for every reader, on every connection at once."""

from __future__ import annotations

import socket
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pymongo
import pytest

from tests.bench.usage import Growth, resident
from tests.conftest import Starter
from tests.support.database import Database
from tests.support.hostile_bodies import VICTIM, Attack, attacks
from tests.support.raw_http import ask, connect, head
from tests.support.service import Service
from tests.support.together import beside

MIB = 1024 * 1024
CEILING = 512 * MIB
"""What the guide's manifest gives a container: launcher and worker together."""
AGAIN = 64 * MIB
"""What it may keep more after a second attack than after a first: the allocator gives back some."""
UNREAD = 20
"""Clients that ask for the largest answer and do not read it."""
LARGE = "/v1/collections/large/documents"
LINES = "Accept: application/x-ndjson"
SHED = 503
UNANSWERED = 0
PATIENCE = 300
"""Seconds for one answer, among all the others."""
TRIES = 400

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc"),
    pytest.mark.timeout(1800),
]


@pytest.mark.parametrize(
    ("connections", "size", "rounds"),
    [(200, MIB // 2, 1), pytest.param(400, 2 * MIB - 1, 3, marks=pytest.mark.soak)],
)
def test_the_worst_of_everything_at_once(
    database: Database, own_service: Starter, connections: int, size: int, rounds: int
) -> None:
    """Each attack is answered or refused as documented, probes are answered, memory is bounded."""
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "attacked"})
    (worker,) = service.workers()
    _fill(database, 6_000, 4_000)
    assert _put_victim(service) in (200, 201)
    growth = Growth(service.process.pid)
    held = sum(resident(each.pid) for each in service.everything())
    with _unread(service, UNREAD), _probed(service) as probes:
        answered = _all_at_once(service, connections, size)
        kept = resident(worker)
        for _ in range(rounds - 1):
            _all_at_once(service, connections, size)
    taken = growth.bytes()
    print(f"{held / MIB:.0f} MiB at rest, {taken / MIB:.0f} more at most; probes: {dict(probes)}")
    unfit = {
        each.name: answered[each.name]
        for each in attacks()
        if not answered[each.name].keys() <= each.statuses | {SHED}
        or answered[each.name].keys() <= {SHED}
    }
    assert unfit == {}
    assert set(probes) == {200}
    assert held + taken <= CEILING
    assert service.workers() == [worker]
    assert _put_victim(service) in (200, 201)
    print(f"the worker keeps {kept / MIB:.0f} MiB, in the end {resident(worker) / MIB:.0f}")
    assert resident(worker) <= kept + AGAIN
    assert service.events("defect") == []


@pytest.mark.parametrize("clients", [36, pytest.param(128, marks=pytest.mark.soak)])
def test_large_documents_that_nobody_reads(
    database: Database, own_service: Starter, clients: int
) -> None:
    """A first batch may have 16 MiB: so many are held for those who do not read, others get 503."""
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "attacked"})
    (worker,) = service.workers()
    _fill(database, 96, MIB // 4)
    held = sum(resident(each.pid) for each in service.everything())
    growth = Growth(service.process.pid)
    with _unread(service, clients) as statuses:
        assert _put_victim(service) in (200, 201)
    taken = growth.bytes()
    print(f"{dict(statuses)}, {held / MIB:.0f} MiB at rest, {taken / MIB:.0f} more at most")
    assert set(statuses) == {200, SHED}
    assert held + taken <= CEILING
    assert service.workers() == [worker]
    assert ask(service.port, head("GET", LARGE, LINES)).whole


def _fill(database: Database, many: int, size: int) -> None:
    """Documents of 24 MiB in all, for answers that nobody reads."""
    with pymongo.MongoClient[dict[str, Any]](database.uri) as client:
        kept = client["attacked"]["large"]
        kept.delete_many({})
        kept.insert_many([{"text": "x" * size} for _ in range(many)])


def _put_victim(service: Service) -> int:
    """Put the document that patches are sent to."""
    body = b'{"a":[]}'
    about = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return ask(service.port, head("PUT", VICTIM, *about) + body).status


def _all_at_once(service: Service, connections: int, size: int) -> dict[str, Counter[int]]:
    """The statuses that each attack got; it goes on until each had another than 503 once."""
    kinds = list(attacks())
    bodies = {each.name: each.body(size) for each in kinds}
    answered: dict[str, Counter[int]] = defaultdict(Counter)
    pause = threading.Event()

    def attack(number: int) -> None:
        kind = kinds[number % len(kinds)]
        for _ in range(TRIES):
            answered[kind.name][_status(service, kind, bodies[kind.name])] += 1
            if answered[kind.name].keys() - {SHED}:
                return
            pause.wait(0.2)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(attack, range(max(connections, len(kinds)))))
    return answered


def _status(service: Service, attack: Attack, body: bytes) -> int:
    """Send an attack and read its answer to the end; its status."""
    with connect(service.port, PATIENCE) as connection:
        about = (*attack.headers(len(body)), "Connection: close")
        answer = b""
        # One that is refused before it is read may be reset, behind the answer.
        with suppress(ConnectionError):
            connection.sendall(head(attack.method, attack.path, *about) + body)
        with suppress(ConnectionError):
            answer = connection.recv(65_536)
            while connection.recv(MIB):
                pass
    return int(answer.split()[1]) if answer else UNANSWERED


@contextmanager
def _unread(service: Service, clients: int) -> Iterator[Counter[int]]:
    """Clients that do not read the largest answer, during the block; what they were answered."""
    statuses: Counter[int] = Counter()
    with ExitStack() as held:
        for _ in range(clients):
            connection = held.enter_context(connect(service.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            connection.sendall(head("GET", LARGE, LINES))
            statuses[int(connection.recv(1_000).split()[1])] += 1
        yield statuses


@contextmanager
def _probed(service: Service) -> Iterator[Counter[int]]:
    """Ask for both probes again and again during the block; what they were answered."""
    statuses: Counter[int] = Counter()

    def probe(is_over: threading.Event) -> None:
        while not is_over.wait(0.1):
            statuses.update(ask(service.port, head("GET", p)).status for p in ("/livez", "/readyz"))

    with beside(probe):
        yield statuses
