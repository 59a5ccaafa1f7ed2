"""The connections that the kernel has taken and nobody here yet."""

from __future__ import annotations

import array
import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

TICK = 0.02
"""Seconds between two looks."""
MOST = 256
"""Connections taken in at one look."""
HANDSHAKE = 0.05
"""Seconds that who has begun to connect gets to be connected: many times a cluster's round trip."""
_ATTACH_FILTER = 26
"""SO_ATTACH_FILTER, socket(7)."""
_DROP_SYN = (
    # In classic BPF: its code, where to jump if so and if not, and what it is about. It is shown
    # each segment from its TCP header on, which has the flags in byte 13, and of them SYN as
    # 2 (RFC 9293, section 3.1). It says how many bytes may pass.
    (0x30, 0, 0, 13),  # load that byte
    (0x45, 0, 1, 2),  # if it has that bit, go on, else leave the next out
    (0x06, 0, 0, 0),  # none
    (0x06, 0, 0, 0xFFFFFFFF),  # all
)


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

    async def close(self) -> None:
        """Look no more, and wait for those who are being taken in."""
        if self._timer is not None:
            self._timer.cancel()
        for copy in self._copies:
            copy.close()
        self._copies = []
        if self._tasks:
            await asyncio.wait(self._tasks)

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


def let_no_more_begin(listener: socket.socket) -> None:
    """Have the kernel pass over whoever asks to connect from now on, for good.

    Those who have asked before are still let in. Who is passed over asks again after a second, and
    finds out then whether somebody listens. A system that is not Linux, or does not permit
    it, goes on as before.
    """
    if sys.platform != "linux":
        return
    program = array.array("B", b"".join(struct.pack("HBBI", *each) for each in _DROP_SYN))
    address, _ = program.buffer_info()
    with contextlib.suppress(OSError):
        # struct sock_fprog; the kernel takes a copy of what it points to.
        described = struct.pack("HP", len(_DROP_SYN), address)
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, described)


def waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that nobody has accepted yet, accepted."""
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return  # there are none, or no descriptors for them, or the first has left
        accepted.setblocking(False)
        yield accepted
