"""What the embedded database prints: kept in its log, and searched for its last words.

When its disk is full, or fails, its engine (WiredTiger) gives up for good: the process lives and
refuses every request until it is started anew, and says so in lines such as ::

    [1795676145:184385][15740:0x7ff5a5ffb6c0], …: the process must exit and restart: WT_PANIC: …

The log may have no room for that, so it is read on its way there. The number of the process stands
in such a line; what a client has written into a document does not look like one.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator

from demijohn.launcher.datadir import DataDir
from demijohn.launcher.failure import LaunchError
from demijohn.launcher.loop import Loop

AT_ONCE = 64 * 1024
LONGEST_LINE = 8 * 1024
_PANIC = re.compile(rb"^\[\d+:\d+\]\[(\d+):0x[0-9a-f]+\], .*\bWT_PANIC\b", re.MULTILINE)


class Output:
    """Of one server after the other; a part of the launcher's loop."""

    def __init__(self, data: DataDir, loop: Loop) -> None:
        """Take what keeps the log, and what says when there is something to be read."""
        self._data = data
        self._loop = loop
        self._ours: socket.socket | None = None
        self._rest = b""
        self._panicked: set[int] = set()

    @contextlib.contextmanager
    def of_another(self) -> Iterator[int]:
        """The descriptor on which a new server is to print; that of the one before is done with."""
        self.close()
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._loop.watch(self._ours, self._hear)
        with theirs:
            yield theirs.fileno()

    def has_panicked(self, pid: int) -> bool:
        """Whether the server with this number has said that it is of no more use."""
        return pid in self._panicked

    def drain(self) -> None:
        """Keep all that has been printed so far."""
        while self._has_more():
            self._hear()

    def close(self) -> None:
        """Keep what there is, and listen no longer."""
        self.drain()
        if self._ours is not None:
            self._loop.forget(self._ours)
            self._ours.close()
            self._ours = None
        self._rest = b""
        self._panicked.clear()

    def _has_more(self) -> bool:
        """Whether something has been printed that is not kept yet."""
        if self._ours is None:
            return False
        with contextlib.suppress(BlockingIOError):
            return bool(self._ours.recv(1, socket.MSG_PEEK))
        return False

    def _hear(self) -> None:
        """Keep the next part, which is there."""
        assert self._ours is not None
        part = self._ours.recv(AT_ONCE)
        if part:
            self._keep(part)
            self._search(part)
        else:
            self._loop.forget(self._ours)  # it has ended, and would be readable for ever

    def _keep(self, part: bytes) -> None:
        # Where there is no room, this is just what it says.
        with contextlib.suppress(LaunchError, OSError), self._data.open_log() as log:
            log.write(part)

    def _search(self, part: bytes) -> None:
        text = self._rest + part
        self._panicked.update(int(found[1]) for found in _PANIC.finditer(text))
        self._rest = text[text.rfind(b"\n") + 1 :][:LONGEST_LINE]
