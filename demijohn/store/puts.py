"""Documents put in one collection at the same time ride in one command, as inserts do.

Of those that ride together each replaces its document, or is inserted, and is acknowledged by that
command alone. What befalls the command befalls all that were in it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from demijohn.errors import InvalidDocument, Problem, TooLarge
from demijohn.store.commands import Commands, Put
from demijohn.store.inserts import (
    LARGEST_BATCH,
    MOST_IN_BATCH,
    MOST_WAITING,
    MOST_WAITING_BYTES,
)
from demijohn.store.together import Bounds, Queues, Ticket, Waiter


class Puts:
    """Documents that one process puts. Every method raises Problems only.

    It is for those who are held to nothing, as `Commands.put` is.
    """

    def __init__(self, single: Commands, patience: float) -> None:
        """Take the commands, and the seconds that a document waits for its turn."""
        self._single = single
        bounds = Bounds(MOST_IN_BATCH, LARGEST_BATCH, MOST_WAITING, MOST_WAITING_BYTES, patience)
        self._queues: Queues[Put, bool] = Queues(self._carry_out, _size, bounds)

    def put(self, collection: str, put: Put) -> bool:
        """Replace the document of an id, or insert it; whether it was inserted.

        Raises DuplicateKey, InvalidDocument, TooLarge, Overloaded, DatabaseUnavailable,
        OutcomeUnknown.
        """
        return self._queues.of(collection).run(put)

    def submit(self, collection: str, put: Put, waiter: Waiter[bool]) -> Ticket[Put, bool]:
        """The same for a waiter, who is told; it never blocks. Raises Overloaded."""
        return self._queues.of(collection).submit(put, waiter)

    def _carry_out(self, collection: str, puts: Sequence[Put]) -> list[bool | Problem]:
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
        return self._carry_out(collection, puts[:half]) + self._carry_out(collection, puts[half:])


def _size(put: Put) -> int:
    return sum(map(len, put))
