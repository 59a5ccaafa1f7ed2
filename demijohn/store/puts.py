"""Documents put in one collection at the same time ride in one command, as inserts do.

Of those that ride together each replaces its document, or is inserted, and is acknowledged by that
command alone. What befalls the command befalls all that were in it.

An update waits in the database for a transaction that has its document, up to a minute where the
process is dead that began it (MongoDB manual, "In-progress Transactions and Write Conflicts"), and
all that ride with it wait too. So nothing rides while the same document is under way already, nor
for a minute after it was in a command that took long: it is done apart, and holds up itself.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from demijohn.errors import InvalidDocument, Problem, TooLarge
from demijohn.store.commands import Commands, Put
from demijohn.store.inserts import (
    LARGEST_BATCH,
    MOST_IN_BATCH,
    MOST_WAITING,
    MOST_WAITING_BYTES,
)
from demijohn.store.together import Bounds, Queues, Ticket, Waiter

LONG = 1.0
"""Seconds that a command takes of which one document may have waited for a transaction."""
AVOIDED = 60.0
"""Seconds for which a document of such a command rides with no other: the longest transaction."""
MOST_AVOIDED = 10_000
Id = tuple[str, bytes]
"""Of a document: its collection, and its `_id` as a document."""


class Puts:
    """Documents that one process puts. Every method raises Problems only.

    It is for those who are held to nothing, as `Commands.put` is.
    """

    def __init__(
        self, single: Commands, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the commands, the seconds that a document waits for its turn, and a clock."""
        self._single = single
        self._clock = clock
        bounds = Bounds(MOST_IN_BATCH, LARGEST_BATCH, MOST_WAITING, MOST_WAITING_BYTES, patience)
        self._queues: Queues[Put, bool | None] = Queues(self._carry_out, _size, bounds)
        self._lock = threading.Lock()
        self._under_way: Counter[Id] = Counter()
        self._avoided: dict[Id, float] = {}
        """Until when, the oldest first."""

    def put(self, collection: str, put: Put) -> bool:
        """Replace the document of an id, or insert it; whether it was inserted.

        Raises DuplicateKey, InvalidDocument, TooLarge, Overloaded, DatabaseUnavailable,
        OutcomeUnknown.
        """
        is_new = self._queues.of(collection).run(put)
        return self._single.put(collection, *put) if is_new is None else is_new

    def submit(
        self, collection: str, put: Put, waiter: Waiter[bool | None]
    ) -> Ticket[Put, bool | None]:
        """The same for a waiter, who is told; it never blocks. Raises Overloaded.

        None is for what is to be done apart, by `Commands.put`: nothing of it has been done.
        """
        return self._queues.of(collection).submit(put, waiter)

    def _carry_out(self, collection: str, puts: Sequence[Put]) -> list[bool | Problem | None]:
        riding = self._riding(collection, puts)
        with self._noted([(collection, puts[at][0]) for at in riding]):
            outcomes = self._each([puts[at] for at in riding], collection)
        told = dict(zip(riding, outcomes, strict=True))
        return [told.get(at) for at in range(len(puts))]

    def _riding(self, collection: str, puts: Sequence[Put]) -> list[int]:
        """The places of those that may ride with others, from now on under way."""
        now = self._clock()
        with self._lock:
            riding = [
                at
                for at, (where, _) in enumerate(puts)
                if not self._under_way[collection, where]
                and self._avoided.get((collection, where), now) <= now
            ]
            self._under_way.update((collection, puts[at][0]) for at in riding)
        return riding

    @contextmanager
    def _noted(self, ids: Sequence[Id]) -> Iterator[None]:
        """Note what this command holds up, and for how long it did."""
        began = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            with self._lock:
                self._under_way.subtract(ids)
                self._under_way += Counter()  # those that are not are not kept
                if now - began > LONG:
                    self._avoid(ids, now)

    def _avoid(self, ids: Sequence[Id], now: float) -> None:
        for each in ids:
            self._avoided.pop(each, None)
            self._avoided[each] = now + AVOIDED
        while len(self._avoided) > MOST_AVOIDED:
            del self._avoided[next(iter(self._avoided))]

    def _each(self, puts: Sequence[Put], collection: str) -> list[bool | Problem]:
        if not puts:
            return []
        try:
            if len(puts) == 1:
                # The driver takes less time over it than over a list of one.
                return [self._single.put(collection, *puts[0])]
            return self._single.put_many(collection, puts)
        except (InvalidDocument, TooLarge) as problem:
            if len(puts) == 1:
                return [problem]
            # It refuses all for one, and does not say which (see `store.inserts`).
        except Problem as problem:
            # Not raised: it would speak against what the other half has done, too.
            return [copy.copy(problem) for _ in puts]
        half = len(puts) // 2
        return self._each(puts[:half], collection) + self._each(puts[half:], collection)


def _size(put: Put) -> int:
    return sum(map(len, put))
