"""Exactly once: a request with an Idempotency-Key has its effect and its record as one.

The states of a key, on a replica set or a sharded cluster::

                    one transaction: effect + record
      (none) ──────────────────────────────────────────────▶ done: an answer of success
        │
        │           one insert: record, no effect
        └──────────────────────────────────────────────────▶ done: an answer of refusal

and there is no third: nothing is ever "begun". A request with a key in state `done` gets the
recorded answer if it is the same request, else IdempotencyKeyReused, and does nothing. Records go
after a day, by a TTL index, and with them the state.

Inside the transaction: (1) look for the record, (2) read the document and decide, (3) insert the
record, with the answer where it is foreseen, (4) write the effect, (5) put the answer into the
record where only the effect could tell it, (6) commit. Where a process or the database dies:

- before (6), at whatever point: the transaction is aborted. No effect, no record; the client got
  no answer, or `database-unavailable`, and its retry is a first attempt.
- during (6): the database has committed all of it or nothing. The client got no answer, or
  `outcome-unknown`; its retry finds the record, or is a first attempt.
- after (6), before the client has its answer: the retry finds the record.
- after a refusal was decided and before its record is written: no effect either way; the retry
  decides anew, on the document as it then is.

Two requests with one key at one time: the snapshot of each has no record, so both insert it, and
the database lets one do so (MongoDB manual, "In-progress Transactions and Write Conflicts"). The
other tries again and finds the record, or, where the first takes long, is
IdempotencyInProgress. A record also outlives its effect: what others do to the document later
is not undone by a retry.

What is refused for the request alone (syntax, media type, size) never comes here, and leaves no
record; a condition that is missing leaves none either, for a request with one is the same request.
Nor do WriteConflict and failures of the database: they may pass, and a retry is meant to
try again.

Where the database is a standalone mongod, see `documents.standalone`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from demijohn.documents import records
from demijohn.documents.change import Outcome, PlanOf
from demijohn.documents.records import COLLECTION, KEPT, Key, Record, Told
from demijohn.errors import (
    DuplicateKey,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    PreconditionRequired,
    Problem,
    WriteConflict,
)
from demijohn.store.commands import Attempt
from demijohn.store.documents import Store


@dataclass(frozen=True, slots=True)
class Keyed(Generic[Outcome]):
    """A request with a key: how its outcome is told, and when (seconds since 1970)."""

    key: Key
    tell: Callable[[Outcome], Told]
    refuse: Callable[[Problem], Told]
    clock: Callable[[], float]

    def record(self, answer: Told | None) -> bytes:
        """The record to be stored."""
        return records.encode(self.key, answer, self.clock())


def once(store: Store, keyed: Keyed[Outcome], plan: PlanOf[Outcome]) -> Told:
    """Carry the plan out, or give back what was answered when it was.

    Raises NeedsReplicaSet, IdempotencyKeyReused, IdempotencyInProgress, WriteConflict,
    DatabaseUnavailable, DeadlineExceeded, OutcomeUnknown.
    """
    store.expire(COLLECTION, "at", KEPT)
    try:
        return store.transact(lambda attempt: _attempt(attempt, keyed, plan))
    except Problem as problem:
        if not is_decided(problem):
            raise
        return _record_refusal(store, keyed, keyed.refuse(problem))


def find_record(attempt: Attempt, key: Key) -> Record | None:
    """The key's record, if there is one. Raises IdempotencyKeyReused."""
    stored = attempt.find(COLLECTION, key.where)
    if stored is None:
        return None
    record = records.decode(stored)
    if record.request != key.request:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request.")
    return record


def is_decided(problem: Problem) -> bool:
    """Whether the problem is the request's outcome, and not one that may pass."""
    passing = (
        WriteConflict,
        IdempotencyInProgress,
        IdempotencyKeyReused,
        PreconditionRequired,
    )
    return not problem.is_failure and not isinstance(problem, passing)


def _attempt(attempt: Attempt, keyed: Keyed[Outcome], plan: PlanOf[Outcome]) -> Told:
    record = find_record(attempt, keyed.key)
    if record is not None and record.answer is not None:
        return record.answer
    step = plan(attempt)
    foreseen = None if step.foreseen is None else keyed.tell(step.foreseen)
    _begin(attempt, keyed.record(foreseen))
    changed = step.carry_out()
    if foreseen is not None:
        return foreseen
    answer = keyed.tell(changed)
    attempt.replace(COLLECTION, keyed.key.where, keyed.record(answer))
    return answer


def _begin(attempt: Attempt, record: bytes) -> None:
    try:
        attempt.insert(COLLECTION, record)
    except (WriteConflict, DuplicateKey) as problem:
        raise _in_progress() from problem


def _in_progress() -> IdempotencyInProgress:
    return IdempotencyInProgress("A request with this Idempotency-Key is being carried out.")


def _record_refusal(store: Store, keyed: Keyed[Outcome], answer: Told) -> Told:
    try:
        store.single.insert(COLLECTION, keyed.record(answer))
    except DuplicateKey as problem:
        # Another request with this key was decided in the meantime, and that is the first.
        record = find_record(store.single, keyed.key)
        if record is None or record.answer is None:
            raise _in_progress() from problem
        return record.answer
    return answer
