"""What a run has done and seen, as values: the checker needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a request does to its document; `mark` is a word that no other request has."""

    INSERT = "insert"
    """POST of `{"log": [mark]}`; the service makes the id."""
    PUT = "put"
    """PUT of `{"log": [mark], "n": 0}`: creates or replaces, so earlier marks are gone."""
    CREATE = "create"
    """The same with `If-None-Match: *`: creates or is refused."""
    PUSH = "push"
    """`{"$push": {"log": mark}}`."""
    APPEND = "append"
    """JSON Patch: add the mark at `/log/-`."""
    MERGE = "merge"
    """Merge patch: `{"marks": {mark: true}}`."""
    INCREMENT = "increment"
    """`{"$inc": {"n": 1}}`: leaves no mark, and is counted."""
    DELETE = "delete"
    """DELETE: all marks are gone."""
    READ = "read"
    """GET: changes nothing, and has no key."""


WIPERS = frozenset({Effect.PUT, Effect.CREATE, Effect.DELETE})
"""After these no earlier mark is there."""
MARKERS = frozenset(Effect) - {Effect.INSERT, Effect.INCREMENT, Effect.DELETE, Effect.READ}
"""These leave their mark in the document at their URL."""


@dataclass(frozen=True, slots=True)
class State:
    """What a document holds, its id apart."""

    log: tuple[str, ...] = ()
    marks: frozenset[str] = frozenset()
    n: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """A state that somebody was shown, and its entity tag."""

    tag: str
    state: State


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a request was sent."""

    sent: float
    ended: float
    """By the same clock as `sent`; infinite where it never ended."""
    status: int = 0
    """0: the connection broke, or there was none."""
    code: str = ""
    """Of a problem; `not-sent` where there was no connection."""
    replayed: bool = False
    """Whether the answer had `Idempotency-Replayed: true`."""
    location: str | None = None
    content: str = ""
    """The rest of the answer that a replay has to repeat."""
    shown: Version | None = None
    """The document in the answer of success, where it has one."""

    @property
    def is_success(self) -> bool:
        """Whether it was acknowledged."""
        return 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether it was refused for what is stored: the final word, and nothing written."""
        return (self.status, self.code) in _REFUSALS

    @property
    def is_decided(self) -> bool:
        """Whether a client need not send it again."""
        return self.is_success or self.is_refusal

    @property
    def is_certainly_not(self) -> bool:
        """Whether the answer says that this time nothing was written."""
        return self.is_refusal or self.code in _NOTHING_DONE

    @property
    def is_expected(self) -> bool:
        """Whether it is one of the answers that this contract has for failures and refusals."""
        return self.is_decided or self.status in (0, 503, 504) or self.code in _NOTHING_DONE


_REFUSALS = {(404, "not-found"), (412, "precondition-failed"), (409, "duplicate-key")}
_NOTHING_DONE = {
    "not-sent",
    "database-unavailable",
    "overloaded",
    "shutting-down",
    "idempotency-in-progress",
    "write-conflict",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client wants done once."""

    mark: str
    effect: Effect
    url: str | None = None
    """The document's path; None where the service makes the id."""
    keyed: bool = True
    """Whether its mark is sent as Idempotency-Key too."""
    match: Version | None = None
    """The version that it demands (If-Match)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request with all its attempts, in the order in which they were sent."""

    request: Request
    attempts: tuple[Attempt, ...]

    @property
    def answer(self) -> Attempt | None:
        """The first decided attempt."""
        return next((each for each in self.attempts if each.is_decided), None)

    @property
    def is_done(self) -> bool:
        """Whether it was acknowledged: the effect must have happened, once."""
        return self.answer is not None and self.answer.is_success

    @property
    def is_denied(self) -> bool:
        """Whether every answer says that nothing was written: the effect must not have happened.

        Of a read nothing ever is.
        """
        if self.answer is not None:
            return self.answer.is_refusal
        is_read = self.request.effect is Effect.READ
        return is_read or all(each.is_certainly_not for each in self.attempts)

    @property
    def is_unknown(self) -> bool:
        """Whether the effect may or may not have happened, once."""
        return not self.is_done and not self.is_denied

    @property
    def url(self) -> str | None:
        """The document that it wrote, as far as anybody was told."""
        if self.request.effect is Effect.INSERT:
            return self.answer.location if self.answer else None
        return self.request.url

    @property
    def began(self) -> float:
        """Before this its effect cannot have happened."""
        return self.attempts[0].sent

    @property
    def settled(self) -> float:
        """After this its effect must not happen; infinite where it was never answered."""
        return self.answer.ended if self.answer else math.inf


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that was killed or otherwise harmed."""

    what: str
    in_flight: int
    """Writes that had been sent and of whose answers nothing had come, at that instant."""
    began: float = 0.0
    """What is sent from here to where the next one begins is counted as its."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it is stored at the end."""

    url: str
    log: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    n: int = 0

    @property
    def state(self) -> State:
        """All but where it is."""
        return State(self.log, frozenset(self.marks), self.n)


@dataclass(frozen=True, slots=True)
class Sighting:
    """That an inserted document was seen in the database before somebody deleted it."""

    mark: str
    url: str


@dataclass(frozen=True, slots=True)
class History:
    """A run."""

    entries: tuple[Entry, ...]
    blows: tuple[Blow, ...] = ()
    sightings: tuple[Sighting, ...] = ()

    def at(self, url: str) -> Iterator[Entry]:
        """The requests for one document."""
        return (each for each in self.entries if each.url == url)
