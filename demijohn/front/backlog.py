"""The connections that the kernel has taken and nobody here yet."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

TICK = 0.02
"""Seconds between two looks."""
MOST = 256
"""Connections taken in at one look."""


class Backlog:
    """Takes them in, beside the event loop, where that is late.

    libuv accepts one connection in a turn of its loop. Under load a turn is long, and those who
    connect would wait for as many turns as there are others, probes among them, and in the end be
    turned away by the kernel.
    """

    def __init__(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Take what makes a connection's protocol."""
        self._loop = asyncio.get_running_loop()
        self._make = make
        self._copies: list[socket.socket] = []
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[object]] = set()

    def watch(self, listeners: Sequence[socket.socket]) -> None:
        """Look into these from now on; `close` has to follow."""
        self._copies = [each.dup() for each in listeners]
        self._set_timer()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        for copy in self._copies:
            copy.close()
        self._copies = []

    def _set_timer(self) -> None:
        self._due = time.monotonic() + TICK
        self._timer = self._loop.call_later(TICK, self._look)

    def _look(self) -> None:
        if time.monotonic() - self._due > TICK:
            for copy in self._copies:
                for accepted in islice(waiting(copy), MOST):
                    taking = self._loop.connect_accepted_socket(self._make, accepted)
                    task = self._loop.create_task(taking)
                    self._tasks.add(task)
                    task.add_done_callback(self._taken)
        self._set_timer()

    def _taken(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # it left before it was taken in: that is its own affair


def waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that nobody has accepted yet, accepted."""
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return  # there are none, or no descriptors for them, or the first has left
        accepted.setblocking(False)
        yield accepted
