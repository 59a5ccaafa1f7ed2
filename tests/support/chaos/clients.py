"""Clients that send requests until they are answered, and note down each attempt.

Each has one connection and retries by itself, as the contract says: the same request under the same
key, until the answer is one that would not change. Some requests that were answered are sent again
much later, when others have changed or deleted the document meanwhile. Clients without keys send
each request once, whatever comes of it.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from tests.support.api import JSON_PATCH, MERGE, UPDATE
from tests.support.chaos.history import Attempt, Effect, Entry, Kill, Request, Sighting

COLLECTION = "/v1/collections/data/documents"
GENERATION = 80
"""Requests after which other documents are replaced and deleted: what the last ones did stays."""
SHARED_FOR = 10
"""Generations for which everyone changes the same two documents, which are never replaced or
deleted: each mark and each increment stays. Not for longer, since a replay of an answer of more
than 64 KiB has no body."""
PATIENCE = 90.0
"""Seconds in which a request must be answered: a hang, past that."""
WEIGHTS = {
    Effect.INSERT: 5,
    Effect.PUT: 2,
    Effect.CREATE: 2,
    Effect.PUSH: 3,
    Effect.APPEND: 2,
    Effect.MERGE: 2,
    Effect.INCREMENT: 2,
    Effect.DELETE: 4,
}
"""How often each is sent, of their sum."""
_JSON = "application/json"
_PATCHES = {
    Effect.PUSH: UPDATE,
    Effect.INCREMENT: UPDATE,
    Effect.APPEND: JSON_PATCH,
    Effect.MERGE: MERGE,
}


class Place(Protocol):
    """Where the service is, and what a client can know of its database."""

    port: int

    def recent(self) -> list[Sighting]:
        """Inserted documents that are in the database at this moment."""


@dataclass(frozen=True, slots=True)
class Spelled:
    """A request as it goes over the wire, the same at each attempt."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]


def spelled(request: Request) -> Spelled:
    """The bytes of a request; they follow from the request alone."""
    mark, effect = request.mark, request.effect
    headers = {"Idempotency-Key": mark} if request.keyed else {}
    if effect is Effect.DELETE:
        return Spelled("DELETE", request.url or "", None, headers)
    headers["Content-Type"] = _PATCHES.get(effect, _JSON)
    if effect is Effect.CREATE:
        headers["If-None-Match"] = "*"
    method = "PATCH" if effect in _PATCHES else "POST" if effect is Effect.INSERT else "PUT"
    body = json.dumps(_body(mark, effect)).encode()
    return Spelled(method, request.url or COLLECTION, body, headers)


def _body(mark: str, effect: Effect) -> object:
    patches: dict[Effect, object] = {
        Effect.PUSH: {"$push": {"log": mark}},
        Effect.INCREMENT: {"$inc": {"n": 1}},
        Effect.APPEND: [{"op": "add", "path": "/log/-", "value": mark}],
        Effect.MERGE: {"marks": {mark: True}},
    }
    return patches.get(effect, {"log": [mark], "marks": {}, "n": 0})


@dataclass(slots=True)
class Page:
    """A request and its attempts so far."""

    request: Request
    attempts: list[Attempt] = field(default_factory=list)

    def entry(self) -> Entry:
        """What there is so far, for the history."""
        return Entry(self.request, tuple(self.attempts))


