"""How many bytes of large batches one process holds for answers that are under way.

How many bytes a batch has is known once it is there: MongoDB fills one with up to 16 MiB where
documents are large, and a client that does not read its answer leaves it there until it is cut.
"""

from __future__ import annotations

import threading

from demijohn.errors import Overloaded

MOST = 128 * 1024 * 1024
"""Bytes of all large batches together."""
SMALL = 1024 * 1024
"""Bytes up to which a batch is not counted: as many as streams, and bounded by their number."""


class BatchRoom:
    """Counts; thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        """Take how many bytes there is room for; one batch alone always has it."""
        self._most = most
        self._held = 0
        # The garbage collector may give something back in a thread that has it.
        self._lock = threading.RLock()

    def take(self, size: int) -> None:
        """Hold a batch of `size` bytes, until they are given back. Raises Overloaded."""
        if size <= SMALL:
            return
        with self._lock:
            has_room = not self._held or self._held + size <= self._most
            self._held += size if has_room else 0
        if not has_room:
            raise Overloaded("Too many large answers are under way.")

    def give_back(self, size: int) -> None:
        """Hold a batch that was taken no longer."""
        if size > SMALL:
            with self._lock:
                self._held -= size
