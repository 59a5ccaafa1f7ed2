"""A proxy that breaks the connection to a database around one command of one's choice."""

from __future__ import annotations

import socket
from typing import Literal

from tests.support.recorder import Recorder, pump
from tests.support.standin import wire

Moment = Literal["before", "after"]


class Breaker(Recorder):
    """Passes everything on until it meets the command; each time it is armed it breaks once.

    `before`: the command never reaches the database. `after`: it is carried out, and its answer
    is lost.
    """

    def __init__(self, target: int) -> None:
        """Take the port to pass to; nothing is broken until `arm`."""
        super().__init__(target)
        self._armed: tuple[str, Moment] | None = None
        self.broken = 0
        """How often it has broken since it was armed last."""

    def arm(self, command: str, moment: Moment) -> None:
        """Break at the next such command."""
        self.broken = 0
        self._armed = (command, moment)

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass both ways, until it breaks."""
        deaf = False

        def pick(data: bytes) -> None:
            nonlocal deaf
            self.note(data)
            if self._armed is None or wire.command_of(data).decode() != self._armed[0]:
                return
            _, moment = self._armed
            self._armed = None
            self.broken += 1
            deaf = True
            if moment == "before":
                raise OSError("broken on purpose")

        def answer(data: bytes) -> None:
            if deaf:
                raise OSError("broken on purpose")
            client.sendall(data)

        requests = wire.Relay(pick, server.sendall)
        self.run(lambda: pump(client, server, requests.feed))
        self.run(lambda: pump(server, client, answer))
