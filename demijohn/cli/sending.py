"""The run of an import: one reader hands records to a few sending threads, and all is counted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from demijohn.cli.client import NO_ANSWER, Problem, Service
from demijohn.cli.delivery import Delivery, Kind, Outcome
from demijohn.cli.handoff import Handoff, Record
from demijohn.cli.interrupts import Interrupts
from demijohn.cli.rejects import Rejects
from demijohn.errors import OutcomeUnknown

POLL = 0.1
"""Seconds between looks at Ctrl-C and at the senders while the reader waits."""
GRACE = 5.0
"""Seconds that records under way get to be answered once the run stops early."""
MOST_BYTES = 32 * 1024 * 1024
"""Bytes of records held at one time, so that memory depends on neither file nor concurrency."""
MOST_UNKNOWN = 5
"""Unknown outcomes in a row for each sender, after which no further record will mend things."""
UNANSWERED = Problem(
    NO_ANSWER, OutcomeUnknown.code, "The import ended before the service had answered."
)


@dataclass(slots=True)
class Tally:
    """What became of the records of this run so far."""

    inserted: int = 0
    refused: int = 0
    unknown: int = 0
    unknown_in_a_row: int = 0

    @property
    def settled(self) -> int:
        """All that were sent and answered for."""
        return self.inserted + self.refused + self.unknown

    def count(self, kind: Kind) -> None:
        """Count one record."""
        if kind is Kind.INSERTED:
            self.inserted += 1
        elif kind is Kind.REFUSED:
            self.refused += 1
        else:
            self.unknown += 1
        self.unknown_in_a_row = self.unknown_in_a_row + 1 if kind is Kind.UNKNOWN else 0


class Sending:
    """Sends records several at once; `offer` them, then `finish`.

    The first record goes alone: what is wrong with the address or the caller is met there,
    before anything else is sent.
    """

    def __init__(
        self,
        service: Service,
        rejects: Rejects,
        interrupts: Interrupts,
        concurrency: int,
        patience: float,
    ) -> None:
        """Take the service, where refused records go, and the seconds a record may be tried."""
        self.tally = Tally()
        self.stopped_by: str | None = None
        """Why the run stopped before its end, for people; None while it has not."""
        self.done = 0
        """After `finish`: the record up to which, from the first one sent, all are settled."""
        self._not_taken: dict[Record, Outcome] = {}
        self._rejects = rejects
        self._interrupts = interrupts
        self._concurrency = concurrency
        self._stopping = threading.Event()
        self._delivery = Delivery(service, patience, self._stopping.wait)
        self._handoff = Handoff(2 * concurrency, MOST_BYTES)
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
            for record in self._handoff.write_off():
                self._account(record, Outcome(Kind.UNKNOWN, UNANSWERED))
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
            while record := self._handoff.take():
                outcome = self._delivery.send(record.raw)
                with self._counting:
                    if self._handoff.settle(record):
                        self._account(record, outcome)
        except BaseException:
            self._stop("A defect in the import ended it.")
            raise

    def _account(self, record: Record, outcome: Outcome) -> None:
        """Count a record and keep it if it is not in; called by one thread at a time."""
        if outcome.kind is Kind.NOT_TAKEN:
            self._not_taken[record] = outcome
        else:
            self.tally.count(outcome.kind)
            if outcome.problem:
                self._keep(record, outcome.problem)
        if outcome.stop:
            self._stop(outcome.stop)
        elif self.tally.unknown_in_a_row >= MOST_UNKNOWN * self._concurrency:
            self._stop(f"The outcome of {self.tally.unknown_in_a_row} in a row is not known.")

    def _account_for_not_taken(self) -> None:
        """Leave those at the end for another run; one with later ones settled is refused."""
        self.done = self._handoff.last_taken
        for record in sorted(self._not_taken, key=lambda each: each.number, reverse=True):
            if record.number == self.done:
                self.done -= 1
            else:
                self._account(record, replace(self._not_taken[record], kind=Kind.REFUSED))

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
