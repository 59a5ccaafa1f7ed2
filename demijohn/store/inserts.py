"""Inserts into one collection that come at the same time ride in one command (group commit).

Each is acknowledged by the command that it was in, and by nothing else. A document that is refused
fails alone, found by its place in the command; what befalls the command befalls all that were in
it: a write concern that is not met in time, a connection that breaks. What had not been sent by
then is tried by the command that follows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TypeAlias

from demijohn.errors import InvalidDocument, Problem, TooLarge
from demijohn.store.commands import Commands
from demijohn.store.hold import EVERYTHING, Hold
from demijohn.store.together import Bounds, Queues, Ticket, Waiter

MIB = 1024 * 1024
LARGEST_BATCH = MIB
"""Bytes of BSON in one command, unless a single item is larger."""
MOST_IN_BATCH = 1_000
"""Items in one command: single documents, or batches of an upload."""
MOST_WAITING = 10_000
MOST_WAITING_BYTES = 32 * MIB

Problems = dict[int, Problem]
"""What speaks against documents, by their place; the others are acknowledged."""
Item: TypeAlias = Sequence[bytes]
"""Documents that are inserted in one command, whatever others are in it."""


class Inserts:
    """Inserts of one process. Every method raises Problems only."""

    def __init__(self, single: Commands, patience: float, observe: Callable[[int], object]) -> None:
        """Take the commands, the seconds that an insert waits for its turn, and a count's reader.

        `observe` is told how many documents each command had.
        """
        self._single = single
        bounds = Bounds(MOST_IN_BATCH, LARGEST_BATCH, MOST_WAITING, MOST_WAITING_BYTES, patience)
        self._observe = observe
        self._queues: Queues[Item, Problems] = Queues(self._carry_out, _size, bounds)
        self._hold = EVERYTHING

    def held_to(self, hold: Hold) -> Inserts:
        """The same for what is held to; they ride in the same commands as all others."""
        held = copy.copy(self)
        held._hold = hold  # noqa: SLF001 - it is one of ours
        return held

    def insert(self, collection: str, document: bytes) -> None:
        """Insert one document; returns once it is acknowledged.

        Raises Forbidden, DuplicateKey, InvalidDocument, TooLarge, Overloaded, DatabaseUnavailable,
        OutcomeUnknown.
        """
        for problem in self.insert_many(collection, (document,)).values():
            raise problem

    def insert_many(self, collection: str, documents: Sequence[bytes]) -> Problems:
        """Insert documents, each tried by itself; the problem of each that failed.

        Raises Overloaded, for all of them, where they have to wait for too long.
        """
        return self._hold.insert(collection, documents, self._queues.of(collection).run)

    def submit(
        self, collection: str, document: bytes, waiter: Waiter[Problems]
    ) -> Ticket[Item, Problems]:
        """Insert one document, whose problem, if any, the waiter is told; it never blocks.

        Raises Forbidden for one that may not be written, Overloaded where too much waits.
        """
        self._hold.check(collection, document)
        return self._queues.of(collection).submit((document,), waiter)

    def _carry_out(self, collection: str, items: Sequence[Item]) -> list[Problems]:
        documents = [document for item in items for document in item]
        return _shared_out(self._insert(collection, documents), items)

    def _insert(self, collection: str, documents: Sequence[bytes]) -> Problems:
        self._observe(len(documents))
        if len(documents) == 1:
            return self._insert_alone(collection, documents[0])
        try:
            return self._single.insert_many(collection, documents)
        except (InvalidDocument, TooLarge):
            # The embedded database refuses all for one that has a date which it has no room for,
            # the driver for one that is larger than the server says it takes.
            pass
        except Problem as problem:
            # Each its own: an exception that several threads raise collects all their frames.
            return {at: copy.copy(problem) for at in range(len(documents))}
        half = len(documents) // 2
        failed = self._insert(collection, documents[:half])
        rest = self._insert(collection, documents[half:])
        return failed | {half + at: problem for at, problem in rest.items()}

    def _insert_alone(self, collection: str, document: bytes) -> Problems:
        """The same of one: the driver takes an eighth less time over it than over a list of one."""
        try:
            self._single.insert(collection, document)
        except Problem as problem:
            return {0: problem}
        return {}


def _size(item: Item) -> int:
    return sum(map(len, item))


def _shared_out(problems: Problems, items: Sequence[Item]) -> list[Problems]:
    """The problems of each item's documents, by their places in the item."""
    shared: list[Problems] = []
    first = 0
    for item in items:
        places = range(first, first + len(item)) if problems else ()
        shared.append({at - first: problems[at] for at in places if at in problems})
        first += len(item)
    return shared
