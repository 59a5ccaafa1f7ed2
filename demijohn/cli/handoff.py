"""Records on their way from the one reader to the senders, bounded by the memory they take."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

OVERHEAD = 200
"""Bytes that a record takes beside its text, about."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the input: its number, counted from 1, and its bytes as they were read."""

    number: int
    raw: bytes

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return len(self.raw) + OVERHEAD


class Handoff:
    """A first-in, first-out queue that also knows what was taken and is not settled yet.

    Whoever is free takes all that waits, up to a limit: so records wait for company only while
    there is nobody to send them. Because they are taken in their order, all up to `last_taken`
    are settled once none is under way: that number is what `--skip` needs. Thread-safe.
    """

    def __init__(self, most_weight: int, most_text: int, most_records: int) -> None:
        """Hold records of so much weight, and give so much text and so many of them at once.

        One record always fits.
        """
        self._most_weight = most_weight
        self._most_text = most_text
        self._most_records = most_records
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)
        self._freed = threading.Condition(lock)
        self._waiting: deque[Record] = deque()
        self._under_way: dict[int, list[Record]] = {}
        """By the number of the first."""
        self._weight = 0
        self._ended = False
        self.last_taken = 0

    def offer(self, record: Record, timeout: float) -> bool:
        """Add a record; False if no place became free within `timeout` seconds."""
        with self._freed:
            if not self._freed.wait_for(lambda: self._has_room_for(record), timeout):
                return False
            self._waiting.append(record)
            self._weight += record.weight
            self._arrived.notify()
            return True

    def take(self) -> list[Record]:
        """The next records, which are under way from now on; none when no more will come."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting or self._ended)
            taken = self._first()
            if taken:
                self._under_way[taken[0].number] = taken
                self.last_taken = taken[-1].number
            return taken

    def settle(self, taken: list[Record]) -> bool:
        """Note that what was taken is done with; False if `write_off` was quicker."""
        with self._freed:
            if self._under_way.pop(taken[0].number, None) is None:
                return False
            self._weight -= sum(record.weight for record in taken)
            self._freed.notify_all()
            return True

    def end(self, *, discard: bool) -> None:
        """Say that no more will be offered; `discard` drops those that nobody has taken."""
        with self._arrived:
            self._ended = True
            if discard:
                self._waiting.clear()
            self._arrived.notify_all()
            self._freed.notify_all()

    def wait_settled(self, timeout: float) -> bool:
        """Whether, within `timeout` seconds, nothing is waiting and nothing under way."""
        with self._freed:
            return self._freed.wait_for(lambda: not self._waiting and not self._under_way, timeout)

    def write_off(self) -> list[list[Record]]:
        """What is still under way; whoever settles that from now on comes too late."""
        with self._freed:
            left = [self._under_way[first] for first in sorted(self._under_way)]
            self._under_way.clear()
            return left

    def _first(self) -> list[Record]:
        taken: list[Record] = []
        text = 0
        while self._waiting and len(taken) < self._most_records:
            text += len(self._waiting[0].raw)
            if taken and text > self._most_text:
                break
            taken.append(self._waiting.popleft())
        return taken

    def _has_room_for(self, record: Record) -> bool:
        return self._weight + record.weight <= self._most_weight or self._weight == 0
