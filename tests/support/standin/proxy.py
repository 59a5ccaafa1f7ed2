"""Connections of clients: answered here while there are no users, then passed to the backend.

What passes is not parsed but for its first bytes. Two kinds of commands are changed on the way:
the answers to `hello`, which must speak of our set, and the commands about that set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

from . import wire
from .node import HELLO, SET_COMMANDS, CommandError, Node
from .wire import Body, Change, Message, Relay

_HELLO = frozenset(name.encode() for name in HELLO)
_SET_COMMANDS = frozenset(name.encode() for name in SET_COMMANDS)


class Client(asyncio.Protocol):
    """One connection from outside."""

    def __init__(self, node: Node, clients: set[Client]) -> None:
        """Take the node, and the set of open connections to be in."""
        self._node = node
        self._clients = clients
        self._held = b""
        self._arrived = asyncio.Event()
        self._upstream: _Upstream | None = None
        self._answers: dict[int, Callable[[Body], Body]] = {}
        self._streamed: Callable[[Body], Body] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._clients.add(self)
        peer = transport.get_extra_info("peername")
        self._is_local = peer is not None and ip_address(peer[0]).is_loopback
        self._serving = asyncio.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        """Pass it on, or keep it until it can be answered."""
        if self._upstream is not None:
            self._requests.feed(data)
        else:
            self._held += data
            self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the other side."""
        del exc
        self._clients.discard(self)
        self._serving.cancel()
        if self._upstream is not None:
            self._upstream.transport.close()

    def pause_writing(self) -> None:
        """Read no more answers than the client takes."""
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        """Undo `pause_writing`."""
        if self._upstream is not None and not self._upstream.transport.is_closing():
            self._upstream.transport.resume_reading()

    async def _serve(self) -> None:
        """Answer until there are users; then let the backend answer."""
        try:
            while not self._node.has_users:
                raw = await self._message()
                message = wire.parse(raw)
                answer = await self._node.answer(message, local=self._is_local)
                if answer is None:
                    self._held = raw + self._held
                else:
                    self.transport.write(answer)
            await self._connect()
        except (ValueError, OSError) as error:
            print(f"connection closed: {error}", flush=True)
            self.transport.abort()

    async def _message(self) -> bytes:
        """The next message, once there is a whole one."""
        while True:
            length = wire.message_length(self._held)
            if length is not None and len(self._held) >= length:
                raw, self._held = self._held[:length], self._held[length:]
                return raw
            self._arrived.clear()
            await self._arrived.wait()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(
            lambda: _Upstream(self.transport, Relay(self._pick_answer, self.transport.write)),
            "127.0.0.1",
            self._node.backend.port,
        )
        self._requests = Relay(self._pick_request, upstream.transport.write)
        self._upstream = upstream
        held, self._held = self._held, b""
        self._requests.feed(held)

    def _pick_request(self, data: bytes) -> Change | None:
        command = wire.command_of(data)
        if command in _HELLO:
            self._answers[wire.request_id_of(data)] = self._node.as_member
        elif command in _SET_COMMANDS:
            return self._ask_who_it_is
        elif command == b"_isSelf":
            return self._say_who_it_is
        return None

    def _say_who_it_is(self, raw: bytes) -> bytes:
        """In place of a question that the backend has no answer to: one that needs no login."""
        message = wire.parse(raw)
        self._answers[message.request_id] = lambda _: {"ok": 1.0, "id": self._node.identity}
        return wire.request(message.request_id, {"hello": 1, "$db": "admin"})

    def _ask_who_it_is(self, raw: bytes) -> bytes:
        """In place of a command about the set, which the backend has not: who asks?"""
        message = wire.parse(raw)
        self._answers[message.request_id] = lambda known: self._about_set(message, known)
        return wire.request(message.request_id, {"connectionStatus": 1, "$db": "admin"})

    def _about_set(self, message: Message, known: Body) -> Body:
        if not known["ok"]:
            refusal = f"Command {message.command} requires authentication"
            return {**known, "errmsg": refusal}
        try:
            return self._node.of_set(message)
        except CommandError as error:
            return error.body

    def _pick_answer(self, data: bytes) -> Change | None:
        if not self._answers and self._streamed is None:
            return None
        change = self._answers.pop(wire.response_to_of(data), self._streamed)
        if change is None:
            return None
        # A driver that watches the server gets one answer after the other to one question.
        self._streamed = change if wire.has_more_to_come(data) else None
        return lambda raw: wire.with_body(raw, change)


class _Upstream(asyncio.Protocol):
    """The backend's side of a connection."""

    def __init__(self, client: asyncio.Transport, answers: Relay) -> None:
        self._client = client
        self._answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._answers.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """What the backend has left, the client must not wait for."""
        del exc
        self._client.close()

    def pause_writing(self) -> None:
        """Read no more questions than the backend takes."""
        self._client.pause_reading()

    def resume_writing(self) -> None:
        """Undo `pause_writing`."""
        if not self._client.is_closing():
            self._client.resume_reading()
