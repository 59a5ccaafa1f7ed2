"""A bound on how many large documents are worked on at one time in this process.

An opened or rendered document takes many times its size, up to 25 times. Small ones are worked on
side by side; of large ones one at a time, so that a worker stays inside its memory limit, however
many clients ask for them.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext

LARGE = 256 * 1024
"""Bytes of BSON."""


class Room:
    """One for each process; made by the assembly."""

    def __init__(self) -> None:
        """Begin with nobody inside."""
        self._lock = threading.Lock()

    def holding(self, document: bytes) -> AbstractContextManager[object]:
        """Wait until there is room for a document of that size, and hold it. Not reentrant."""
        return self._lock if len(document) > LARGE else nullcontext()
