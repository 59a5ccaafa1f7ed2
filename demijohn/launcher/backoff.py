"""How long to wait before a process that died is started again."""

from __future__ import annotations

STEADY = 10.0
"""Seconds of service after which a death is taken as an accident, not as one of a series."""


class Backoff:
    """A delay that doubles with every early death, from `first` up to `most` seconds."""

    def __init__(self, first: float, most: float) -> None:
        """Start with no deaths."""
        self._first = first
        self._most = most
        self._next = first

    def delay(self, served: float) -> float:
        """Seconds to wait after a process died that had served for `served` seconds."""
        if served >= STEADY:
            self._next = self._first
        delay, self._next = self._next, min(self._next * 2, self._most)
        return delay
