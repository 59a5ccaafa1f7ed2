"""The last changes of one change stream, and where in them a reader goes on. Pure.

Changes are counted from 0. Each reader has the number of the change that is next for it, so that a
reader costs nothing but a number, and what is kept is shared by all of them.

A reader who comes with another position is first told what lies between by a stream of its own, and
goes over when that has told all that the backlog had at the time of a `Mark`. Both streams have the
same order, but one may be ahead of the other, and they may differ in which updates a filter lets
through, since each looks the document up when it passes. So what was told already is known by its
time, and only within one time, which is that of a transaction, by its token. (Where the two differ
within one transaction, an update of it may be told out of order; nothing else may.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from demijohn.store.changes import Change

_BESIDE = 1_000
"""Bytes of an entry beside the document and the texts."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, and its text in each shape that somebody reads it in."""

    change: Change
    before: bytes
    """The position before it."""
    texts: dict[object, bytes]

    size: int
    """About how many bytes it holds."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the changes: behind all that has been told, the last of it at `time`."""

    token: bytes
    time: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a backlog: the number of what comes next there, and the position before it."""

    number: int
    position: Position


class Told:
    """What a reader has been told elsewhere, as far as it matters."""

    def __init__(self, position: Position) -> None:
        """All up to this position."""
        self.time = position.time
        self.token = position.token
        """Of the last."""
        self._tokens = {position.token}

    def add(self, change: Change) -> None:
        """This one too, which is the newest."""
        if change.time > self.time:
            self.time = change.time
            self._tokens.clear()
        self.token = change.token
        self._tokens.add(change.token)

    def __contains__(self, change: Change) -> bool:
        """Whether it has been told, or passed; of its own time only what is known to be."""
        return change.time < self.time or change.token in self._tokens


class Backlog:
    """The last changes of a stream that was opened at `token`. Not safe for threads."""

    def __init__(self, token: bytes, most: int, most_bytes: int) -> None:
        """Keep so many changes, of so many bytes; the newest one however large it is."""
        self.end = Mark(0, Position(token))
        """Where the next change will be."""
        self.is_quiet = True
        """Whether nothing has come since, when it was last waited for."""
        self.waits = 0
        """How often it was waited in vain."""
        self._entries: deque[Entry] = deque()
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0

    @property
    def first(self) -> int:
        """The number of the oldest change that is kept."""
        return self.end.number - len(self._entries)

    def append(self, change: Change, texts: dict[object, bytes]) -> None:
        """Keep one more change, and of the oldest only as many as there is room for."""
        entry = Entry(change, self.end.position.token, texts, _size(change, texts))
        self._entries.append(entry)
        self._bytes += entry.size
        self.end = Mark(self.end.number + 1, Position(change.token, change.time))
        self.is_quiet = False
        while len(self._entries) > 1 and self._is_full():
            self._bytes -= self._entries.popleft().size

    def passed(self, token: bytes) -> None:
        """Nothing has come up to this position."""
        self.end = Mark(self.end.number, Position(token, self.end.position.time))
        self.is_quiet = True
        self.waits += 1

    def since(self, number: int) -> Iterator[Entry]:
        """What is kept from this number on."""
        # Near its ends a deque has what stands at an index at once.
        for at in range(max(0, number - self.first), len(self._entries)):
            yield self._entries[at]

    def after(self, token: bytes) -> int | None:
        """The number that follows a position; None where it is not here."""
        if token == self.end.position.token:
            return self.end.number
        for at in reversed(range(len(self._entries))):
            entry = self._entries[at]
            if token == entry.change.token:
                return self.first + at + 1
            if token == entry.before:
                return self.first + at
        return None

    def untold(self, number: int, told: Told) -> int | None:
        """The number from which on nothing has been told, at least `number`.

        None where it is not known yet: more of the transaction in which the telling ended may be on
        its way, and what is here may come before what was told of it.
        """
        newest = 0
        for at, entry in enumerate(self.since(number), number):
            newest = entry.change.time
            if entry.change in told:
                number = at + 1
        is_open = newest == told.time and number < self.end.number
        return None if is_open and not self.is_quiet else number

    def _is_full(self) -> bool:
        return len(self._entries) > self._most or self._bytes > self._most_bytes


def _size(change: Change, texts: dict[object, bytes]) -> int:
    return sum(map(len, texts.values())) + len(change.document or b"") + _BESIDE
