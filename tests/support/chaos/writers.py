"""Processes that all change one document: each reads it, and writes what follows from that.

`python -m tests.support.chaos.writers PORT PATH WAY ATTEMPTS` prints `ready`, waits for a line,
tries so many times, and prints one JSON object: the answers by status. The document is made by the
test that runs these.

Each step leads to the next of an endless row of versions, each with bytes of its own, so that the
last version tells how many steps there were; two that started from the same one are one step.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).parents[3]
DIGITS = 12
"""Of a number that is spelled in numbers that are all 1: see `spelling`."""


class Way(StrEnum):
    """How a writer makes sure that it changes what it has read."""

    PUT = "put"
    """PUT with If-Match."""
    MERGE = "merge"
    """Merge patch with If-Match."""
    TEST = "test"
    """JSON Patch that tests the value before it replaces it."""
    SPELLING = "spelling"
    """PUT with If-Match, where all versions are equal by value: 1 becomes 1.0 and back."""
    CARELESS = "careless"
    """PUT without a condition: the control."""


def spelling(step: int) -> dict[str, float]:
    """The step in binary, 1 for a zero and 1.0 for a one: bytes differ, values never do."""
    return {f"d{place}": 1.0 if step >> place & 1 else 1 for place in range(DIGITS)}


def spelled(document: dict[str, object]) -> int:
    """The step that `spelling` made the document from."""
    return sum(isinstance(document[f"d{place}"], float) << place for place in range(DIGITS))


def read(way: Way, document: dict[str, object]) -> int:
    """How many steps led to this version."""
    return spelled(document) if way is Way.SPELLING else int(str(document["n"]))


def first(way: Way) -> dict[str, float]:
    """The version before any step."""
    return spelling(0) if way is Way.SPELLING else {"n": 0}


class Writer:
    """One process's connection to the document."""

    def __init__(self, port: int, path: str, way: Way) -> None:
        """Take where the document is and how it is changed."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path = path
        self._way = way

    def attempt(self) -> int:
        """Read, and write the next version; the status of the write."""
        status, tag, body = self._ask("GET", None, {})
        if status != http.client.OK:
            raise RuntimeError(f"GET answers {status}: {body!r}")
        method, media_type, new = self._next(read(self._way, json.loads(body)))
        headers = {"Content-Type": media_type}
        if self._way not in (Way.TEST, Way.CARELESS):
            headers["If-Match"] = tag
        return self._ask(method, json.dumps(new), headers)[0]

    def _next(self, step: int) -> tuple[str, str, object]:
        if self._way is Way.MERGE:
            return "PATCH", "application/merge-patch+json", {"n": step + 1}
        if self._way is Way.TEST:
            operations = [
                {"op": "test", "path": "/n", "value": step},
                {"op": "replace", "path": "/n", "value": step + 1},
            ]
            return "PATCH", "application/json-patch+json", operations
        new = spelling(step + 1) if self._way is Way.SPELLING else {"n": step + 1}
        return "PUT", "application/json", new

    def _ask(
        self, method: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        self._connection.request(method, self._path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.headers.get("ETag", ""), response.read()


def run(count: int, port: int, path: str, way: Way, attempts: int) -> Counter[int]:
    """Start so many processes, let all go at one time; their answers by status."""
    words = [sys.executable, "-m", __name__, str(port), path, way, str(attempts)]
    pipe = subprocess.PIPE
    writers = [
        subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(count)
    ]
    try:
        return _results(writers)
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def _results(writers: Sequence[subprocess.Popen[str]]) -> Counter[int]:
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    total: Counter[int] = Counter()
    for writer in writers:
        printed, _ = writer.communicate()
        assert writer.returncode == 0
        total.update({int(status): times for status, times in json.loads(printed).items()})
    return total


def main() -> None:
    """Be one of the processes."""
    port, path, way, attempts = sys.argv[1:]
    writer = Writer(int(port), path, Way(way))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(Counter(writer.attempt() for _ in range(int(attempts)))))


if __name__ == "__main__":
    main()
