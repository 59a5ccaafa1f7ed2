"""Many documents exactly once: those that can be inserted, and the record, in one transaction.

A document that is refused aborts the transaction (MongoDB manual, "Transactions"), and the others
are to go in all the same. So the ids that are there already are looked up first, in the same
snapshot, and left out; and where another unique index refuses a document, all is begun anew without
it. After some such attempts the request as a whole is refused, with nothing written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from demijohn.documents.bulk import MOST_IN_BATCH, Batch, NewId, Read, Tried, failure_in
from demijohn.documents.change import PlanOf, Step
from demijohn.documents.idempotency import Keyed, once
from demijohn.documents.records import Told
from demijohn.errors import Problem
from demijohn.formats.bson_values import Value
from demijohn.store.commands import Attempt
from demijohn.store.documents import Store
from demijohn.store.failures import duplicate

MOST_ONCE = 10_000
"""Documents in one transaction."""
MOST_LEFT_OUT = 20
"""Times that it is begun anew without what was refused."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """Documents that are to be inserted, and the problems of those that are none, by number."""

    batch: Batch
    problems: dict[int, Problem]


class _RefusedError(Exception):
    """Documents for whose sake the transaction is aborted, by number."""

    def __init__(self, problems: dict[int, Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


def insert_all_once(store: Store, keyed: Keyed[Tried], collection: str, drafted: Drafted) -> Told:
    """Insert these documents, once; the answer, or the one that was given before.

    Raises NeedsReplicaSet, IdempotencyKeyReused, IdempotencyInProgress, WriteConflict,
    DatabaseUnavailable, DeadlineExceeded, OutcomeUnknown.
    """
    problems, last = drafted.problems, None
    for _ in range(MOST_LEFT_OUT):
        try:
            return once(store, keyed, _plan(collection, drafted.batch, problems))
        except _RefusedError as refused:
            problems = {**problems, **refused.problems}
            last = next(iter(refused.problems.values()))
    assert last is not None
    return once(store, keyed, _refusal(last))


def draft_all(collection: str, texts: Iterable[bytes], read: Read, new_id: NewId) -> Drafted:
    """The documents in these texts. Raises what is no document's own problem."""
    batch = Batch(collection, new_id)
    problems: dict[int, Problem] = {}
    for number, text in enumerate(texts):
        try:
            batch.add(number, read(text))
        except Problem as problem:
            if problem.is_failure:
                raise
            problems[number] = problem
    return Drafted(batch, problems)


def _plan(collection: str, batch: Batch, problems: Mapping[int, Problem]) -> PlanOf[Tried]:
    def plan(attempt: Attempt) -> Step[Tried]:
        known = {**_taken(attempt, collection, batch, problems), **problems}
        documents = dict(zip(batch.ids, batch.documents, strict=True))
        rest = {number: each for number, each in documents.items() if number not in known}
        tried = Tried({number: batch.ids[number] for number in rest}, known)
        return Step(tried, lambda: _insert(attempt, collection, rest, tried))

    return plan


def _insert(attempt: Attempt, collection: str, documents: dict[int, bytes], tried: Tried) -> Tried:
    for some in _slices(list(documents)):
        failed = attempt.insert_many(collection, [documents[number] for number in some])
        failure = failure_in(failed)
        if failure is not None:
            raise failure
        if failed:
            raise _RefusedError({some[at]: problem for at, problem in failed.items()})
    return tried


def _refusal(last: Problem) -> PlanOf[Tried]:
    def plan(_: Attempt) -> Step[Tried]:
        detail = "Too many of the documents are refused by the database; none was inserted."
        raise type(last)(detail, extra=last.extra)

    return plan


def _taken(
    attempt: Attempt, collection: str, batch: Batch, left_out: Mapping[int, Problem]
) -> dict[int, Problem]:
    """The documents whose ids others have, there or before them in the request."""
    given = [number for number in batch.ids if number not in batch.made | left_out.keys()]
    seen: set[Value] = set()
    for some in _slices(given):
        seen |= attempt.present(collection, [batch.ids[number] for number in some])
    taken: dict[int, Problem] = {}
    for number in given:
        if batch.ids[number] in seen:
            taken[number] = duplicate("_id_", ["_id"])
        seen.add(batch.ids[number])
    return taken


def _slices(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), MOST_IN_BATCH):
        yield numbers[start : start + MOST_IN_BATCH]
