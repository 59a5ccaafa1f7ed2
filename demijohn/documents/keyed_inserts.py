"""Inserts with a key that come at the same time: one transaction has the effects and the records.

It has them all or none, so whatever is not plain in it is done apart, each by itself as
`documents.idempotency` has it: a request whose key is known already or comes twice, a document that
its collection's schema refuses, and all of them where the transaction meets anything that speaks
against one. Where nobody can tell whether it was committed, that is what each of them is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from demijohn.documents.change import Changed
from demijohn.documents.idempotency import Keyed, once
from demijohn.documents.insert import Insertion, inserted
from demijohn.documents.records import COLLECTION, KEPT, Told
from demijohn.errors import Problem
from demijohn.formats.bson_values import from_python
from demijohn.store.commands import Attempt
from demijohn.store.documents import Store
from demijohn.store.together import Bounds, Queues, Ticket, Waiter

MOST_IN_BATCH = 100
LARGEST_BATCH = 1024 * 1024
MOST_WAITING = 10_000
MOST_WAITING_BYTES = 32 * LARGEST_BATCH


@dataclass(frozen=True, slots=True)
class Item:
    """A request: its key, what it inserts, and those bytes."""

    keyed: Keyed[Changed]
    insertion: Insertion
    document: bytes

    @property
    def answer(self) -> Told:
        """What it is told when it has been carried out."""
        return self.keyed.tell(Changed(None, self.document))


class _NotTogetherError(Exception):
    """Something speaks against one of them."""


class KeyedInserts:
    """One for each process."""

    def __init__(self, store: Store, patience: float) -> None:
        """Take the store, and the seconds that a request waits for its turn."""
        self._store = store
        bounds = Bounds(MOST_IN_BATCH, LARGEST_BATCH, MOST_WAITING, MOST_WAITING_BYTES, patience)
        self._queues: Queues[Item, Told | None] = Queues(self._carry_out, _size, bounds)

    def insert(self, keyed: Keyed[Changed], insertion: Insertion) -> Told:
        """Insert the document, once; the answer, or the one that was given before.

        Raises TooLarge, Overloaded, and what `once` raises.
        """
        item = Item(keyed, insertion, insertion.document)
        told = self._queues.of(insertion.collection).run(item)
        return self.insert_apart(keyed, insertion) if told is None else told

    def submit(
        self, keyed: Keyed[Changed], insertion: Insertion, waiter: Waiter[Told | None]
    ) -> Ticket[Item, Told | None]:
        """The same for a waiter, who is told; it never blocks. Raises TooLarge, Overloaded.

        None is for a request that is to be done apart, and of which nothing has been done.
        """
        item = Item(keyed, insertion, insertion.document)
        return self._queues.of(insertion.collection).submit(item, waiter)

    def insert_apart(self, keyed: Keyed[Changed], insertion: Insertion) -> Told:
        """Insert the document, once, with no others. Raises what `once` raises."""
        return once(self._store, keyed, inserted(insertion))

    def _carry_out(self, collection: str, items: Sequence[Item]) -> Sequence[Told | Problem | None]:
        """What each is told, or what befell it; None for one that is to be done apart."""
        self._store.expire(COLLECTION, "at", KEPT)
        try:
            return self._store.transact(lambda attempt: _all(attempt, collection, items))
        except _NotTogetherError:
            return [None] * len(items)


def _size(item: Item) -> int:
    return len(item.document)


def _all(attempt: Attempt, collection: str, items: Sequence[Item]) -> list[Told | None]:
    """Insert all that are plain, with their records; what those are told, in their places."""
    plain = _plain(attempt, items)
    told = {at: item.answer for at, item in plain.items()}
    records = [item.keyed.record(told[at]) for at, item in plain.items()]
    _insert(attempt, COLLECTION, records)
    _insert(attempt, collection, [item.document for item in plain.values()])
    return [told.get(at) for at in range(len(items))]


def _plain(attempt: Attempt, items: Sequence[Item]) -> dict[int, Item]:
    """Those that nothing is known against, by their places."""
    keys = [from_python(item.keyed.key.id) for item in items]
    seen = attempt.present(COLLECTION, keys)
    plain: dict[int, Item] = {}
    for at, item in enumerate(items):
        if keys[at] not in seen and _fits(item):
            seen.add(keys[at])
            plain[at] = item
    return plain


def _fits(item: Item) -> bool:
    try:
        item.insertion.check(item.insertion.draft.fields)
    except Problem:
        return False
    return True


def _insert(attempt: Attempt, collection: str, documents: Sequence[bytes]) -> None:
    if not documents:
        return
    try:
        failed = attempt.insert_many(collection, documents)
    except Problem as problem:
        if problem.is_failure:
            raise
        raise _NotTogetherError from problem
    if failed:
        raise _NotTogetherError
