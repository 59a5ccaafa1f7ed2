"""How one record is sent: what an answer means for it, and whether it is sent again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from http import HTTPStatus

from demijohn.cli.client import NO_ANSWER, ConnectionLost, Problem, Service, Unreachable
from demijohn.errors import DatabaseUnavailable, OutcomeUnknown, Overloaded, ShuttingDown

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
NOTHING_DONE_CODES = frozenset({Overloaded.code, DatabaseUnavailable.code, ShuttingDown.code})
NOTHING_DONE_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
ABOUT_THE_RECORD = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
)
UNREACHABLE = "unreachable"


class Kind(Enum):
    """What became of a record."""

    INSERTED = auto()
    REFUSED = auto()
    """It is certain that it is not in."""
    UNKNOWN = auto()
    """It may be in or not: to send it again could double it."""
    NOT_TAKEN = auto()
    """It is certain that it is not in, for no reason of its own: it can be sent another time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a record, why, and a reason to send no others if there is one."""

    kind: Kind
    problem: Problem | None = None
    stop: str | None = None


class Delivery:
    """Sends records to one service; thread-safe."""

    def __init__(
        self,
        service: Service,
        patience: float,
        pause: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the seconds that a record may be tried, and a wait that is True when broken off."""
        self._service = service
        self._patience = patience
        self._pause = pause
        self._clock = clock
        self._reached = False

    def send(self, document: bytes) -> Outcome:
        """Send a record until it is settled; only what is certain to be undone is sent again."""
        deadline = self._clock() + self._patience
        pause = FIRST_PAUSE
        while True:
            outcome = self._try(document)
            if outcome.stop or outcome.problem is None or outcome.kind is not Kind.NOT_TAKEN:
                return outcome
            wait = max(outcome.problem.retry_after or 0.0, pause)
            if self._clock() + wait > deadline:
                return Outcome(outcome.kind, outcome.problem, self._gave_up(outcome.problem))
            if self._pause(wait):
                return outcome
            pause = min(2 * pause, LONGEST_PAUSE)

    def _try(self, document: bytes) -> Outcome:
        """Send a record once."""
        try:
            problem = self._service.insert(document)
        except Unreachable as error:
            problem = Problem(
                NO_ANSWER, UNREACHABLE, f"The service could not be reached: {error.reason}."
            )
            stop = None if self._reached else str(error)
            return Outcome(Kind.NOT_TAKEN, problem, stop)
        except ConnectionLost as error:
            problem = Problem(NO_ANSWER, OutcomeUnknown.code, f"The connection failed: {error}.")
            stop = None if self._reached else f"No answer from {self._service.url}: {error}."
            return Outcome(Kind.UNKNOWN, problem, stop)
        self._reached = True
        return judge(problem, self._service.url) if problem else Outcome(Kind.INSERTED)

    def _gave_up(self, problem: Problem) -> str:
        return f"{self._service.url} took nothing for {self._patience:g} seconds: {problem}"


def judge(problem: Problem, url: str) -> Outcome:
    """What an answer other than "stored" means for the record, and for those after it."""
    if problem.status in NOTHING_DONE_STATUSES or problem.code in NOTHING_DONE_CODES:
        return Outcome(Kind.NOT_TAKEN, problem)
    if _about_the_record(problem):
        return Outcome(Kind.REFUSED, problem)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome(Kind.UNKNOWN, _unknown(problem))
    # What is left is about the caller or the address, so every other record would meet it too.
    stop = f"{url} does not take documents from here: {problem}"
    if problem.status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(Kind.UNKNOWN, _unknown(problem), stop)
    return Outcome(Kind.NOT_TAKEN, problem, stop)


def _about_the_record(problem: Problem) -> bool:
    if problem.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return True
    return problem.typed and problem.status in ABOUT_THE_RECORD


def _unknown(problem: Problem) -> Problem:
    """The problem under the code by which all records of unknown outcome are found."""
    if problem.code == OutcomeUnknown.code:
        return problem
    return replace(problem, code=OutcomeUnknown.code, detail=str(problem))
