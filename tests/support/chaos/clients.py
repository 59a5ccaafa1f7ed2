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
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Protocol

from tests.support.api import JSON_PATCH, MERGE, UPDATE
from tests.support.chaos.history import Attempt, Effect, Request, Sighting, State, Version
from tests.support.chaos.notebook import SHARED_FOR, InFlight, Notebook, Page

COLLECTION = "/v1/collections/data/documents"
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
    Effect.READ: 4,
}
"""How often each is sent, of their sum."""
MATCHING = frozenset({Effect.PUT, Effect.PUSH, Effect.APPEND, Effect.MERGE, Effect.DELETE})
"""What may be sent with If-Match."""
_JSON = "application/json"
_PATCHES = {
    Effect.PUSH: UPDATE,
    Effect.INCREMENT: UPDATE,
    Effect.APPEND: JSON_PATCH,
    Effect.MERGE: MERGE,
}


_SHARING = frozenset({*_PATCHES, Effect.READ})
_METHODS = {Effect.DELETE: "DELETE", Effect.READ: "GET"}
"""Of those without a body."""


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
    if request.match is not None:
        headers["If-Match"] = request.match.tag
    if effect in _METHODS:
        return Spelled(_METHODS[effect], request.url or "", None, headers)
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


class Line:
    """One connection to the service, opened again after each failure."""

    def __init__(self, port: int, in_flight: InFlight) -> None:
        """Take the service's port on this machine, and who counts the writes."""
        self._in_flight = in_flight
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
            with self._counted(request):
                self._connection.request(
                    request.method, request.path, request.body, request.headers
                )
                response = self._connection.getresponse()
            return _heard(sent, response, response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            return Attempt(sent, time.monotonic())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _counted(self, request: Spelled) -> AbstractContextManager[None]:
        is_read = request.method == "GET"
        return nullcontext() if is_read else self._in_flight.of(self._connection.sock)


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
        shown=None if is_problem or not body else Version(tag, _state(json.loads(body))),
    )


def _state(document: Mapping[str, Any]) -> State:
    return State(tuple(document["log"]), frozenset(document["marks"]), document["n"])


@dataclass(frozen=True, slots=True)
class Ways:
    """What a client chooses by chance, and which chance."""

    seed: int
    weights: Mapping[Effect, int] = field(default_factory=lambda: WEIGHTS)
    matching: float = 0.25
    """The share of what can be sent with If-Match that is; it is read first."""


class Client(threading.Thread):
    """Sends requests at random until told to stop; then it finishes what it began."""

    def __init__(
        self, name: str, place: Place, notebook: Notebook, ways: Ways, *, keyed: bool
    ) -> None:
        """Take what it writes into; `keyed` clients retry, the others never do."""
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._line = Line(place.port, notebook.in_flight)
        self._notebook = notebook
        self._place = place
        self._random = random.Random(ways.seed)
        self._ways = ways
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
        request = self._next()
        if request.effect in MATCHING and self._random.random() < self._ways.matching:
            request = replace(request, match=self._look(request))
        page = self._notebook.page(request)
        self._settle(page)
        entry = page.entry()
        if request.effect is Effect.INSERT and entry.is_done and entry.url:
            self._notebook.inserted.append(entry.url)
        if request.keyed and self._random.random() < 0.3:
            self._again.append(page)

    def _look(self, request: Request) -> Version | None:
        """The document as it is, if there is one."""
        mark = f"{request.mark}-before"
        page = self._notebook.page(Request(mark, Effect.READ, request.url, keyed=False))
        self._settle(page)
        answer = page.entry().answer
        return None if answer is None else answer.shown

    def _settle(self, page: Page) -> None:
        """Send the request until this time's answer is decided; without a key, once."""
        request = spelled(page.request)
        deadline = time.monotonic() + PATIENCE
        while True:
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
        weights = self._ways.weights
        (effect,) = self._random.choices(list(weights), list(weights.values()))
        keyed = self._keyed and effect is not Effect.READ
        return Request(mark, effect, self._url(effect), keyed)

    def _url(self, effect: Effect) -> str | None:
        if effect is Effect.INSERT:
            return None
        if effect is Effect.INCREMENT:
            return self._shared()
        if effect is Effect.CREATE and self._random.random() < 0.4:
            return self._shared()  # whoever is first makes it
        if effect is Effect.DELETE and self._random.random() < 0.5:
            return self._inserted() or self._changing()
        if effect in _SHARING and self._random.random() < 0.5:
            return self._shared()
        return self._changing()

    def _shared(self) -> str:
        block = self._notebook.generation() // SHARED_FOR
        return f"{COLLECTION}/shared-{self._random.randrange(self._notebook.shared)}-{block}"

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
