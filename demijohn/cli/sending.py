"""The run of an import: one reader hands records to a few sending threads, and all is counted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from demijohn.cli.client import NO_ANSWER, Problem, Service
from demijohn.cli.delivery import Delivery, Kind, Outcome
from demijohn.cli.handoff import Handoff, Record
from demijohn.cli.identity import Identity
from demijohn.cli.interrupts import Interrupts
from demijohn.cli.rejects import Rejects
from demijohn.errors import OutcomeUnknown

POLL = 0.1
"""Seconds between looks at Ctrl-C and at the senders while the reader waits."""
GRACE = 5.0
"""Seconds that records under way get to be answered once the run stops early."""
MOST_WEIGHT = 8 * 1024 * 1024
"""Bytes of records held at one time, so that memory depends on neither file nor concurrency."""
MOST_TEXT = 1_000_000
"""Bytes in one request, unless one record alone has more: many a proxy takes no more than 1 MiB."""
MOST_RECORDS = 10_000
"""In one request."""
UNANSWERED = Problem(
    NO_ANSWER, OutcomeUnknown.code, "The import ended before the service had answered."
)


@dataclass(slots=True)
class Tally:
    """What became of the records of this run so far."""

    inserted: int = 0
    refused: int = 0
    unknown: int = 0

    @property
    def settled(self) -> int:
        """All that were sent and answered for."""
        return self.inserted + self.refused + self.unknown


@dataclass(frozen=True, slots=True)
class Limits:
    """How a run goes about it."""

    concurrency: int
    """Requests on their way at one time."""
    patience: float
    """Seconds for which a failure of the service is borne."""


class Sending:
    """Sends records in several requests at once; `offer` them, then `finish`.

    The first request goes alone: what is wrong with the address or the caller is met there,
    before anything else is sent.
    """

    def __init__(
        self,
        service: Service,
        identity: Identity,
        rejects: Rejects,
        interrupts: Interrupts,
        limits: Limits,
    ) -> None:
        """Take the service, the records' spelling, and where refused ones go."""
        self.tally = Tally()
        self.stopped_by: str | None = None
        """Why the run stopped before its end, for people; None while it has not."""
        self.done = 0
        """After `finish`: the record up to which, from the first one sent, all are settled."""
        self._not_taken: dict[Record, Problem] = {}
        self._identity = identity
        self._rejects = rejects
        self._interrupts = interrupts
        self._concurrency = limits.concurrency
        self._stopping = threading.Event()
        self._delivery = Delivery(service, identity, limits.patience, self._stopping.wait)
        self._handoff = Handoff(MOST_WEIGHT, MOST_TEXT, MOST_RECORDS)
        self._counting = threading.Lock()
        self._threads = 0

    def offer(self, record: Record) -> bool:
        """Hand a record to the senders when there is room; False when the run is stopping."""
        if self._threads == 0:
            self._start_threads(1)
        elif self._threads < self._concurrency:
            self._wait_settled()
            self._start_threads(self._concurrency - self._threads)
        while not self._must_stop():
            if self._handoff.offer(record, POLL):
                return True
        return False

    def finish(self) -> None:
        """Wait until every record offered is settled, or, where the run stops, those sent."""
        self._handoff.end(discard=False)
        self._wait_settled()
        self._handoff.end(discard=True)
        if self._must_stop():
            self._stopping.set()
            self._wait_grace()
        with self._counting:
            for taken in self._handoff.write_off():
                left = frozenset(record.number for record in taken)
                self._account(taken, Outcome({}, left, Kind.UNKNOWN, UNANSWERED))
            self._account_for_not_taken()

    def _wait_settled(self) -> None:
        while not self._must_stop() and not self._handoff.wait_settled(POLL):
            pass

    def _wait_grace(self) -> None:
        """Wait for those under way; a second Ctrl-C ends it."""
        for _ in range(round(GRACE / POLL)):
            if self._interrupts.count > 1 or self._handoff.wait_settled(POLL):
                return

    def _must_stop(self) -> bool:
        return self._stopping.is_set() or self._interrupts.count > 0

    def _start_threads(self, count: int) -> None:
        for _ in range(count):
            # Daemons: one that waits for an answer that never comes must not hold the exit up.
            threading.Thread(target=self._send_all, daemon=True).start()
        self._threads += count

    def _send_all(self) -> None:
        try:
            while taken := self._handoff.take():
                outcome = self._delivery.send(taken)
                with self._counting:
                    if self._handoff.settle(taken):
                        self._account(taken, outcome)
        except BaseException:
            self._stop("A defect in the import ended it.")
            raise

    def _account(self, taken: list[Record], outcome: Outcome) -> None:
        """Count records and keep those that are not in; called by one thread at a time."""
        for record in taken:
            if problem := outcome.refused.get(record.number):
                self._refuse(record, problem)
            elif record.number not in outcome.left:
                self.tally.inserted += 1
            elif outcome.problem and outcome.kind is Kind.UNKNOWN:
                # With the _id that it was sent with: sent again so, it can't be doubled.
                self.tally.unknown += 1
                self._keep(replace(record, raw=self._identity.spell(record)), outcome.problem)
            elif outcome.problem:
                self._not_taken[record] = outcome.problem
        if outcome.stop:
            self._stop(outcome.stop)

    def _account_for_not_taken(self) -> None:
        """Leave those at the end for another run; one with later ones settled is refused."""
        self.done = self._handoff.last_taken
        for record in sorted(self._not_taken, key=lambda each: each.number, reverse=True):
            if record.number == self.done:
                self.done -= 1
            else:
                self._refuse(record, self._not_taken[record])

    def _refuse(self, record: Record, problem: Problem) -> None:
        self.tally.refused += 1
        self._keep(record, problem)

    def _keep(self, record: Record, problem: Problem) -> None:
        try:
            self._rejects.write(record, problem)
        except OSError as error:
            self._stop(
                f"Record {record.number} was refused ({problem}), "
                f"and {self._rejects.path} cannot be written: {error.strerror}."
            )

    def _stop(self, reason: str) -> None:
        self.stopped_by = self.stopped_by or reason
        self._stopping.set()
        self._handoff.end(discard=True)
