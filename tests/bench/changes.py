"""`python -m tests.bench.changes`: what many streams of live changes cost, and how late they are.

One worker; so many streams of one collection are open, and so many changes a second happen in it.
Meanwhile one client reads one document again and again, over one connection. Everything shares the
machine: the streams' readers, the service and the database.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil
import pymongo

from tests.bench import report
from tests.bench.database import fastest
from tests.bench.report import Report, Spread, spread, table
from tests.bench.usage import cpu_seconds, resident
from tests.support.processes import wait_until
from tests.support.service import Service, serving

COLLECTION = "watched"
_NOTE = """\
{rounds} interleaved rounds of {seconds} s; one worker. GET is of one document, over one connection;
its ratio is over that without streams and with as many changes in the same round. Late: from before
the insert to the event's arrival, over all streams. Medians (least–most) of the rounds.
"""
_SENT = re.compile(rb'"sent":([0-9]+)')
_KB = 1024


@dataclass(slots=True)
class Round:
    """What one round gave. Times in milliseconds."""

    get_median: float
    get_late: float
    delays: list[float]
    told: int
    cpu: float
    kib_a_stream: float


@dataclass(slots=True)
class Heard:
    """What all readers have heard so far: how late each event was, in milliseconds."""

    ready: int = 0
    delays: list[float] = field(default_factory=list)


class Reader(asyncio.Protocol):
    """One stream."""

    def __init__(self, heard: Heard) -> None:
        """Take where to note what comes."""
        self._heard = heard
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        path = f"/v1/collections/{COLLECTION}/changes"
        transport.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Note each event that has come whole."""
        now = time.monotonic_ns()
        whole, _, self._rest = (self._rest + data).rpartition(b"\n\n")
        self._heard.ready += whole.count(b"event: ready")
        self._heard.delays += [(now - int(sent)) / 1e6 for sent in _SENT.findall(whole)]


class Readers:
    """So many streams, read by an event loop of its own; each block opens and closes them."""

    def __init__(self, port: int, count: int) -> None:
        """Take how many are to be opened."""
        self.heard = Heard()
        self._port = port
        self._count = count
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: list[asyncio.Transport] = []

    def __enter__(self) -> Heard:
        """Open them; what they hear."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result()
        wait_until(lambda: self.heard.ready == self._count, "all are ready", timeout=120)
        return self.heard

    def __exit__(self, *_: object) -> None:
        """Close them."""
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect(self) -> None:
        for _ in range(self._count):
            made = await self._loop.create_connection(
                lambda: Reader(self.heard), "127.0.0.1", self._port
            )
            self._open.append(made[0])

    async def _disconnect(self) -> None:
        for transport in self._open:
            transport.abort()


class Writer(threading.Thread):
    """Inserts so many documents a second, each with the time at which it was sent."""

    def __init__(self, uri: str, rate: float) -> None:
        """Take the database and the rate, 0 for none."""
        super().__init__(daemon=True)
        self.written = 0
        self._uri = uri
        self._rate = rate
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until it is stopped."""
        with pymongo.MongoClient[dict[str, object]](self._uri) as client:
            collection = client["flask_db"][COLLECTION]
            while self._rate and not self._stopped.wait(1 / self._rate):
                collection.insert_one({"sent": time.monotonic_ns(), "fill": "x" * 100})
                self.written += 1

    def stop(self) -> None:
        """Write no more."""
        self._stopped.set()
        self.join()


def _round(service: Service, uri: str, streams: int, rate: float, seconds: float) -> Round:
    worker = service.workers()[0]
    before = resident(worker)
    with Readers(service.port, streams) as heard:
        grown = resident(worker) - before
        cpu = cpu_seconds(worker)
        writer = Writer(uri, rate)
        writer.start()
        times = sorted(_get(service.port, seconds))
        writer.stop()
        due = writer.written * streams
        wait_until(lambda: len(heard.delays) == due, "all have heard everything", timeout=120)
        cpu = cpu_seconds(worker) - cpu
    wait_until(lambda: _feeds(service) == 0, "all have left", timeout=60)
    return Round(
        get_median=times[len(times) // 2],
        get_late=times[len(times) * 99 // 100],
        delays=sorted(heard.delays),
        told=due,
        cpu=cpu / seconds,
        kib_a_stream=grown / _KB / streams if streams else 0,
    )


def _get(port: int, seconds: float) -> list[float]:
    """The times of one read after the other, in milliseconds."""
    times = []
    connection = http.client.HTTPConnection("127.0.0.1", port)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        connection.request("GET", f"/v1/collections/{COLLECTION}/documents/one")
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"GET ends with {answer.status}")
        times.append((time.perf_counter() - began) * 1e3)
    connection.close()
    return times


def _feeds(service: Service) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r"^demijohn_feeds (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0


def _row(streams: int, rate: float, rounds: list[Round], base: list[Round]) -> list[str]:
    def each(values: list[float], digits: int = 1) -> str:
        known: Spread = spread(values)
        return known.text(digits)

    late = [one.delays for one in rounds if one.delays]
    return [
        f"{streams:,} streams, {rate:g} changes a second",
        each([one.get_median for one in rounds], 2),
        each([one.get_late for one in rounds]),
        each([a.get_median / b.get_median for a, b in zip(rounds, base, strict=True)], 2),
        each([one[len(one) // 2] for one in late]) if late else "–",
        each([one[len(one) * 99 // 100] for one in late]) if late else "–",
        each([one.cpu for one in rounds], 2),
        each([one.kib_a_stream for one in rounds]) if streams else "–",
    ]


HEADERS = (
    *("", "GET p50 ms", "GET p99 ms", "ratio of p50"),
    *("late p50 ms", "late p99 ms", "worker's CPU s/s", "KiB a stream"),
)


@click.command()
@click.option("--streams", "counts", multiple=True, default=(100, 1_000), type=click.IntRange(1))
@click.option("--rate", "rates", multiple=True, default=(0, 10), type=click.FloatRange(0))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(0.5))
def main(counts: tuple[int, ...], rates: tuple[float, ...], rounds: int, seconds: float) -> None:
    """Measure streams of live changes."""
    psutil.Process().rlimit(psutil.RLIMIT_NOFILE, (max(counts) + 500,) * 2)
    with tempfile.TemporaryDirectory(prefix="demijohn-changes-") as name:
        server, database = fastest(Path(name))
        database.start()
        settings = {"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "1"}
        plans = [(count, rate) for rate in rates for count in (0, *counts)]
        found: dict[tuple[int, float], list[Round]] = {plan: [] for plan in plans}
        try:
            with serving(Path(name), settings) as service:
                with pymongo.MongoClient[dict[str, object]](database.uri) as client:
                    client["flask_db"][COLLECTION].insert_one({"_id": "one"})
                for _ in range(rounds):
                    for count, rate in plans:
                        found[count, rate].append(
                            _round(service, database.uri, count, rate, seconds)
                        )
        finally:
            database.stop()
        rows = [_row(*plan, found[plan], found[0, plan[1]]) for plan in plans]
        out = Report("changes", report.facts("python -m tests.bench.changes", server))
        note = _NOTE.format(rounds=rounds, seconds=seconds)
        out.add("Live changes", note, table(HEADERS, rows), rows)
        click.echo(f"Kept in {out.write()}")


if __name__ == "__main__":
    main()
