"""Signals that end a drill: what it has put into the cluster is taken away all the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Have SIGTERM and SIGHUP do as Ctrl-C does, once; in the main thread.

    A terminal that closes sends more than one: the first one ends the drill, and the others must
    not end the clearing up. A signal that is ignored, as below nohup, stays ignored.
    """
    before = {each: signal.getsignal(each) for each in ENDS}
    ours = [each for each, handler in before.items() if handler is not signal.SIG_IGN]

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in ours:
        signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each in ours:
            signal.signal(each, before[each])
