"""Memory promises of uploads: a worker takes the same for few lines and for many, read or not."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice

import pytest

from tests.bench.database import fastest
from tests.bench.usage import peak, reset_peak, resident
from tests.conftest import Starter
from tests.process.test_upload import BEGUN, CHUNKED, LAST, NDJSON, PATH, chunk, summary_of
from tests.support.database import Database
from tests.support.processes import wait_until
from tests.support.raw_http import RawAnswer, ask, connect, head, read_answer
from tests.support.service import Service

MIB = 1024 * 1024
FLAT = 16 * MIB
"""What a worker may take on top of what it has, whatever it is sent."""
GROWTH = 5 * MIB
"""What it may take for many lines on top of what it had after a few."""
CEILING = 512 * MIB
"""What the guide's manifest gives a container."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")


@pytest.fixture
def big_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The fastest server that is here, for one test."""
    _, database = fastest(tmp_path_factory.mktemp("big-database"))
    try:
        yield database.start()
    finally:
        database.stop()


def test_a_client_that_never_reads_is_cut(database: Database, own_service: Starter) -> None:
    """It is held up as soon as there is much to be said to it, and cut in the end."""
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_STALL_TIMEOUT": "1"})
    (worker,) = service.workers()
    rest = resident(worker)
    with connect(service.port, 60) as connection:
        connection.sendall(BEGUN)
        sent = _send_until_cut(connection, b"1\n" * 10_000)
    print(f"{sent / MIB:.1f} MiB sent, {(peak(worker) - rest) / MIB:.1f} MiB taken")
    assert sent < 32 * MIB  # what the kernel keeps on both sides, and no more
    assert peak(worker) - rest < FLAT
    wait_until(lambda: service.events("request"), "it is logged")
    assert service.events("request")[0]["cut"] is True


def _send_until_cut(connection: socket.socket, data: bytes) -> int:
    """Send the same chunk until the connection ends, and read nothing; the bytes sent."""
    sent = 0
    try:
        while sent < 256 * MIB:
            connection.sendall(chunk(data))
            sent += len(data)
    except ConnectionError:
        pass
    return sent


def test_lines_without_an_end_take_bounded_memory(database: Database, own_service: Starter) -> None:
    """Of lines that do not end, no more is held than `DEMIJOHN_MAX_BODIES`; small ones go on."""
    limit = 16 * MIB
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_MAX_BODIES": str(limit)})
    (worker,) = service.workers()
    assert summary_of(ask(service.port, BEGUN + chunk(b"{}\n") + LAST))["inserted"] == 1
    rest = resident(worker)
    reset_peak(worker)
    with ExitStack() as held:
        for _ in range(40):
            connection = held.enter_context(connect(service.port))
            with contextlib.suppress(ConnectionError):
                connection.sendall(BEGUN + chunk(b'{"a":"' + b"x" * (3 * MIB // 2)))
        wait_until(lambda: _is_overloaded(service), "some of them are cut")
        assert ask(service.port, head("GET", "/livez")).status == 200
        assert summary_of(ask(service.port, BEGUN + chunk(b"{}\n") + LAST))["inserted"] == 1
        taken = peak(worker) - rest
    print(f"{taken / MIB:.1f} MiB for 40 lines without an end")
    assert taken < 3 * limit


def _is_overloaded(service: Service) -> bool:
    return any(each.get("problem") == "overloaded" for each in service.events("request"))


@pytest.mark.parametrize(
    "many",
    [100_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
)
def test_uploads_take_flat_memory(big_database: Database, own_service: Starter, many: int) -> None:
    """However many lines come, good and bad, a worker takes what it takes for a few."""
    service = own_service({"MONGODB_URI": big_database.uri})
    (worker,) = service.workers()
    few, more = (_taken(service, worker, size) for size in (10_000, many))
    print(f"{few / MIB:.1f} MiB for 10,000 lines, {more / MIB:.1f} MiB for {many:,}")
    assert more <= GROWTH


def _taken(service: Service, worker: int, size: int) -> int:
    """Bytes that the worker takes for an upload of so many lines, of which a tenth is refused."""
    lines = (
        b'{"name":"Ada Lovelace","n":%d,"text":"%b"}\n' % (number, b"x" * 100)
        if number % 10
        else b'{"$n":1}\n'
        for number in range(size)
    )
    rest = resident(worker)
    reset_peak(worker)
    with connect(service.port, 300) as connection, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(read_answer, connection)
        connection.sendall(BEGUN)
        while part := b"".join(islice(lines, 1_000)):
            connection.sendall(chunk(part))
        connection.sendall(LAST)
        summary = summary_of(answer.result())
    assert summary == {"inserted": size * 9 // 10, "failed": size // 10, "done": True}
    return peak(worker) - rest


@pytest.mark.parametrize("clients", [4, pytest.param(12, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", [NDJSON, f"{NDJSON}; mode=relaxed"])
def test_the_worst_lines_at_once(
    database: Database, own_service: Starter, kind: str, clients: int
) -> None:
    """Lines as long as a line may be, which are many times as large once parsed, from many."""
    service = own_service({"MONGODB_URI": database.uri})
    (worker,) = service.workers()
    line = b'{"a":[' + b",".join([b"[]"] * (2 * MIB // 3 - 20)) + b',{"$":1}]}\n'
    request = head("POST", PATH, kind, CHUNKED) + chunk(line) + LAST
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(lambda _: _ask_patiently(service.port, request), range(clients)))
    print(f"at most {peak(worker) / MIB:.0f} MiB")
    assert [summary_of(each)["failed"] for each in answers] == [1] * clients
    assert peak(worker) <= CEILING
    assert service.workers() == [worker]


def _ask_patiently(port: int, request: bytes) -> RawAnswer:
    with connect(port, 240) as connection:
        connection.sendall(request)
        return read_answer(connection)
