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
"""

from __future__ import annotations

from demijohn.documents import records
from demijohn.documents.change import Changed
from demijohn.documents.idempotency import Keyed, find_record, is_decided
from demijohn.documents.ids import id_of
from demijohn.documents.records import COLLECTION, KEPT, Told
from demijohn.errors import DuplicateKey, Problem
from demijohn.formats import bson_values
from demijohn.formats.bson_values import Value
from demijohn.formats.spelling import Draft
from demijohn.store.documents import Store
from demijohn.store.operations import Operations


def insert_once(
    store: Store, keyed: Keyed, collection: str, draft: Draft, document_id: Value
) -> Told:
    """Insert the draft under `document_id`, or under the id of the attempt that began it.

    Raises IdempotencyKeyReused, DatabaseUnavailable, OutcomeUnknown.
    """
    store.expire(COLLECTION, "at", KEPT)
    head = bson_values.encode({"_id": document_id})
    begun = _begin(store, keyed, head)
    if begun is not None and begun.answer is not None:
        return begun.answer
    if begun is not None and begun.head is not None:
        head = begun.head
    document = draft.under(id_of(head))
    try:
        store.single.insert(collection, document)
    except Problem as problem:
        if not is_decided(problem):
            raise
        is_taken = isinstance(problem, DuplicateKey) and problem.extra.get("fields") == ["_id"]
        if not (is_taken and _is_ours(store, collection, draft, document, begun)):
            return _refuse(store, keyed, keyed.refuse(problem))
    answer = keyed.tell(Changed(None, document))
    store.single.replace(COLLECTION, keyed.key.head, keyed.record(answer))
    return answer


def _begin(store: Store, keyed: Keyed, head: bytes) -> records.Record | None:
    """Note what is to be inserted; what was noted before, where there is something."""
    record = find_record(store.single, keyed.key)
    if record is not None:
        return record
    try:
        begun = records.encode(keyed.key, None, keyed.clock(), head)
        store.single.insert(COLLECTION, begun)
    except DuplicateKey:
        return find_record(store.single, keyed.key)
    return None


def _is_ours(
    store: Store, collection: str, draft: Draft, document: bytes, begun: records.Record | None
) -> bool:
    """Whether the document under this id was inserted by another attempt at this request.

    Nobody else knows an id that the service has made. Of the client's own equal bytes tell, and
    that another attempt had begun.
    """
    if draft.id is None:
        return True
    return (
        begun is not None
        and store.single.find(collection, bson_values.encode({"_id": draft.id})) == document
    )


def _refuse(store: Store, keyed: Keyed, refusal: Told) -> Told:
    """Record a refusal, where no other attempt was answered since; the answer that counts."""

    def work(operations: Operations) -> Told:
        record = find_record(operations, keyed.key)
        if record is not None and record.answer is not None:
            return record.answer
        operations.replace(COLLECTION, keyed.key.head, keyed.record(refusal))
        return refusal

    return store.transact(work)
