"""`python -m tests.bench.measure`: the service by itself, with its embedded database.

Ready time, memory at rest, and what half-sent requests cost everybody else. Prints Markdown, and
keeps it with all figures as JSON in `bench-results/`.
"""

from __future__ import annotations

import http.client
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import psutil

from tests.bench import report
from tests.bench.report import MIB, Report, Spread, spread, table
from tests.support.database import free_port
from tests.support.raw_http import connect, head
from tests.support.service import Service

DOCUMENT = b'{"name":"Ada Lovelace","born":1815,"fields":["mathematics","engines"]}'
_HALF_HEAD = b"POST /data HTTP/1.1\r\nHost: local"
_HALF_BODY = (
    head("POST", "/data", "Content-Type: application/json", "Content-Length: 100") + b"half"
)
_POLL = 0.005
_PATIENCE = 60.0
_READY_NOTE = """\
From the start of `demijohn serve` to the first 200 of `/readyz`, in seconds; medians (least–most)
of {starts} starts. Cold: no data directory yet. Warm: the one that the start before left.
"""
_REST_NOTE = """\
One worker, embedded database, after one `POST` and one `GET /data`, in MiB. Unique memory would be
free without this process; proportional memory shares what is shared among those that share it.
"""
_HELD_NOTE = """\
Milliseconds of a plain `POST /data` on a connection of its own; medians (least–most) of {posts}.
"Held" is with {held:,} half-sent heads and {held:,} half-sent bodies open; {open:,} of these
{all:,} connections were still open after the last answer.
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """A process's memory in bytes: resident, unique and proportional set size."""

    resident: int
    unique: int
    proportional: int


@click.command()
@click.option("--starts", default=5, show_default=True, type=click.IntRange(1))
@click.option("--held", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--posts", default=300, show_default=True, type=click.IntRange(1))
def main(starts: int, held: int, posts: int) -> None:
    """Measure the service by itself."""
    out = Report("measure", report.facts("python -m tests.bench.measure", "embedded"))
    with tempfile.TemporaryDirectory(prefix="demijohn-measure-") as name:
        directory = Path(name)
        _measure_starts(out, directory, starts)
        with _serving(directory, directory / "rest") as (service, _):
            _measure_rest(out, service)
            _measure_held(out, service.port, held, posts)
    click.echo(f"Kept in {out.write()}")


@contextmanager
def _serving(directory: Path, data: Path) -> Iterator[tuple[Service, float]]:
    """The service, and the seconds that it took to be ready; it is stopped as it should be."""
    port = free_port()
    settings = {"DEMIJOHN_DATA_DIR": str(data), "DEMIJOHN_WORKERS": "1"}
    began = time.perf_counter()
    service = Service(directory, settings, ["--port", str(port)])
    try:
        while not _is_ready(port):
            if service.process.poll() is not None or time.perf_counter() - began > _PATIENCE:
                raise RuntimeError(f"the service does not get ready:\n{service.log()}")
            time.sleep(_POLL)
        ready = time.perf_counter() - began
        yield service.started(), ready
        service.stop()
    finally:
        service.kill()


def _is_ready(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
    except OSError:
        return False


def _measure_starts(out: Report, directory: Path, starts: int) -> None:
    times: dict[str, list[float]] = {"cold": [], "warm": []}
    for number in range(starts):
        for taken in times.values():  # the first makes the directory, the second finds it
            with _serving(directory, directory / f"data-{number}") as (service, ready):
                _require_post(service.port)
                taken.append(ready)
    rows = [[name, spread(taken).text(2)] for name, taken in times.items()]
    out.add("Ready", _READY_NOTE.format(starts=starts), table(["start", "seconds"], rows), times)


def _measure_rest(out: Report, service: Service) -> None:
    _require_post(service.port)
    _listed(service.port)
    time.sleep(1)
    database = service.database_pid()
    assert database is not None
    pids = {"launcher": service.process.pid, "worker": service.workers()[0], "database": database}
    found = {name: _memory(pid) for name, pid in pids.items()}
    rows = [
        [name, *(f"{size / MIB:.1f}" for size in (each.resident, each.unique, each.proportional))]
        for name, each in found.items()
    ]
    content = table(["process", "resident", "unique", "proportional"], rows)
    out.add("Memory at rest", _REST_NOTE, content, found)


def _measure_held(out: Report, port: int, held: int, posts: int) -> None:
    plain = _posts(port, posts)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(port)) for _ in range(2 * held)]
        for number, connection in enumerate(connections):
            connection.sendall(_HALF_BODY if number % 2 else _HALF_HEAD)
        delayed = _posts(port, posts)
        still_open = sum(map(_is_open, connections))
    after = _posts(port, posts)
    found = {"before": plain, "held": delayed, "after": after}
    rows = [[name, each.text(2)] for name, each in found.items()]
    note = _HELD_NOTE.format(posts=posts, held=held, open=still_open, all=len(connections))
    out.add("Half-sent requests", note, table(["`POST /data`", "ms"], rows), found)


def _posts(port: int, number: int) -> Spread:
    """Milliseconds of so many requests, one after another."""
    taken = []
    for _ in range(number):
        began = time.perf_counter()
        _require_post(port)
        taken.append((time.perf_counter() - began) * 1e3)
    return spread(taken)


def _require_post(port: int) -> None:
    _require(port, 201, "POST", DOCUMENT, {"Content-Type": "application/json"})


def _listed(port: int) -> None:
    _require(port, 200, "GET", None, {})


def _require(
    port: int, status: int, method: str, body: bytes | None, headers: dict[str, str]
) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, "/data", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != status:
            raise RuntimeError(f"{method} /data answers {answer.status}")


def _is_open(connection: socket.socket) -> bool:
    """Whether the service has neither answered on it nor closed it."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _memory(pid: int) -> Memory:
    found = psutil.Process(pid).memory_full_info()
    return Memory(found.rss, found.uss, found.pss)


if __name__ == "__main__":
    main()
