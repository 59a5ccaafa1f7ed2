"""A proxy that notes the name of every command that passes to a database."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

from tests.support.standin import wire


class Recorder:
    """Listens on `port` of this machine and passes everything on to another one."""

    def __init__(self, target: int) -> None:
        """Take the port to pass to."""
        self.commands: set[str] = set()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []
        self._is_over = False
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        """Begin."""
        self.run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """Cut every connection, and take no more."""
        self._is_over = True
        for each in self._sockets:
            _cut(each)
        for thread in self._threads:
            thread.join(10)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._keep(client)
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _cut(client)
            return
        self._keep(server)
        self.join(client, server)

    def _keep(self, connection: socket.socket) -> None:
        """One more to be cut at the end, which may just have come."""
        self._sockets.append(connection)
        if self._is_over:
            _cut(connection)

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass both ways, from now on."""
        requests = wire.Relay(self.note, server.sendall)
        self.run(lambda: pump(client, server, requests.feed))
        self.run(lambda: pump(server, client, client.sendall))

    def note(self, data: bytes) -> None:
        """Note the command that begins with these bytes."""
        self.commands.add(wire.command_of(data).decode())

    def run(self, work: Callable[[], None]) -> None:
        """Do it in a thread, whose end is waited for at the end."""
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()


def pump(source: socket.socket, goal: socket.socket, send: wire.Write) -> None:
    """Send all that comes from the one, then cut both."""
    with contextlib.suppress(OSError):
        while data := source.recv(256 * 1024):
            send(data)
    for each in (source, goal):
        _cut(each)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
