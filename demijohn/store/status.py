"""What is known of the database at this moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GRACE = 1.5
"""Seconds after a loss in which requests still wait for the database to come back."""


class Status:
    """Whether the database is there, as the driver sees it now.

    `reached` turns true with the first operation that the database answered and stays so.
    """

    def __init__(
        self, is_writable: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take a look at the driver's present view, and a clock in seconds."""
        self._is_writable = is_writable
        self._clock = clock
        self._lock = threading.Lock()
        self._missed_since: float | None = None
        self.reached = False

    @property
    def up(self) -> bool:
        """Whether a server that takes writes is there, and has answered once."""
        if not self._is_writable():
            return False
        self._missed_since = None
        return self.reached

    def answered(self) -> None:
        """An operation came back: address, credentials and all are right."""
        self.reached = True
        self._missed_since = None

    def is_lost(self) -> bool:
        """Whether the database has been missed for longer than it is worth waiting.

        Asked by each operation before it waits for the database, so that however many come,
        none of them waits for longer than the first.
        """
        if self._is_writable():
            self._missed_since = None
            return False
        with self._lock:
            if self._missed_since is None:
                self._missed_since = self._clock()
            return self._clock() - self._missed_since > GRACE