class Notebook:
    """What all clients of a run have sent and heard, and what was killed; for many threads."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.kills: list[Kill] = []
        self.sightings: list[Sighting] = []
        self.inserted: deque[str] = deque(maxlen=200)
        """Documents that an insert was acknowledged for, and nobody has yet taken to delete."""
        self.decided = 0
        """Attempts that had an answer which would not change."""
        self._pages: list[Page] = []
        self._lock = threading.Lock()
        self._in_flight = 0

    def page(self, request: Request) -> Page:
        """Begin a request."""
        page = Page(request)
        with self._lock:
            self._pages.append(page)
        return page

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """For the time of an attempt."""
        with self._lock:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def add(self, page: Page, attempt: Attempt) -> None:
        """Note an attempt that has ended."""
        with self._lock:
            page.attempts.append(attempt)
            self.decided += attempt.is_decided

    def kill(self, what: str) -> None:
        """Note that `what` is killed at this instant."""
        self.kills.append(Kill(what, self._in_flight))

    def generation(self) -> int:
        """Which documents are replaced and deleted at this time."""
        return len(self._pages) // GENERATION

    def entries(self) -> tuple[Entry, ...]:
        """All requests that were sent at least once."""
        return tuple(page.entry() for page in self._pages if page.attempts)


class Line:
    """One connection to the service, opened again after each failure."""

    def __init__(self, port: int) -> None:
        """Take the service's port on this machine."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def send(self, request: Spelled) -> Attempt:
        """Send the request once and hear its answer; nothing is raised for a broken connection."""
        sent = time.monotonic()
        try:
            if self._connection.sock is None:
                self._connection.connect()
        except OSError:
            return Attempt(sent, time.monotonic(), code="not-sent")
        try:
            self._connection.request(request.method, request.path, request.body, request.headers)
            response = self._connection.getresponse()
            return _heard(sent, response, response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            return Attempt(sent, time.monotonic())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _heard(sent: float, response: http.client.HTTPResponse, body: bytes) -> Attempt:
    is_problem = response.headers.get_content_type() == "application/problem+json"
    tag = response.headers.get("ETag", "")
    return Attempt(
        sent,
        time.monotonic(),
        status=response.status,
        code=str(json.loads(body)["code"]) if is_problem and body else "",
        replayed=response.headers.get("Idempotency-Replayed") == "true",
        location=response.headers.get("Location"),
        # A problem names the request that it answers, so that two of one kind are not the same.
        content="" if is_problem else f"{tag} {sha256(body).hexdigest()[:12]}",
    )


@dataclass(frozen=True, slots=True)
class Ways:
    """What a client chooses by chance, and which chance."""

    seed: int
    weights: Mapping[Effect, int] = field(default_factory=lambda: WEIGHTS)


class Client(threading.Thread):
    """Sends requests at random until told to stop; then it finishes what it began."""

    def __init__(
        self, name: str, place: Place, notebook: Notebook, ways: Ways, *, keyed: bool
    ) -> None:
        """Take what it writes into; `keyed` clients retry, the others never do."""
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._line = Line(place.port)
        self._notebook = notebook
        self._place = place
        self._random = random.Random(ways.seed)
        self._weights = ways.weights
        self._keyed = keyed
        self._count = 0
        self._again: list[Page] = []

    def run(self) -> None:
        """Send until told to stop."""
        try:
            while not self.stopping.is_set():
                self._step()
            for page in self._again:
                self._settle(page)
        except BaseException as error:  # noqa: BLE001 - the driver raises it in its own thread
            self.failure = error
        finally:
            self._line.close()

    def _step(self) -> None:
        if self._again and self._random.random() < 0.2:
            self._settle(self._again.pop(self._random.randrange(len(self._again))))
            return
        page = self._notebook.page(self._next())
        self._settle(page)
        entry = page.entry()
        if entry.request.effect is Effect.INSERT and entry.is_done and entry.url:
            self._notebook.inserted.append(entry.url)
        if self._keyed and self._random.random() < 0.3:
            self._again.append(page)

    def _settle(self, page: Page) -> None:
        """Send the request until this time's answer is decided; without a key, once."""
        request = spelled(page.request)
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._notebook.in_flight():
                attempt = self._line.send(request)
            self._notebook.add(page, attempt)
            if attempt.is_decided or not attempt.is_expected:
                return
            time.sleep(self._random.uniform(0.02, 0.15))
            if not self._keyed:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"never answered: {page.entry()}")

    def _next(self) -> Request:
        self._count += 1
        mark = f"{self.name}-{self._count}"
        (effect,) = self._random.choices(list(self._weights), list(self._weights.values()))
        return Request(mark, effect, self._url(effect), self._keyed)

    def _url(self, effect: Effect) -> str | None:
        if effect is Effect.INSERT:
            return None
        if effect is Effect.INCREMENT:
            return self._shared()
        if effect is Effect.CREATE and self._random.random() < 0.4:
            return self._shared()  # whoever is first makes it
        if effect is Effect.DELETE and self._random.random() < 0.5:
            return self._inserted() or self._changing()
        if effect in _PATCHES and self._random.random() < 0.5:
            return self._shared()
        return self._changing()

    def _shared(self) -> str:
        block = self._notebook.generation() // SHARED_FOR
        return f"{COLLECTION}/shared-{self._random.randrange(2)}-{block}"

    def _changing(self) -> str:
        """A document that is replaced and deleted at this time: its own, or one of many clients.

        What is sent without a key may end with nobody knowing what came of it, so the clients
        with keys have documents that nobody else touches.
        """
        generation = self._notebook.generation()
        kinds = [f"keyed-{self._random.randrange(3)}"] * 4 if self._keyed else []
        kind = self._random.choice([*kinds, f"of-{self.name}", "mixed", "mixed"])
        return f"{COLLECTION}/{kind}-{generation}"

    def _inserted(self) -> str | None:
        """A document of somebody's insert, answered or not yet."""
        if self._random.random() < 0.5 and (seen := self._place.recent()):
            sighting = self._random.choice(seen)
            self._notebook.sightings.append(sighting)
            return sighting.url
        try:
            return self._notebook.inserted.popleft()
        except IndexError:
            return None
