"""Clients by the thousand that send half of what they should, or read nothing of what they get."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import psutil
import pytest

from demijohn.front.descriptors import room_for
from demijohn.launcher.serve import MALLOC
from tests.support.processes import LONG, wait_until
from tests.support.raw_http import ask, connect, head
from tests.support.tiny import is_closed, tiny

MIB = 1024 * 1024
HEADS, BODIES, READERS = 2_000, 1_000, 500
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 1_000
HALF_BODY = head("POST", "/", "Content-Length: 10000") + b"x" * 5_000
LARGE = head("GET", f"/?{8 * MIB}")
BOUNDS = {
    "head_timeout": 4,
    "body_timeout": 4,
    "stall_timeout": 4,
    "keep_alive": 4,
    "shed_after": 0,
    "queue_timeout": 60,
}
SMALL = head("GET", "/?4")
BACK = 64 * MIB
"""What an allocator may keep of what it had."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are read from /proc")


def _open(port: int, data: bytes) -> socket.socket:
    connection = connect(port)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(data)
    return connection


@contextmanager
def _crowd(port: int) -> Iterator[list[socket.socket]]:
    """All of them; whoever connects between them is served."""
    with ExitStack() as stack:
        held = []
        for number, data in enumerate(
            [LARGE] * READERS + [HALF_HEAD] * HEADS + [HALF_BODY] * BODIES
        ):
            held.append(stack.enter_context(_open(port, data)))
            if number % 250 == 0:
                assert ask(port, SMALL).body == b"xxxx"
        yield held


def test_slow_clients_by_the_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are served all the while; all are closed in time, and what they held comes back."""
    for name, value in MALLOC.items():
        monkeypatch.setenv(name, value)
    room_for(HEADS + BODIES + READERS)
    with tiny("sized", log_level="error", **BOUNDS) as server:
        process = psutil.Process(server.process.pid)
        assert ask(server.port, SMALL).status == 200
        before, descriptors = process.memory_info().rss, process.num_fds()
        with _crowd(server.port) as held:
            largest = process.memory_info().rss
            left, until = held, time.monotonic() + LONG
            while left and time.monotonic() < until:
                assert ask(server.port, SMALL).body == b"xxxx"
                largest = max(largest, process.memory_info().rss)
                left = [each for each in left if not is_closed(each)]
                time.sleep(0.1)
            assert not left
        wait_until(lambda: process.num_fds() <= descriptors + 1, "all descriptors are back")
        wait_until(partial(_is_back, process, before), "the memory is back")
        # 64 MiB of unread answers, and as much while threads make them.
        assert largest - before < 300 * MIB


def _is_back(process: psutil.Process, before: int) -> bool:
    return process.memory_info().rss - before < BACK


def test_answers_that_nobody_reads_are_bounded() -> None:
    """Past the bound who asks for a large one gets 503, who asks for a small one an answer."""
    with tiny("sized", max_bodies=20 * MIB, stall_timeout=6) as server, ExitStack() as stack:
        for _ in range(2):
            unread = stack.enter_context(_open(server.port, LARGE))
            # Else the answer to whoever asks next may be there first, and this one be refused.
            assert unread.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
        wait_until(lambda: ask(server.port, LARGE).status == 503, "two are held")
        assert ask(server.port, SMALL).status == 200
        # Whoever reads nothing is cut off, and there is room again.
        wait_until(lambda: ask(server.port, LARGE).status == 200, "there is room")
        # The largest is let in once the other one is cut off as well, which began later.
        largest = head("GET", f"/?{30 * MIB}")
        wait_until(lambda: len(ask(server.port, largest).body) == 30 * MIB, "nothing is held")
