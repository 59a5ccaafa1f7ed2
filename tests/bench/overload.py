"""`python -m tests.bench.overload`: what a client waits for when others ask for too much.

For each kind of request: how many a second the service answers to a crowd that each wait for their
answer, then half, once and twice as many from one that does not wait. Prints Markdown. One worker;
the generator and the database are on the same machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from demijohn.front.descriptors import room_for
from tests.bench.contenders import OURS
from tests.bench.database import documents, fastest, fill
from tests.bench.report import table
from tests.support.open_loop import MOST_CONNECTIONS, Offered, at_quantile, closed, offer
from tests.support.raw_http import head

_CROWD = 64
"""Clients by which the capacity is found."""
TIMES = (0.5, 1.0, 2.0)
_DOCUMENTS = 1_000
_ONE = f"/v1/collections/data/documents/{7:024x}"
_BODY = b'{"name":"Ada","born":1815,"fields":["mathematics","engines"]}'
_POST = head("POST", "/data", "Content-Type: application/json", f"Content-Length: {len(_BODY)}")
REQUESTS = {
    "`GET` by id": head("GET", _ONE),
    "`POST /data`": _POST + _BODY,
    "`GET` by id, full path": head("GET", _ONE, 'If-None-Match: "none"'),
}


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of request at one rate."""

    request: str
    times: float
    """What was offered, as a multiple of the capacity."""
    capacity: float
    seconds: float
    ended: Offered

    def cells(self) -> list[str]:
        """As a row of the table."""
        ended = self.ended
        share = 100 * len(ended.refused) / max(ended.statuses.total(), 1)
        latencies = [f"{1000 * at_quantile(ended.accepted, each):.1f}" for each in (0.5, 0.99)]
        return [
            self.request,
            f"{self.times:g}",
            f"{ended.offered / self.seconds:.0f}",
            f"{len(ended.accepted) / self.seconds:.0f}",
            *latencies,
            f"{share:.1f} %",
            f"{1000 * at_quantile(ended.refused, 0.5):.1f}" if ended.refused else "–",
            str(ended.unsent),
        ]


HEADINGS = (
    "Request",
    "× capacity",
    "offered a second",
    "accepted a second",
    "p50 ms",
    "p99 ms",
    "refused",
    "p50 ms of refusals",
    "not sent",
)


def measure(
    url: str, seconds: float, settling: float, times: Sequence[float] = TIMES
) -> list[Load]:
    """Every kind of request at every rate, on a service that runs."""
    loads = []
    for name, request in REQUESTS.items():
        closed(url, request, _CROWD, seconds / 4)  # what is made at first use is made now
        found = closed(url, request, _CROWD, seconds)
        capacity = len(found.accepted) / seconds
        for each in times:
            ended = offer(url, request, each * capacity, seconds, settling)
            loads.append(Load(name, each, capacity, seconds, ended))
    return loads


@click.command()
@click.option("--seconds", default=10.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--settling", default=3.0, show_default=True, help="Seconds before that, each time.")
def main(seconds: float, settling: float) -> None:
    """Measure the latency of accepted requests under overload, once it has settled."""
    room_for(MOST_CONNECTIONS)
    with tempfile.TemporaryDirectory(prefix="demijohn-overload-") as directory:
        click.echo(report(Path(directory), seconds, settling))


def report(directory: Path, seconds: float, settling: float) -> str:
    """Start a database and the service, measure, and say so."""
    (directory / "database").mkdir()
    _, database = fastest(directory / "database")
    try:
        uri = database.start().uri
        with documents(uri) as kept, OURS.started(directory / "service", uri) as running:
            fill(kept, _DOCUMENTS)
            loads = measure(running.url, seconds, settling)
    finally:
        database.stop()
    return table(HEADINGS, [load.cells() for load in loads])


if __name__ == "__main__":
    main()
