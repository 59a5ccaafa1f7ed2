"""What takes a turn under load: a running contender with a question, or the bare driver."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import urllib3

from tests.bench import bare
from tests.bench.contenders import Running
from tests.bench.database import COLLECTION
from tests.bench.load import Load, Request, parse
from tests.bench.usage import cpu_seconds
from tests.support.service import clean_environ

Generator = Callable[[str, Request, int, int], Load]
"""What makes the load: `load.by_wrk` or `threads.by_threads`."""
_LOOKS = 20
BATCH = 64
"""Documents of one `insert_many` of the bare driver."""


class Entrant(Protocol):
    """What can be loaded."""

    @property
    def name(self) -> str:
        """As the tables call it."""

    @property
    def collection(self) -> str:
        """Where its documents go."""

    def check(self) -> None:
        """Ask by hand. Raises RuntimeError where the answer is not what it should be."""

    def load(self, connections: int, seconds: int) -> Load:
        """Load it."""

    def cpu(self) -> float:
        """The seconds of CPU time that it has taken so far."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A contender that is sent documents."""

    name: str
    running: Running
    generator: Generator
    request: Request = field(default_factory=Request)
    collection: str = COLLECTION

    def check(self) -> None:
        """One document by hand: wrk tells answers apart by 400 and above only."""
        answer = urllib3.request(
            *(self.request.method, f"{self.running.url}{self.request.place()}"),
            body=self.request.body,
            headers=self.request.headers,
            retries=False,
        )
        if answer.status != 201:
            raise RuntimeError(f"{self.name} answers {answer.status}: {answer.data!r}")

    def load(self, connections: int, seconds: int) -> Load:
        """Load it."""
        return self.generator(self.running.url, self.request, connections, seconds)

    def cpu(self) -> float:
        """The seconds of CPU time that its own processes have taken."""
        return cpu_seconds(self.running.pid)


@dataclass(frozen=True, slots=True)
class Read(Posted):
    """A contender that is asked for single documents, of those that `database.fill` put there."""

    def check(self) -> None:
        """Some documents by hand: each must be the one that was asked for."""
        for number in random.sample(range(self.request.ids), min(_LOOKS, self.request.ids)):
            url = f"{self.running.url}{self.request.path}{number:024x}"
            answer = urllib3.request("GET", url, retries=False)
            if answer.status != 200 or json.loads(answer.data)["n"] != number:
                raise RuntimeError(f"{self.name} answers {answer.status}: {answer.data!r}")


@dataclass(slots=True)
class Bare:
    """The driver without HTTP, in a process of its own that ends with each turn."""

    name: str
    uri: str
    batch: int
    collection: str = bare.COLLECTION
    _cpu: float = 0

    def check(self) -> None:
        """Nothing to ask by hand."""

    def load(self, connections: int, seconds: int) -> Load:
        """Have as many threads insert. Raises CalledProcessError where the program fails."""
        sizes = (str(connections), str(self.batch), str(seconds))
        done = subprocess.run(
            [sys.executable, "-m", bare.__name__, self.uri, *sizes],
            env=clean_environ({}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        self._cpu += json.loads(done.stdout)["cpu_seconds"]
        return parse(done.stdout, connections)

    def cpu(self) -> float:
        """The seconds of CPU time that its processes have taken, without their start."""
        return self._cpu


def ceilings(uri: str) -> list[Bare]:
    """The ceilings."""
    return [
        Bare("PyMongo, insert_one", uri, 1),
        Bare(f"PyMongo, insert_many of {BATCH}", uri, BATCH),
    ]
