"""`python -m tests.bench.writes`: what a condition and a key cost over the plain write.

Every kind of write, one after the other in each round, on one connection, so that whatever else
the machine does hits all alike. Prints Markdown, and keeps it with all figures as JSON in
`bench-results/`.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click

from tests.bench import report
from tests.bench.database import fastest
from tests.bench.report import Report, spread, table
from tests.support.service import serving

DOCUMENTS = "/v1/collections/bench/documents"
JSON = {"Content-Type": "application/json"}
UPDATE = {"Content-Type": "application/vnd.mongodb.update+json"}
_NOTE = """\
One worker, one connection, {rounds} rounds of {writes} writes of each kind, interleaved. Ratio: the
kind's median in a round over that of the first of its group in the same round; medians
(least–most) of the rounds.
"""


class Client:
    """One connection, and the present version of the one document that it changes."""

    def __init__(self, port: int) -> None:
        """Make the document."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._number = 0
        self._tag = ""
        self.put({})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def insert(self, headers: dict[str, str]) -> None:
        """A new document."""
        self._ask("POST", DOCUMENTS, self._body(), {**JSON, **headers})

    def put(self, headers: dict[str, str]) -> None:
        """Replace the document."""
        self._tag = self._ask("PUT", f"{DOCUMENTS}/one", self._body(), {**JSON, **headers})

    def patch(self, headers: dict[str, str]) -> None:
        """Increment a number in the document."""
        body = b'{"$inc":{"n":1}}'
        self._tag = self._ask("PATCH", f"{DOCUMENTS}/one", body, {**UPDATE, **headers})

    def match(self) -> dict[str, str]:
        """The condition that the document is as it was left."""
        return {"If-Match": self._tag}

    def _body(self) -> bytes:
        self._number += 1
        document = {"n": self._number, "name": "Ada", "fields": ["mathematics", "engines"]}
        return json.dumps(document).encode()

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> str:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} answers {answer.status}")
        return answer.headers["ETag"]


def _key() -> dict[str, str]:
    return {"Idempotency-Key": os.urandom(16).hex()}


def _kinds(client: Client) -> dict[str, list[tuple[str, Callable[[], None]]]]:
    """The groups of kinds that are compared; the first of each is the plain one."""
    return {
        "POST": [
            ("plain", lambda: client.insert({})),
            ("with a key", lambda: client.insert(_key())),
        ],
        "PUT": [
            ("plain", lambda: client.put({})),
            ("If-Match", lambda: client.put(client.match())),
            ("with a key", lambda: client.put(_key())),
            ("If-Match and a key", lambda: client.put({**client.match(), **_key()})),
        ],
        "PATCH $inc": [
            ("plain", lambda: client.patch({})),
            ("If-Match", lambda: client.patch(client.match())),
            ("with a key", lambda: client.patch(_key())),
        ],
    }


def _round(kinds: list[tuple[str, Callable[[], None]]], writes: int) -> dict[str, float]:
    """Median milliseconds of each kind; one write of each in turn."""
    taken: dict[str, list[float]] = {name: [] for name, _ in kinds}
    for _ in range(writes):
        for name, write in kinds:
            began = time.perf_counter()
            write()
            taken[name].append((time.perf_counter() - began) * 1e3)
    return {name: statistics.median(each) for name, each in taken.items()}


@click.command()
@click.option("--rounds", default=9, show_default=True, type=click.IntRange(1))
@click.option("--writes", default=100, show_default=True, type=click.IntRange(1))
def main(rounds: int, writes: int) -> None:
    """Measure what guarantees cost."""
    with tempfile.TemporaryDirectory(prefix="demijohn-writes-") as name:
        server, database = fastest(Path(name))
        database.start()
        settings = {"MONGODB_URI": f"{database.uri}&retryWrites=false", "DEMIJOHN_WORKERS": "1"}
        try:
            with serving(Path(name), settings) as service:
                _measure(service.port, server, rounds, writes)
        finally:
            database.stop()


def _measure(port: int, server: str, rounds: int, writes: int) -> None:
    out = Report("writes", report.facts("python -m tests.bench.writes", server))
    with closing(Client(port)) as client:
        for method, kinds in _kinds(client).items():
            _round(kinds, writes)  # warm
            found = [_round(kinds, writes) for _ in range(rounds)]
            plain = kinds[0][0]
            rows = [
                [
                    name,
                    spread(each[name] for each in found).text(2),
                    spread(each[name] / each[plain] for each in found).text(2),
                ]
                for name, _ in kinds
            ]
            note = _NOTE.format(rounds=rounds, writes=writes)
            out.add(method, note, table([f"`{method}`", "ms", "ratio"], rows), found)
    click.echo(f"Kept in {out.write()}")


if __name__ == "__main__":
    main()
