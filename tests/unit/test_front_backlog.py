"""The connections that nobody has taken in yet, on real sockets."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import sys
from contextlib import closing

import pytest

from demijohn.front.backlog import let_no_more_begin, waiting

MOMENT = 0.2
"""Seconds in which a connection to this machine has long been made."""
PATIENCE = 30.0


def _loopbacks() -> list[tuple[socket.AddressFamily, str]]:
    """Of IPv4, and of IPv6 where this machine has it."""
    found = [(socket.AF_INET, "127.0.0.1")]
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        found.append((socket.AF_INET6, "::1"))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux's kernel that can be told so")
@pytest.mark.parametrize(("family", "host"), _loopbacks())
def test_who_comes_too_late_is_passed_over_and_no_other(
    family: socket.AddressFamily, host: str
) -> None:
    """Who is connected goes on, taken in or not; who comes later is refused at the end.

    He is not connected before, or the end would reset him.
    """
    listener = socket.create_server((host, 0), family=family)
    listener.setblocking(False)
    address = listener.getsockname()[:2]
    with closing(socket.socket(family)) as late, closing(listener):
        with socket.create_connection(address) as early, socket.create_connection(address) as first:
            let_no_more_begin(listener)
            late.setblocking(False)
            assert late.connect_ex(address) == errno.EINPROGRESS
            assert select.select([], [late], [], MOMENT) == ([], [], [])
            taken = list(waiting(listener))
            assert [each.getpeername() for each in taken] == [
                early.getsockname(),
                first.getsockname(),
            ]
            for ours, theirs in zip((early, first), taken, strict=True):
                with theirs:
                    ours.sendall(b"asked")
                    select.select([theirs], [], [], PATIENCE)
                    assert theirs.recv(16) == b"asked"
                    theirs.sendall(b"answered")
                    assert ours.recv(16) == b"answered"
        listener.close()
        select.select([], [late], [], PATIENCE)
        assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
