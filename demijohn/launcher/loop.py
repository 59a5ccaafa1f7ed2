"""The launcher's main loop: it sleeps until a signal, a byte or a deadline, and then ticks.

Every part (the workers, the database) is a small state machine with a method
``tick(now) -> float``: it looks at its processes, does what is due, and says at which time of
the monotonic clock it wants to be called next, `NEVER` for "when something happens". SIGCHLD
wakes the loop as every other signal does (`signal.set_wakeup_fd`), so nothing is polled.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import FrameType

NEVER = float("inf")
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Loop:
    """Waits for signals and readable sockets; see the module."""

    def __init__(self) -> None:
        """Make a loop that watches nothing yet."""
        self._selector = selectors.DefaultSelector()

    def watch(self, readable: socket.socket, call: Callable[[], None]) -> None:
        """Have `call` called whenever `readable` can be read."""
        self._selector.register(readable, selectors.EVENT_READ, call)

    def forget(self, readable: socket.socket) -> None:
        """Watch it no longer, if it is watched."""
        if readable in self._selector.get_map():
            self._selector.unregister(readable)

    @contextlib.contextmanager
    def signals(self, stop: Callable[[], None]) -> Iterator[None]:
        """Have `stop` called for every SIGTERM, SIGINT and SIGHUP, and wake up for SIGCHLD."""
        receiver, sender = socket.socketpair()
        receiver.setblocking(False)
        sender.setblocking(False)

        def drain() -> None:
            for number in receiver.recv(4096):
                if number in STOP_SIGNALS:
                    stop()

        # A signal's byte reaches the socket only while a handler in Python is installed.
        # What whoever started us has set to be ignored (nohup, a background job) stays ignored.
        heard = [each for each in STOP_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
        before = {each: signal.signal(each, _ignore) for each in (*heard, signal.SIGCHLD)}
        old = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        self.watch(receiver, drain)
        try:
            yield
        finally:
            self.forget(receiver)
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            receiver.close()
            sender.close()

    def run(self, tick: Callable[[float], float], done: Callable[[], bool]) -> None:
        """Tick and wait in turn until `done`."""
        while True:
            due = tick(time.monotonic())
            if done():
                return
            timeout = None if due == NEVER else max(0.0, due - time.monotonic())
            for key, _ in self._selector.select(timeout):
                key.data()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """The byte on the wake-up socket is what counts."""
