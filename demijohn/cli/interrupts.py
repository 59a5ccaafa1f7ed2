"""Ctrl-C as a question that the work answers when it can, not as an exception anywhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """Counts SIGINTs while it is entered, in the main thread.

    A KeyboardInterrupt is raised inside `breakable` only: elsewhere it could strike while a lock
    is held or a line is half written. The second SIGINT gives the next one back to the system,
    so that a person always gets out.
    """

    def __init__(self) -> None:
        """Count nothing yet."""
        self.count = 0
        self._breakable = False

    def __enter__(self) -> Self:
        """Take the signal over."""
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signal back."""
        signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """A wait that SIGINT may break off with KeyboardInterrupt, also one that came before."""
        self._breakable = True
        try:
            if self.count:
                raise KeyboardInterrupt
            yield
        finally:
            self._breakable = False

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self._breakable:
            raise KeyboardInterrupt
