"""What a process keeps that takes memory and time to make: so much in sum, the idle ones go first.

What somebody still works with lives on, kept or not, and is weighed for as long as it does.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import dataclass
from typing import Generic, TypeVar

from bson import ObjectId

from demijohn.errors import Overloaded

T = TypeVar("T")
_LOOK = 0.005
"""Seconds between two looks whether there is room."""


@dataclass(slots=True)
class _Entry(Generic[T]):
    version: ObjectId
    value: T
    weight: int
    was_wanted: bool = False
    """Since it was last looked at whether it may go."""


class Kept(Generic[T]):
    """Values by name, of one version each. To find one takes no lock; to keep one, the caller's."""

    def __init__(self, most: int) -> None:
        """Take what all may weigh together; one alone may weigh more."""
        self._most = most
        self._entries: dict[str, _Entry[T]] = {}
        self.weight = 0
        """Of all."""

    def find(self, name: str, version: ObjectId) -> T | None:
        """The value of this version, if it is kept."""
        entry = self._entries.get(name)
        if entry is None or entry.version != version:
            return None
        entry.was_wanted = True
        return entry.value

    def keep(self, name: str, version: ObjectId, value: T, weight: int) -> None:
        """Keep a value in place of the one of that name, and let go of others that are too much."""
        self._drop(name)
        while self._entries and self.weight + weight > self._most:
            self._let_one_go()
        self._entries[name] = _Entry(version, value, weight)
        self.weight += weight

    def _let_one_go(self) -> None:
        """The first that nobody has wanted since it was last looked at (the "clock" algorithm)."""
        while True:
            name = next(iter(self._entries))
            entry = self._entries[name]
            if not entry.was_wanted:
                self._drop(name)
                return
            entry.was_wanted = False
            # Taken out and put back it is last; whoever asks between the two makes it anew.
            self._entries[name] = self._entries.pop(name)

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self.weight -= entry.weight


class Living:
    """What things weigh that anybody still has. Used under a lock of the caller's."""

    def __init__(self, most: int, patience: float) -> None:
        """Take what all may weigh together, and how many seconds one more waits for room."""
        self._most = most
        self._patience = patience
        self._all: list[tuple[weakref.ref[object], int]] = []

    def take(self, thing: object, weight: int) -> None:
        """Weigh one more, once there is room for it. Raises Overloaded where there is none."""
        until = time.monotonic() + self._patience
        while self._weight() + weight > self._most:
            if time.monotonic() >= until:
                raise Overloaded("Too many large schemas are in use.")
            time.sleep(_LOOK)
        self._all.append((weakref.ref(thing), weight))

    def _weight(self) -> int:
        self._all = [each for each in self._all if each[0]() is not None]
        return sum(weight for _, weight in self._all)
