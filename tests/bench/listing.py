"""The whole collection out: `GET /data` of many small documents."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.contenders import Contender
from tests.bench.database import Documents, fill
from tests.bench.rounds import interleaved
from tests.bench.usage import Growth

SIZE = 10_000
"""Documents in the collection."""
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
    """A contender's reads, and how far the first one raised its memory above rest, in bytes."""

    answers: list[Answer]
    growth: int


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
            documents += part.count(b"}")  # one to a document: none has another inside
            part = response.read1(_PART)
    ended = time.perf_counter()
    connection.close()
    return Answer((first - began) * 1e3, (ended - began) * 1e3, size, documents)


def list_all(
    contenders: Sequence[Contender], directory: Path, uri: str, documents: Documents, rounds: int
) -> dict[str, Listing]:
    """Have each contender, newly started, answer with the same collection, in turn."""
    documents.drop()
    fill(documents, SIZE)
    with ExitStack() as stack:
        running = [
            stack.enter_context(each.started(directory / f"listing-{number}", uri))
            for number, each in enumerate(contenders)
        ]
        growth = {}
        for each in running:
            rest = Growth(each.pid)
            _require_all(read_all(each.url))
            growth[each.name] = rest.bytes()
        reads = interleaved(running, rounds, lambda each: _require_all(read_all(each.url)))
    return {name: Listing(answers, growth[name]) for name, answers in reads.items()}


def _require_all(answer: Answer) -> Answer:
    if answer.documents != SIZE:
        raise RuntimeError(f"{answer.documents} of {SIZE} documents came")
    return answer
