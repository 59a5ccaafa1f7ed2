"""What all clients of a run note down, and the driver beside them."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.chaos.history import Attempt, Blow, Entry, Request, Sighting
from tests.support.processes import wait_until

GENERATION = 9
"""Requests of each client after which other documents are replaced and deleted: what the last ones
did stays."""
SHARED_FOR = 10
"""Generations for which everyone changes the same few documents, which are never replaced or
deleted: each mark and each increment stays. Not for longer, since a replay of an answer of more
than 64 KiB has no body."""


@dataclass(slots=True)
class Page:
    """A request and its attempts so far."""

    request: Request
    attempts: list[Attempt] = field(default_factory=list)

    def entry(self) -> Entry:
        """What there is so far, for the history."""
        return Entry(self.request, tuple(self.attempts))


class InFlight:
    """Connections on which a write waits for its answer; for many threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()

    @contextmanager
    def of(self, connection: socket.socket) -> Iterator[None]:
        """For the time of a write."""
        with self._lock:
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)

    def count(self) -> int:
        """Those of whose answers nothing has come: what a busy client has not read is not one."""
        poll = select.poll()
        registered = 0
        with self._lock:
            for each in self._sockets:
                with suppress(ValueError):  # its client is just closing it
                    poll.register(each, select.POLLIN)
                    registered += 1
            return registered - len(poll.poll(0))


class Notebook:
    """What has been sent and heard, and what was killed; for many threads."""

    def __init__(self, clients: int) -> None:
        """Begin with nothing, for so many clients."""
        self.blows: list[Blow] = []
        self.sightings: list[Sighting] = []
        self.inserted: deque[str] = deque(maxlen=200)
        """Documents that an insert was acknowledged for, and nobody has yet taken to delete."""
        self.decided = 0
        """Attempts that had an answer which would not change."""
        self.in_flight = InFlight()
        self.shared = max(2, clients // 8)
        """How many documents everyone changes at one time."""
        self._generation = GENERATION * clients
        self._began = 0.0
        self._pages: list[Page] = []
        self._lock = threading.Lock()

    def page(self, request: Request) -> Page:
        """Begin a request."""
        page = Page(request)
        with self._lock:
            self._pages.append(page)
        return page

    def add(self, page: Page, attempt: Attempt) -> None:
        """Note an attempt that has ended."""
        with self._lock:
            page.attempts.append(attempt)
            self.decided += attempt.is_decided

    def begin(self) -> None:
        """Count what is sent from now on as the next blow's."""
        self._began = time.monotonic()

    def strike(self, what: str, least: int) -> None:
        """Note that `what` is struck at this instant, at which so many writes are in flight.

        Waits for them. Raises TimedOutError.
        """
        found: list[int] = []

        def is_met() -> bool:
            found.append(self.in_flight.count())
            return found[-1] >= least

        wait_until(is_met, f"{least} writes are in flight")
        self.blows.append(Blow(what, found[-1], self._began))

    def generation(self) -> int:
        """Which documents are replaced and deleted at this time."""
        return len(self._pages) // self._generation

    def entries(self) -> tuple[Entry, ...]:
        """All requests that were sent at least once."""
        return tuple(page.entry() for page in self._pages if page.attempts)
