"""The last changes of one change stream, and where in them a reader goes on. Pure.

Changes are counted from 0. Each reader has the number of the change that is next for it, so that a
reader costs nothing but a number, and what is kept is shared by all of them.

A reader who comes with an older position is first told what lies between by a stream of its own,
and goes over when that has told all that the backlog had at the time of a `Mark`. Both streams have
the same order. But they may differ in which updates a filter lets through, since each looks the
document up when it passes; so what was told already is known by its time, and only within one time,
which is that of a transaction, by its token.
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
class Mark:
    """A place in a backlog: the number of what comes next there, and the position before it."""

    number: int
    token: bytes


class Told:
    """What a reader has been told by a stream of its own, as far as it matters."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._time = -1
        self._tokens: set[bytes] = set()

    def add(self, change: Change) -> None:
        """This one too, which is the newest."""
        if change.time > self._time:
            self._time = change.time
            self._tokens.clear()
        self._tokens.add(change.token)

    def __contains__(self, change: Change) -> bool:
        """Whether it has been told, or passed."""
        return change.time < self._time or change.token in self._tokens


class Backlog:
    """The last changes of a stream that was opened at `token`. Not safe for threads."""

    def __init__(self, token: bytes, most: int, most_bytes: int) -> None:
        """Keep so many changes, of so many bytes; the newest one however large it is."""
        self.end = Mark(0, token)
        """Where the next change will be."""
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
        entry = Entry(change, self.end.token, texts, _size(change, texts))
        self._entries.append(entry)
        self._bytes += entry.size
        self.end = Mark(self.end.number + 1, change.token)
        while len(self._entries) > 1 and self._is_full():
            self._bytes -= self._entries.popleft().size

    def passed(self, token: bytes) -> None:
        """Nothing has come up to this position."""
        self.end = Mark(self.end.number, token)

    def since(self, number: int) -> Iterator[Entry]:
        """What is kept from this number on."""
        # Near its ends a deque has what stands at an index at once.
        for at in range(max(0, number - self.first), len(self._entries)):
            yield self._entries[at]

    def after(self, token: bytes) -> int | None:
        """The number that follows a position; None where it is not here."""
        if token == self.end.token:
            return self.end.number
        for at in reversed(range(len(self._entries))):
            entry = self._entries[at]
            if token == entry.change.token:
                return self.first + at + 1
            if token == entry.before:
                return self.first + at
        return None

    def going_on(self, mark: Mark, told: Told) -> int | None:
        """Where a reader goes on who has been told all that was here at `mark`, and maybe more.

        None where what came next is no longer here.
        """
        if mark.number < self.first:
            return None
        number = mark.number
        for at, entry in enumerate(self.since(mark.number), mark.number):
            if entry.change in told:
                number = at + 1
        return number

    def _is_full(self) -> bool:
        return len(self._entries) > self._most or self._bytes > self._most_bytes


def _size(change: Change, texts: dict[object, bytes]) -> int:
    return sum(map(len, texts.values())) + len(change.document or b"") + _BESIDE
