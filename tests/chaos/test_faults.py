"""What the storm does to the link and the disk is felt, and is over when it is over."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.chaos.disk import SmallDisk
from tests.support.chaos.link import Link
from tests.support.chaos.notebook import InFlight
from tests.support.processes import wait_until

SOON = 0.3
"""Seconds in which what is let through would have come."""
LATE = 30.0
"""Seconds after which something that should come does not."""


class Ends:
    """A connection through a link: what the one side sends, the other side gets."""

    def __init__(self, stack: ExitStack) -> None:
        """Make it."""
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.link = Link(self._listener.getsockname()[1])
        stack.callback(self.link.close)
        self._stack = stack
        self.near, self.far = self.connected()

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """The two ends of another connection."""
        near = socket.create_connection(("127.0.0.1", self.link.port), LATE)
        far, _ = self._listener.accept()
        far.settimeout(LATE)
        for each in (near, far):
            self._stack.callback(each.close)
        return near, far


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Both ends of a connection through a link that is well."""
    with ExitStack() as stack:
        yield Ends(stack)


def _arrives(words: bytes, sender: socket.socket, receiver: socket.socket) -> bool:
    """Whether they come through, and nothing else."""
    sender.sendall(words)
    return receiver.recv(100) == words


def _is_held(words: bytes, sender: socket.socket, receiver: socket.socket) -> bool:
    """Whether nothing comes of them in `SOON`."""
    sender.sendall(words)
    receiver.settimeout(SOON)
    try:
        receiver.recv(100)
    except TimeoutError:
        return True
    finally:
        receiver.settimeout(LATE)
    return False


def _is_broken(connection: socket.socket) -> bool:
    """Whether it ends, by a reset or an end of file, with nothing more in it."""
    with suppress(ConnectionError):
        return connection.recv(100) == b""
    return True


def test_a_half_cut_link_holds_one_direction(ends: Ends) -> None:
    """The other one works; what was held comes, late, when it is healed."""
    ends.link.say("hold there")
    assert _is_held(b"question", ends.near, ends.far)
    assert _arrives(b"answer", ends.far, ends.near)
    ends.link.say("heal")
    assert ends.far.recv(100) == b"question"


def test_what_was_held_may_be_lost(ends: Ends) -> None:
    """After `drop` it never comes, the connection is broken, and a new one is a good one."""
    ends.link.say("hold back")
    assert _is_held(b"answer", ends.far, ends.near)
    assert _arrives(b"question", ends.near, ends.far)
    ends.link.say("drop")
    assert _is_broken(ends.near)
    assert _is_broken(ends.far)
    assert _arrives(b"again", *ends.connected())


def test_a_cut_link_breaks_what_there_is_and_takes_no_more(ends: Ends) -> None:
    """Both ends are told, and nobody is connected before it is healed."""
    ends.link.say("cut")
    assert _is_broken(ends.near)
    assert _is_broken(ends.far)
    with socket.create_connection(("127.0.0.1", ends.link.port), LATE) as late:
        assert _is_broken(late)
    ends.link.say("heal")
    assert _arrives(b"again", *ends.connected())


def test_a_slow_link_is_late(ends: Ends) -> None:
    """Nothing comes before its time."""
    ends.link.say(f"delay {SOON}")
    sent = time.monotonic()
    assert _arrives(b"late", ends.near, ends.far)
    assert time.monotonic() - sent >= SOON


def test_a_full_disk_has_no_room(tmp_path: Path) -> None:
    """What is written into it fails until there is room again, and what is there stays."""
    disk = SmallDisk(tmp_path / "small")
    disk.mount()
    try:
        kept = tmp_path / "small" / "kept"
        kept.write_bytes(b"kept")
        disk.fill()
        with pytest.raises(OSError, match="No space left") as found:
            (tmp_path / "small" / "more").write_bytes(b"x" * 100_000)
        assert found.value.errno == errno.ENOSPC
        disk.free()
        (tmp_path / "small" / "more").write_bytes(b"x" * 100_000)
        assert kept.read_bytes() == b"kept"
    finally:
        disk.unmount()


def test_what_has_been_answered_is_not_in_flight() -> None:
    """A write counts until something of its answer has come, whether it has been read or not."""
    flight = InFlight()
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(3)]
        for near, far in pairs:
            stack.callback(near.close)
            stack.callback(far.close)
            stack.enter_context(flight.of(near))
        assert flight.count() == 3
        pairs[0][1].sendall(b"answer")
        wait_until(lambda: flight.count() == 2, "it is answered")
    assert flight.count() == 0
