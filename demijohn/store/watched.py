"""Something in the database that a process keeps, and reads anew once it is a second old.

One looks while the others go on by what was known, until that is too old to go by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from demijohn.errors import DatabaseUnavailable, Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds for which nobody looks again, and after which nobody goes by it any more.

    `patience` is how long one waits for another who looks.
    """

    fresh: float
    stale: float
    patience: float


class Watched(Generic[T]):
    """The value of one process. Thread-safe."""

    def __init__(
        self,
        read: Callable[[], T],
        nothing: T,
        ages: Ages,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take how it is read (which raises Problems only), what it is before, and a clock."""
        self.last = nothing
        """What was read last, however old."""
        self._read = read
        self._ages = ages
        self._clock = clock
        self._at = -ages.stale
        self._looking = threading.Lock()

    @property
    def is_due(self) -> bool:
        """Whether it is time to `refresh`, for those who ask by `known` alone."""
        return self._age() >= self._ages.fresh

    def known(self) -> T | None:
        """What is known, where nobody has to be asked or waited for; else None."""
        return None if self._age() >= self._ages.stale else self.last

    def fresh(self) -> T:
        """The value, never too old. Raises what reading it raises, and DatabaseUnavailable."""
        age = self._age()
        if age < self._ages.fresh:
            return self.last
        if age < self._ages.stale:
            # One looks; the others go on, and so does that one where it is told nothing.
            self.refresh()
            return self.last
        if not self._looking.acquire(timeout=self._ages.patience):
            raise DatabaseUnavailable("The database does not say at present what holds here.")
        return self._look()

    def refresh(self) -> None:
        """Look whether anything has changed, where nobody does. It takes its time."""
        if self._looking.acquire(blocking=False):
            with suppress(Problem):  # then what is known gets old, and nobody goes by it
                self._look()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Whatever comes of a change, this process looks before it goes by anything again."""
        try:
            yield
        finally:
            with self._looking:  # or one who looked before the change would have the last word
                self._at = -self._ages.stale

    def _age(self) -> float:
        return self._clock() - self._at

    def _look(self) -> T:
        """Look, unless somebody has meanwhile, and let others do so again."""
        try:
            began = self._clock()
            if began - self._at >= self._ages.fresh:
                # In this order: what is not too old is what was read then, or newer.
                self.last, self._at = self._read(), began
            return self.last
        finally:
            self._looking.release()
