"""Reads of single documents by id that come at the same time ride in one `$in`.

ObjectIds and strings alone: of numbers MongoDB calls two the same. Of strings a collation may: so
that there is none of a string is not said here.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from demijohn.errors import Problem
from demijohn.formats.bson_values import STRING, Value
from demijohn.store.commands import Commands
from demijohn.store.hold import EVERYTHING, Hold, RowFilter
from demijohn.store.together import Bounds, Lead, Queues, Ticket, Waiter

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
        self._hold = EVERYTHING

    def held_to(self, hold: Hold) -> Finds:
        """The same for what is held to; they ride in the same commands as all others."""
        held = copy.copy(self)
        held._hold = hold  # noqa: SLF001 - it is one of ours
        return held

    def submit(self, collection: str, id_: Value, waiter: Waiter[Found]) -> Ticket[Value, Found]:
        """Read the document of an ObjectId or a string, which the waiter is given; never blocks.

        Raises Overloaded where too much waits. The waiter may be given DatabaseUnavailable,
        DeadlineExceeded.
        """
        rows = self._hold.of(collection)
        if rows is not None:
            waiter = _Held(waiter, rows, id_)
        return self._queues.of(collection).submit(id_, waiter)

    def _carry_out(self, collection: str, ids: Sequence[Value]) -> list[Found]:
        found, is_all = self._single.find_some(collection, set(ids))
        return [found.get(each) or _absent(each, is_all=is_all) for each in ids]


class _Held:
    """Waits for one who may not be given every document."""

    __slots__ = ("_id", "_rows", "_waiter")

    def __init__(self, waiter: Waiter[Found], rows: RowFilter, id_: Value) -> None:
        self._waiter = waiter
        self._rows = rows
        self._id = id_

    def settle(self, outcome: Found | BaseException) -> None:
        if isinstance(outcome, bytes):
            outcome = self._seen(outcome)
        self._waiter.settle(outcome)

    def lead(self, lead: Lead) -> None:
        self._waiter.lead(lead)

    def _seen(self, document: bytes) -> Found | BaseException:
        """What there is to this one, in the words for what is not there at all."""
        try:
            is_seen = self._rows.holds(document)
        except Problem as problem:
            return problem
        return document if is_seen else _absent(self._id, is_all=True)


def _size(id_: Value) -> int:
    return len(id_.payload)


def _absent(id_: Value, *, is_all: bool) -> Unread | None:
    if not is_all:
        return Unread.LARGE
    return Unread.ALIKE if id_.kind == STRING else None
