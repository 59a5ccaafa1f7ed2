"""Memory promises: a worker's peak is bounded, whatever it is asked for and whatever it is sent."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from demijohn.front import backlog
from demijohn.front.descriptors import room_for
from tests.bench.contenders import GUIDE, OURS, Running
from tests.bench.database import RustDatabase, documents, fastest, fill
from tests.bench.listing import read_all
from tests.bench.usage import Growth, peak, reset_peak, resident
from tests.conftest import Starter
from tests.support.database import Database
from tests.support.processes import wait_until
from tests.support.raw_http import ask, connect, head, read_answer
from tests.support.service import Service

MIB = 1024 * 1024
JSON = "Content-Type: application/json"
FEW = 10_000
"""Documents that everybody may take as much memory for as they like."""
FLAT = 5 * MIB
"""What a worker may take on top of that, however many there are."""
AGAIN = 12
"""Reads, one after another, each of them in parts by several threads."""
LINES = "Accept: application/x-ndjson"
DOCUMENTS = "/v1/collections/data/documents"
UNREAD = 10
"""Clients that do not read an array, and as many that do not read lines."""
AN_ANSWER = 3 * MIB // 2
"""What may be held of one: a batch of 256 KiB as it came, cut out, spelt and half sent."""
CEILING = 512 * MIB
"""What the guide's manifest gives a container."""
HELD = 1000
"""Heads, and as many bodies, that stop half-way."""
HALF_HEAD = b"POST /data HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 8192
HALF_BODY = head("POST", "/data", JSON, f"Content-Length: {MIB}") + b" " * (MIB // 8)
A_CONNECTION = 24 * 1024
"""What one may cost, half a head of 8 KiB among it; a body costs twice its size while it grows."""
A_TURN = backlog.MOST * MIB // 8
"""What is read in one turn of the loop before any of it can be refused, where the loop comes late:
a part of each connection that it takes in at one time."""
LIMIT = 16 * MIB
BOUND = 2 * LIMIT + 2 * HELD * A_CONNECTION + A_TURN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")


@pytest.fixture(scope="module", autouse=True)
def _room_for_connections() -> None:
    """Shells allow few open files by default."""
    room_for(2 * HELD)


@pytest.fixture
def big_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The fastest server that is here, for one test."""
    _, database = fastest(tmp_path_factory.mktemp("big-database"))
    try:
        yield database.start()
    finally:
        database.stop()


@pytest.mark.parametrize(
    "many",
    [50_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
)
def test_reading_everything_takes_flat_memory(
    big_database: Database, tmp_path: Path, many: int
) -> None:
    """`GET /data` of any size costs what a small one does; the control, the guide's code, grows."""
    if many > 100_000 and not isinstance(big_database, RustDatabase):
        pytest.skip("the Python server scans for longer than a first batch may take")
    uri = big_database.uri
    with (
        documents(uri) as kept,
        OURS.started(tmp_path / "ours", uri) as ours,
        GUIDE.started(tmp_path / "guide", uri) as guide,
    ):
        fill(kept, FEW)
        few = {each.name: _growth(each, FEW) for each in (ours, guide)}
        fill(kept, many - FEW, FEW)
        more = {each.name: _growth(each, many) for each in (ours, guide)}
    for name, growth in more.items():
        print(f"{name}: {few[name] / MIB:.1f} MiB for {FEW:,}, {growth / MIB:.1f} for {many:,}")
    assert more[ours.name] <= FLAT
    assert more[guide.name] > FLAT


def test_reading_again_and_again_takes_no_more(
    big_database: Database, own_service: Starter
) -> None:
    """What an array or lines took is there for the next, whichever threads read the parts of it."""
    with documents(big_database.uri) as kept:
        fill(kept, 10 * FEW)
    service = own_service({"MONGODB_URI": big_database.uri})
    (worker,) = service.workers()
    assert ask(service.port, head("GET", "/livez")).status == 200
    rest = resident(worker)
    reset_peak(worker)
    for _ in range(AGAIN):
        assert ask(service.port, head("GET", "/data")).whole
        assert ask(service.port, head("GET", DOCUMENTS, LINES)).whole
    print(f"{(peak(worker) - rest) / MIB:.1f} MiB for {AGAIN} reads of each kind")
    assert peak(worker) - rest <= 2 * FLAT


def test_clients_that_do_not_read_make_nobody_buffer(
    big_database: Database, own_service: Starter
) -> None:
    """Of an answer that is not read no more is held than a batch and what is made of it."""
    with documents(big_database.uri) as kept:
        fill(kept, FEW, padding=1_000)
    service = own_service({"MONGODB_URI": big_database.uri})
    (worker,) = service.workers()
    assert ask(service.port, head("GET", "/data")).whole
    rest = resident(worker)
    reset_peak(worker)
    with ExitStack() as held:
        for request in (head("GET", "/data"), head("GET", DOCUMENTS, LINES)) * UNREAD:
            connection = held.enter_context(connect(service.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            connection.sendall(request)
            assert connection.recv(1_000)
        assert ask(service.port, head("GET", "/data")).whole
        taken = peak(worker) - rest
    print(f"{taken / MIB:.1f} MiB for {2 * UNREAD} answers that nobody reads")
    assert taken <= 2 * UNREAD * AN_ANSWER


@pytest.mark.parametrize(
    "connections", [16, pytest.param(64, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_the_worst_bodies_at_once(
    database: Database, own_service: Starter, connections: int
) -> None:
    """JSON that is 36 times as large once parsed, from many at once, is survived and answered."""
    # None is given up for being late: of each kind one has to be read.
    patient = {"DEMIJOHN_QUEUE_TIMEOUT": "120", "DEMIJOHN_DATABASE_TIMEOUT": "60"}
    service = own_service({**_on(database), **patient})
    (worker,) = service.workers()
    rest = resident(worker)
    bodies = [_worst(b"[]", b"}"), _worst(b"{}", b"}"), _worst(b"[]", b',"$a":1}')]

    def post(number: int) -> int:
        body = bodies[number % len(bodies)]
        with connect(service.port, 250) as connection:
            connection.sendall(head("POST", "/data", JSON, f"Content-Length: {len(body)}") + body)
            return read_answer(connection).status

    reset_peak(worker)
    with ThreadPoolExecutor(connections) as pool:
        statuses = Counter(pool.map(post, range(connections)))
    print(f"{dict(statuses)}, {rest / MIB:.0f} MiB at rest, at most {peak(worker) / MIB:.0f} MiB")
    assert set(statuses) <= {201, 422, 503}
    assert statuses[201]
    assert statuses[422]
    assert peak(worker) <= CEILING
    assert _posts(service.port) == 201
    assert service.workers() == [worker]


def test_half_sent_requests_take_bounded_memory(database: Database, own_service: Starter) -> None:
    """Of thousands of requests that do not go on, no more is held than `DEMIJOHN_MAX_BODIES`."""
    service = own_service({**_on(database), "DEMIJOHN_MAX_BODIES": str(LIMIT)})
    assert _hold_half_requests(service) <= BOUND


def test_control_half_sent_requests_that_nothing_bounds(
    database: Database, own_service: Starter
) -> None:
    """The control: with a limit that is never met, the same requests take far more."""
    service = own_service({**_on(database), "DEMIJOHN_MAX_BODIES": "512MiB"})
    assert _hold_half_requests(service) > BOUND


def _on(database: Database) -> dict[str, str]:
    """Settings for a service beside the other tests' documents."""
    return {"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "memory"}


def _hold_half_requests(service: Service) -> int:
    """Bytes that half-sent heads and bodies take, while the service lives and afterwards too."""
    (worker,) = service.workers()
    assert _posts(service.port) == 201
    rest = resident(worker)
    reset_peak(worker)
    with ExitStack() as held:
        for sent in (HALF_HEAD, HALF_BODY):
            for _ in range(HELD):
                connection = held.enter_context(connect(service.port))
                # One that is refused before it has come may be reset, behind the answer.
                with suppress(ConnectionError):
                    connection.sendall(sent)
        assert ask(service.port, head("GET", "/livez")).status == 200
        assert _posts(service.port) in (201, 503)
        grown = peak(worker) - rest
    print(f"{grown / MIB:.1f} MiB for {HELD:,} half-sent heads and as many bodies")
    wait_until(lambda: _posts(service.port) == 201, "there is room for bodies again")
    assert service.workers() == [worker]
    return grown


def _growth(contender: Running, size: int) -> int:
    """Bytes that one full read takes on top of what its processes have before it."""
    growth = Growth(contender.pid)
    assert read_all(contender.url).documents == size
    return growth.bytes()


def _worst(unit: bytes, end: bytes) -> bytes:
    """Just under the 2 MiB that a body may have: `{"a":[unit,unit,…]` and the given end."""
    begin = b'{"a":['
    number = (2 * MIB - len(begin) - len(end) - 1) // (len(unit) + 1)
    return begin + b",".join([unit] * number) + b"]" + end


def _posts(port: int) -> int:
    body = b'{"name":"Ada"}'
    return ask(port, head("POST", "/data", JSON, f"Content-Length: {len(body)}") + body).status
