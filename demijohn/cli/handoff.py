"""Records on their way from the one reader to the senders, bounded in number and in bytes."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the input: its number, counted from 1, and its bytes as they were read."""

    number: int
    raw: bytes


class Handoff:
    """A first-in, first-out queue that also knows what was taken and is not settled yet.

    Because records are taken in their order, all up to `last_taken` are settled once none is
    under way: that number is what `--skip` needs. Thread-safe.
    """

    def __init__(self, most_records: int, most_bytes: int) -> None:
        """Hold at most so many waiting records and so many bytes; one record always fits."""
        self._most_records = most_records
        self._most_bytes = most_bytes
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)
        self._freed = threading.Condition(lock)
        self._waiting: deque[Record] = deque()
        self._under_way: dict[int, Record] = {}
        self._bytes = 0
        self._ended = False
        self.last_taken = 0

    def offer(self, record: Record, timeout: float) -> bool:
        """Add a record; False if no place became free within `timeout` seconds."""
        with self._freed:
            if not self._freed.wait_for(lambda: self._has_room_for(record), timeout):
                return False
            self._waiting.append(record)
            self._bytes += len(record.raw)
            self._arrived.notify()
            return True

    def take(self) -> Record | None:
        """The next record, which is under way from now on; None when no more will come."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting or self._ended)
            if not self._waiting:
                return None
            record = self._waiting.popleft()
            self._under_way[record.number] = record
            self.last_taken = record.number
            self._freed.notify_all()
            return record

    def settle(self, record: Record) -> bool:
        """Note that a taken record is done with; False if `write_off` was quicker."""
        with self._freed:
            if self._under_way.pop(record.number, None) is None:
                return False
            self._bytes -= len(record.raw)
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

    def write_off(self) -> list[Record]:
        """The records still under way; whoever settles them from now on comes too late."""
        with self._freed:
            left = sorted(self._under_way.values(), key=lambda record: record.number)
            self._under_way.clear()
            return left

    def _has_room_for(self, record: Record) -> bool:
        if len(self._waiting) >= self._most_records:
            return False
        return self._bytes + len(record.raw) <= self._most_bytes or self._bytes == 0
