"""Exactly once without transactions, for inserts alone: on a standalone mongod.

The states of a key::

    (none) ──▶ begun: the `_id` to be inserted ──▶ done: the answer

Each arrow is a write of its own, and the insert lies between the two. So a retry, or a second
request at the same time, that finds the key begun inserts under the same `_id`, and is refused
by the database where that was done already. Where a process or the database dies:

- before the first arrow: a retry is a first attempt.
- after it, before or after the insert: a retry inserts, or finds that the document is there.
- after the second: the retry finds the answer.

It is weaker than `documents.idempotency` where the process dies between the insert and the second
arrow and somebody changes the document before the retry comes: one that was deleted is there
again, and one with an `_id` of the client's own that was changed is taken for another's (409).
And of two attempts at one time, with an `_id` of the client's own, the one that began may be told
that the id is taken, by the other.
"""

from __future__ import annotations

from demijohn.documents import records
from demijohn.documents.change import Changed
from demijohn.documents.idempotency import Keyed, find_record, is_decided
from demijohn.documents.ids import id_of
from demijohn.documents.insert import Insertion
from demijohn.documents.records import COLLECTION, KEPT, Told
from demijohn.errors import DuplicateKey, Problem
from demijohn.formats import bson_values
from demijohn.store.commands import Attempt
from demijohn.store.documents import Store


def insert_once(store: Store, keyed: Keyed[Changed], insertion: Insertion) -> Told:
    """Insert the document, under the id of the attempt that began it, if there is one.

    Raises TooLarge, IdempotencyKeyReused, DatabaseUnavailable, DeadlineExceeded, OutcomeUnknown.
    """
    store.expire(COLLECTION, "at", KEPT)
    intended = bson_values.encode({"_id": insertion.id})
    begun = _begin(store, keyed, intended)
    if begun is not None and begun.answer is not None:
        return begun.answer
    if begun is not None and begun.intended is not None:
        intended = begun.intended
    document = insertion.draft.under(id_of(intended))
    try:
        # Where it is there already it was held to what was demanded then.
        if begun is None or store.single.find(insertion.collection, intended) is None:
            insertion.check(document)
        store.single.insert(insertion.collection, document)
    except Problem as problem:
        if not is_decided(problem):
            raise
        is_taken = isinstance(problem, DuplicateKey) and problem.extra.get("fields") == ["_id"]
        if not (is_taken and _is_ours(store, insertion, document, begun)):
            return _refuse(store, keyed, keyed.refuse(problem))
    answer = keyed.tell(Changed(None, document))
    store.single.replace(COLLECTION, keyed.key.where, keyed.record(answer))
    return answer


def _begin(store: Store, keyed: Keyed[Changed], intended: bytes) -> records.Record | None:
    """Note what is to be inserted; what was noted before, where there is something."""
    record = find_record(store.single, keyed.key)
    if record is not None:
        return record
    try:
        begun = records.encode(keyed.key, None, keyed.clock(), intended)
        store.single.insert(COLLECTION, begun)
    except DuplicateKey:
        return find_record(store.single, keyed.key)
    return None


def _is_ours(
    store: Store, insertion: Insertion, document: bytes, begun: records.Record | None
) -> bool:
    """Whether the document under this id was inserted by another attempt at this request.

    Nobody else knows an id that the service has made. Of the client's own equal bytes tell, and
    that another attempt had begun.
    """
    if insertion.draft.id is None:
        return True
    where = bson_values.encode({"_id": insertion.id})
    return begun is not None and store.single.find(insertion.collection, where) == document


def _refuse(store: Store, keyed: Keyed[Changed], refusal: Told) -> Told:
    """Record a refusal, where no other attempt was answered since; the answer that counts."""

    def work(attempt: Attempt) -> Told:
        record = find_record(attempt, keyed.key)
        if record is not None and record.answer is not None:
            return record.answer
        attempt.replace(COLLECTION, keyed.key.where, keyed.record(refusal))
        return refusal

    return store.as_one(work)
