"""The whole collection out: `GET /data` of many small documents."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.contenders import Contender, Running
from tests.bench.rounds import interleaved
from tests.bench.usage import Growth

AT_ONCE = 8
"""Reads at one time, for the second figure of memory."""
_PART = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """One full read. Times in milliseconds from the request's first byte out."""

    first_ms: float
    total_ms: float
    size: int
    documents: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A contender's reads, and how far the first ones raised its memory above rest, in bytes."""

    answers: list[Answer]
    growth: int
    """By the first read after the start."""
    growth_at_once: int
    """By `AT_ONCE` reads at one time, above the rest before the first read."""


def read_all(url: str) -> Answer:
    """Read `/data`, keeping none of it. Raises RuntimeError where it is no 200."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    began = time.perf_counter()
    connection.request("GET", "/data")
    with connection.getresponse() as response:
        if response.status != 200:
            raise RuntimeError(f"{url}/data answers {response.status}")
        part = response.read1(_PART)
        first = time.perf_counter()
        size = documents = 0
        while part:
            size += len(part)
            documents += part.count(b"#")  # one to a document
            part = response.read1(_PART)
    ended = time.perf_counter()
    connection.close()
    return Answer((first - began) * 1e3, (ended - began) * 1e3, size, documents)


def list_all(
    contenders: Sequence[Contender], directory: Path, uri: str, size: int, rounds: int
) -> dict[str, Listing]:
    """Have each contender, newly started, answer with the `size` documents there are, in turn.

    Raises RuntimeError where one does not give all of them.
    """
    with ExitStack() as stack:
        running = [
            stack.enter_context(each.started(directory / f"listing-{number}", uri))
            for number, each in enumerate(contenders)
        ]
        growth = {each.name: _growth(each, size) for each in running}
        reads = interleaved(running, rounds, lambda each: _require(each, size))
    return {name: Listing(answers, *growth[name]) for name, answers in reads.items()}


def _growth(contender: Running, size: int) -> tuple[int, int]:
    rest = Growth(contender.pid)
    _require(contender, size)
    one = rest.bytes()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: _require(contender, size), range(AT_ONCE)))
    return one, rest.bytes()


def _require(contender: Running, size: int) -> Answer:
    answer = read_all(contender.url)
    if answer.documents != size:
        raise RuntimeError(f"{contender.name} gives {answer.documents} of {size} documents")
    return answer
