"""Reads of single documents by id that come at the same time ride in one `$in`.

ObjectIds and strings alone: of numbers MongoDB calls two the same. Of strings a collation may: so
that there is none of a string is not said here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from demijohn.formats.bson_values import STRING, Value
from demijohn.store.commands import Commands
from demijohn.store.together import Bounds, Queues, Ticket, Waiter

MOST_IN_BATCH = 256
MOST_BYTES = 32 * 1024
"""Of the ids in one command."""
MOST_WAITING = 10_000
MOST_WAITING_BYTES = 4 * 1024 * 1024


class Unread(Enum):
    """Why a document was not read."""

    LARGE = "the documents asked for at one time do not fit into one answer of the database"
    ALIKE = "there is none of this string, unless a collation calls another one the same"


Found: TypeAlias = bytes | Unread | None
"""A document's stored bytes; None where there is none of that id."""


class Finds:
    """Reads of one process. Raises Problems only."""

    def __init__(self, single: Commands, patience: float) -> None:
        """Take the commands, and the seconds that a read waits for its turn."""
        self._single = single
        bounds = Bounds(MOST_IN_BATCH, MOST_BYTES, MOST_WAITING, MOST_WAITING_BYTES, patience)
        self._queues: Queues[Value, Found] = Queues(self._carry_out, _size, bounds)

    def submit(self, collection: str, id_: Value, waiter: Waiter[Found]) -> Ticket[Value, Found]:
        """Read the document of an ObjectId or a string, which the waiter is given; never blocks.

        Raises Overloaded where too much waits. The waiter may be given DatabaseUnavailable,
        DeadlineExceeded.
        """
        return self._queues.of(collection).submit(id_, waiter)

    def _carry_out(self, collection: str, ids: Sequence[Value]) -> list[Found]:
        found, is_all = self._single.find_some(collection, set(ids))
        return [found.get(each) or _absent(each, is_all=is_all) for each in ids]


def _size(id_: Value) -> int:
    return len(id_.payload)


def _absent(id_: Value, *, is_all: bool) -> Unread | None:
    if not is_all:
        return Unread.LARGE
    return Unread.ALIKE if id_.kind == STRING else None
