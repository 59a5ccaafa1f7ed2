"""What is known of the database at this moment, from what the driver saw last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GRACE = 1.5
"""Seconds after a loss in which requests still wait for the database to come back."""


class Status:
    """Shared by the driver's monitor, which writes it, and by requests, which read it.

    `reached` turns true with the first operation that the database answered and stays so;
    `up` follows the database.
    """

    def __init__(
        self,
        on_change: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what to tell of each change, and a clock in seconds."""
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._lost_at: float | None = clock()
        self._asked = False
        self.reached = False
        self.kind = "Unknown"
        on_change(False)

    @property
    def up(self) -> bool:
        """Whether the database is there and has answered once."""
        return self.reached and self._lost_at is None

    def seen(self, *, writable: bool, kind: str) -> None:
        """The driver's view changed: is there a server that takes writes, and of what kind."""
        with self._lock:
            before = self.up
            self.kind = kind
            if writable:
                self._lost_at = None
            elif self._lost_at is None:
                self._lost_at = self._clock()
            changed = self.up != before
        if changed:
            self._on_change(self.up)

    def answered(self) -> None:
        """An operation came back: credentials and all are right."""
        if not self.reached:
            with self._lock:
                self.reached = True
            self._on_change(self.up)

    def is_lost(self) -> bool:
        """Whether the database has been away for longer than it is worth waiting.

        The first to ask starts the clock: the driver connects at its first use, not before.
        """
        if not self._asked:
            self._asked = True
            with self._lock:
                self._lost_at = self._lost_at and self._clock()
        lost_at = self._lost_at
        return lost_at is not None and self._clock() - lost_at > GRACE
