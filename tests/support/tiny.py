"""Runs `tests.support.tiny_server` as a process, and holds connections to it."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.support.database import free_port
from tests.support.raw_http import ask, connect, head


@dataclass
class Tiny:
    """A server under one of the applications of `tests.support.tiny_server`."""

    port: int
    process: subprocess.Popen[str]

    def stop(self, seconds: float = 20) -> int:
        """Send SIGTERM and wait for the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def tiny(application: str, **settings: object) -> Iterator[Tiny]:
    """Run a server of its own; settings as DEMIJOHN_… variables, without the prefix."""
    environ = {name: value for name, value in os.environ.items() if "DEMIJOHN" not in name}
    limit = settings.pop("descriptors", None)
    given = {f"DEMIJOHN_{name.upper()}": str(value) for name, value in settings.items()}
    record = {"RECORD": str(settings.pop("record"))} if "record" in settings else {}
    given.pop("DEMIJOHN_RECORD", None)
    process = subprocess.Popen(
        [
            *(("prlimit", f"--nofile={limit}:{limit}") if limit else ()),
            *(sys.executable, "-m", "tests.support.tiny_server", application, str(free_port())),
        ],
        env={**environ, **given, **record},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            yield Tiny(int(process.stdout.readline()), process)
    finally:
        process.kill()
        process.wait()


def go_round(port: int) -> None:
    """Return when the event loop has been round: it has begun what was sent before."""
    for _ in range(3):
        assert ask(port, head("GET", "/livez")).status == 200


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has ended it, looked at without reading what it had sent before."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


class Held(ExitStack):
    """Connections that are open and have sent the same, until the end of a `with` block."""

    def __init__(self, port: int) -> None:
        """Hold connections to this port."""
        super().__init__()
        self._port = port

    def open(self, count: int, sent: bytes) -> list[socket.socket]:
        """Open so many more."""
        opened = [self.enter_context(connect(self._port)) for _ in range(count)]
        for connection in opened:
            connection.sendall(sent)
        return opened
