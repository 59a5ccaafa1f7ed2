"""Reads of single documents by ObjectId that come at the same time ride in one `$in`.

ObjectIds alone: of strings a collation may call two the same, and of numbers MongoDB does.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from demijohn.store.commands import Commands
from demijohn.store.together import Bounds, Queues, Ticket, Waiter

MOST_IN_BATCH = 256
ID_BYTES = 12
MOST_WAITING = 10_000


class Unread(Enum):
    """Why a document was not read."""

    LARGE = "the documents asked for at one time do not fit into one answer of the database"


Found: TypeAlias = bytes | Unread | None
"""A document's stored bytes; None where there is none of that id."""


class Finds:
    """Reads of one process. Raises Problems only."""

    def __init__(self, single: Commands, patience: float) -> None:
        """Take the commands, and the seconds that a read waits for its turn."""
        self._single = single
        bounds = Bounds(
            MOST_IN_BATCH,
            MOST_IN_BATCH * ID_BYTES,
            MOST_WAITING,
            MOST_WAITING * ID_BYTES,
            patience,
        )
        self._queues: Queues[bytes, Found] = Queues(self._carry_out, len, bounds)

    def submit(self, collection: str, id_: bytes, waiter: Waiter[Found]) -> Ticket[bytes, Found]:
        """Read the document of an ObjectId, which the waiter is given; it never blocks.

        Raises Overloaded where too much waits. The waiter may be given DatabaseUnavailable,
        DeadlineExceeded.
        """
        return self._queues.of(collection).submit(id_, waiter)

    def _carry_out(self, collection: str, ids: Sequence[bytes]) -> list[Found]:
        found, is_all = self._single.find_some(collection, set(ids))
        absent = None if is_all else Unread.LARGE
        return [found.get(each, absent) for each in ids]
