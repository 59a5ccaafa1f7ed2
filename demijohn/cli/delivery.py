"""How records are sent together: what answers mean for them, and whether they are sent again.

Since every record has its `_id` before it is sent (`identity`), all that is not settled may be
sent again, whatever became of it: what is in already comes back as a duplicate. A duplicate at the
first attempt was there before, and is refused; at a later one the collection is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from http import HTTPStatus

import orjson

from demijohn.cli.arrived import arrived
from demijohn.cli.client import (
    NO_ANSWER,
    ConnectionLost,
    Problem,
    Refused,
    Service,
    Unreachable,
    parse_problem,
)
from demijohn.cli.handoff import Record
from demijohn.cli.identity import Identity
from demijohn.errors import (
    DatabaseUnavailable,
    DuplicateKey,
    OutcomeUnknown,
    Overloaded,
    ShuttingDown,
)

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
NOTHING_DONE_CODES = frozenset({Overloaded.code, DatabaseUnavailable.code, ShuttingDown.code})
NOTHING_DONE_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
UNREACHABLE = "unreachable"


class Kind(Enum):
    """What may be said of records that were neither inserted nor refused."""

    UNKNOWN = auto()
    """They may be in or not."""
    NOT_TAKEN = auto()
    """It is certain that they are not in, for no reason of their own."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of records that were sent together; those not named are in."""

    refused: dict[int, Problem] = field(default_factory=dict)
    """By number: these are not in."""
    left: frozenset[int] = frozenset()
    """The numbers of those that are not settled."""
    kind: Kind = Kind.NOT_TAKEN
    """Of those left."""
    problem: Problem | None = None
    """Why they are."""
    stop: str | None = None
    """A reason to send no others, if there is one."""


