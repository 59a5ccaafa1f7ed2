"""A proxy that breaks the connection to a database around one command of one's choice."""

from __future__ import annotations

import socket
from typing import Literal

from bson.datetime_ms import DatetimeMS

from tests.support.recorder import Recorder, pump
from tests.support.standin import wire

Moment = Literal["before", "after", "unconfirmed", "dated", "unanswered"]
NOT_IN_TIME = {
    "code": 64,
    "codeName": "WriteConcernTimeout",
    "errmsg": "waiting for replication timed out",
    "errInfo": {"wtimeout": True},
}
"""What `mongod` adds to the answer to a write that no majority has confirmed in time."""
UPSERTED = [{"index": 0, "_id": DatetimeMS(10**15)}]
"""An id of which the answer to a `PUT` speaks; Python has no date for it."""
BY_ITSELF, FIRST = b"\0_collections\0", 64
"""What the service asks for now and then, whoever is there; where its name stands in a command."""


class Breaker(Recorder):
    """Passes everything on until it meets the command; each time it is armed it breaks once.

    `before`: the command never reaches the database. `after`: it is carried out, and its answer
    is lost. `unconfirmed`: it is carried out, and the answer says that no majority has
    confirmed it in time; of a command that is sent again, each answer does. `dated`: likewise, and
    the answer has the id of what was upserted, a date that only MongoDB knows. `unanswered`: it
    never reaches the database, and nothing breaks: as often as it is sent, no answer comes.
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

    def disarm(self) -> None:
        """Break no more."""
        self._armed = None

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass both ways, until it breaks."""
        connection = _Connection(client)

        def pick(data: bytes) -> wire.Change | None:
            self.note(data)
            if self._armed is None or wire.command_of(data).decode() != self._armed[0]:
                return None
            if BY_ITSELF in data[:FIRST]:
                return None
            _, moment = self._armed
            self.broken += 1
            if moment == "unanswered":
                return _nothing
            if moment in CHANGES:
                connection.changes[wire.request_id_of(data)] = CHANGES[moment]
                return None
            self._armed = None
            connection.is_deaf = True
            if moment == "before":
                raise OSError("broken on purpose")
            return None

        requests = wire.Relay(pick, server.sendall)
        answers = wire.Relay(connection.pick, connection.answer)
        self.run(lambda: pump(client, server, requests.feed))
        self.run(lambda: pump(server, client, answers.feed))


class _Connection:
    """The way back to one client."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.is_deaf = False
        self.changes: dict[int, wire.Change] = {}

    def pick(self, data: bytes) -> wire.Change | None:
        return self.changes.get(wire.response_to_of(data))

    def answer(self, data: bytes) -> None:
        if self.is_deaf:
            raise OSError("broken on purpose")
        self._client.sendall(data)


def _nothing(_: bytes) -> bytes:
    return b""


def _adds(more: dict[str, object]) -> wire.Change:
    return lambda raw: wire.with_body(raw, lambda body: {**body, **more})


CHANGES: dict[str, wire.Change] = {
    "unconfirmed": _adds({"writeConcernError": NOT_IN_TIME}),
    "dated": _adds({"upserted": UPSERTED}),
}
