"""How many bytes of large batches one process holds for answers that are under way.

How many bytes a batch has is known once it is there: MongoDB fills one with up to 16 MiB where
documents are large, and a client that does not read its answer leaves it there until it is cut.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from demijohn.errors import Overloaded

MOST = 128 * 1024 * 1024
"""Bytes of all large batches together."""
SMALL = 1024 * 1024
"""Bytes up to which a batch is not counted: as many as streams, and bounded by their number."""


class BatchRoom:
    """Counts; thread-safe. Entered and left for each batch."""

    def __init__(self, most: int = MOST) -> None:
        """Take how many bytes there is room for; one batch alone always has it."""
        self._most = most
        self._held = 0
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Hold a batch of `size` bytes for the length of the block. Raises Overloaded."""
        counted = size if size > SMALL else 0
        with self._lock:
            if counted and self._held and self._held + counted > self._most:
                raise Overloaded("Too many large answers are under way.")
            self._held += counted
        try:
            yield
        finally:
            with self._lock:
                self._held -= counted