class Delivery:
    """Sends records to one collection; thread-safe."""

    def __init__(
        self,
        service: Service,
        identity: Identity,
        patience: float,
        pause: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the seconds that a failure is borne, and a wait that is True when broken off."""
        self._service = service
        self._identity = identity
        self._patience = patience
        self._pause = pause
        self._clock = clock
        self._reached = False

    def send(self, records: Iterable[Record]) -> Outcome:
        """Send records until each is settled, or the service has failed for too long."""
        job = _Job({record.number: record for record in records})
        deadline = None
        pause = FIRST_PAUSE
        while failed := self._try(job):
            deadline = deadline or self._clock() + self._patience
            wait = max(failed.problem.retry_after or 0.0, pause)
            if failed.stop is None and self._clock() + wait > deadline:
                failed = replace(failed, stop=self._gave_up(failed.problem))
            if failed.stop is not None or self._pause(wait):
                return job.outcome(failed)
            pause = min(2 * pause, LONGEST_PAUSE)
        return job.outcome(None)

    def _try(self, job: _Job) -> _Failure | None:
        """Send once what is not settled; why it still is not, if so."""
        try:
            return self._upload(job)
        except Unreachable as error:
            detail = f"The service could not be reached: {error.reason}."
            stop = None if self._reached else str(error)
            return _Failure(Problem(NO_ANSWER, UNREACHABLE, detail), stop)
        except ConnectionLost as error:
            job.may_be_in = True
            detail = f"The connection failed: {error}."
            stop = None if self._reached else f"No answer from {self._service.url}: {error}."
            return _Failure(Problem(NO_ANSWER, OutcomeUnknown.code, detail), stop)
        except Refused as error:
            self._reached = True
            return self._judge(job, error.problem)

    def _upload(self, job: _Job) -> _Failure | None:
        """Send once what is not settled; why it still is not, if the service said it.

        Raises ClientError.
        """
        attempt = _Attempt(dict(enumerate(job.records, 1)))
        lines = b"".join(self._identity.spell(each) + b"\n" for each in job.records.values())
        lost = None
        try:
            with self._service.upload(lines, extended=self._identity.is_extended) as answer:
                self._reached = True
                for line in answer:
                    attempt.hear(line)
        except ConnectionLost as error:
            lost = error
        self._settle(job, attempt)
        if not job.records:
            return None
        if attempt.failure is not None:
            job.may_be_in |= not attempt.did_nothing
            return _Failure(attempt.failure)
        if not attempt.is_whole:
            raise lost or ConnectionLost("the answer has no end")
        job.records.clear()
        return None

    def _settle(self, job: _Job, attempt: _Attempt) -> None:
        """Take those for refused, or for inserted, that this attempt tells so much of."""
        doubtful = {}
        if job.may_be_in:
            for number, problem in attempt.refused.items():
                if problem.code == DuplicateKey.code:
                    doubtful[number] = self._identity.spell(job.records[number])
        extended = self._identity.is_extended
        there = arrived(self._service, doubtful, extended=extended) if doubtful else frozenset()
        for number, problem in attempt.refused.items():
            del job.records[number]
            if number not in there:
                job.refused[number] = problem

    def _judge(self, job: _Job, problem: Problem) -> _Failure | None:
        """What it means that the service took none of the records."""
        if problem.status in NOTHING_DONE_STATUSES or problem.code in NOTHING_DONE_CODES:
            return _Failure(problem)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            job.may_be_in = True
            return _Failure(problem)
        if problem.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(job.records) == 1:
            job.refused[job.records.popitem()[0]] = problem
            return None
        # What is left is about the caller or the address, so every other record would meet it too.
        job.may_be_in |= problem.status < HTTPStatus.MULTIPLE_CHOICES
        stop = f"{self._service.url} does not take documents from here: {problem}"
        return _Failure(problem, stop)

    def _gave_up(self, problem: Problem) -> str:
        return f"{self._service.url} took nothing for {self._patience:g} seconds: {problem}"


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an attempt did not settle all, and a reason to try no more if there is one."""

    problem: Problem
    stop: str | None = None


@dataclass(slots=True)
class _Job:
    """Records that are sent together."""

    records: dict[int, Record]
    """By number: those that are not settled."""
    refused: dict[int, Problem] = field(default_factory=dict)
    may_be_in: bool = False
    """Whether an attempt has ended that may have inserted some of those not settled."""

    def outcome(self, failed: _Failure | None) -> Outcome:
        """What is to be told of them in the end."""
        if failed is None:
            return Outcome(self.refused)
        kind, problem = Kind.NOT_TAKEN, failed.problem
        if self.may_be_in:
            kind, problem = Kind.UNKNOWN, _unknown(problem)
        return Outcome(self.refused, frozenset(self.records), kind, problem, failed.stop)


@dataclass(slots=True)
class _Attempt:
    """What the answer to one upload says."""

    numbers: dict[int, int]
    """By the line of the upload."""
    refused: dict[int, Problem] = field(default_factory=dict)
    failure: Problem | None = None
    """Why the service did not go on, if it has said so."""
    did_nothing: bool = False
    """Whether that was with the first that it did not refuse, and so with all."""
    is_whole: bool = False

    def hear(self, line: bytes) -> None:
        """Take a line. Raises ConnectionLost for what no service says."""
        try:
            members = orjson.loads(line)
            if "done" in members:
                self.is_whole = self._agrees(members)
                return
            problem = parse_problem(int(members["status"]), line)
            line_number = members["line"]
            number = self.numbers[line_number]
        except (ValueError, TypeError, KeyError) as error:
            raise ConnectionLost("the answer is not one to an upload") from error
        if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self.refused[number] = problem
        elif self.failure is None:
            self.failure = problem
            is_first = line_number == len(self.refused) + 1
            self.did_nothing = is_first and problem.code in NOTHING_DONE_CODES

    def _agrees(self, sums: dict[str, object]) -> bool:
        """Whether the service has counted as has been heard here."""
        failed = len(self.refused)
        inserted = len(self.numbers) - failed
        return sums == {"inserted": inserted, "failed": failed, "done": True}


def _unknown(problem: Problem) -> Problem:
    """The problem under the code by which all records of unknown outcome are found."""
    if problem.code == OutcomeUnknown.code:
        return problem
    return replace(problem, code=OutcomeUnknown.code, detail=str(problem))
