"""One request's answer on its way out: headers on top, bytes counted, stalls noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from demijohn.front.body import SMALL
from demijohn.front.protocol import Connection

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[str, str]]


class ClientGone(Exception):
    """The client has left, or has not read its answer for too long."""


class Exchange:
    """What has been said to the client so far."""

    def __init__(self, connection: Connection, send: Send, stall_timeout: float) -> None:
        """Take the connection and ASGI's send; the timeout, in seconds, is for each part."""
        self.connection = connection
        self.status = 0
        self.size = 0
        self._send = send
        self._cycle: RequestResponseCycle = send.__self__  # type: ignore[attr-defined]
        self._stall_timeout = stall_timeout

    async def start(self, status: int, headers: Headers, *, close: bool) -> None:
        """Send the head; `close` announces that the connection ends with this answer."""
        encoded = [(name.encode("latin-1"), _value(value)) for name, value in headers]
        if close:
            encoded.append((b"connection", b"close"))
        self.status = status
        await self._say({"type": "http.response.start", "status": status, "headers": encoded})

    async def whole(self, status: int, headers: Headers, body: bytes, *, close: bool) -> None:
        """Send an answer whose headers tell its length, in one piece.

        It is what `start` and `part` do in two, each of which wakes the kernel and the client.
        """
        if self.connection.flow.write_paused:
            await self._drain()
        if len(body) > SMALL:
            await self._large(status, headers, body, close=close)
            return
        self.status = status
        self.size = len(body)
        if not self._cycle.disconnected:
            self._finish(status, _head(headers), body, close=close)

    async def _large(self, status: int, headers: Headers, body: bytes, *, close: bool) -> None:
        """As the client reads it: what is written at once stays in memory for as long."""
        await self.start(status, headers, close=close)
        for start in range(0, len(body), SMALL):
            await self.part(body[start : start + SMALL], more=True)
        await self.part(b"", more=False)

    def _finish(self, status: int, head: bytes, body: bytes, *, close: bool) -> None:
        """As uvicorn's `send` does it."""
        cycle = self._cycle
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.keep_alive = cycle.keep_alive and not close
        default = _DEFAULT.lines(cycle.default_headers)
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.transport.write(b"".join((STATUS_LINE[status], default, head, end, body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    async def part(self, body: bytes, *, more: bool) -> None:
        """Send a part of the body. Raises ClientGone.

        After the last part of a whole answer it makes no odds whether the client is still there.
        """
        if more and self.connection.is_gone():
            raise ClientGone
        self.size += len(body)
        await self._say({"type": "http.response.body", "body": body, "more_body": more})

    async def _say(self, message: dict[str, Any]) -> None:
        """Send once the client has read enough of what was sent before."""
        if self.connection.flow.write_paused:
            await self._drain()
        await self._send(message)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._stall_timeout):
                await self.connection.flow.drain()
        except TimeoutError:
            raise ClientGone from None
        if self.connection.is_gone():
            raise ClientGone

    def cut(self) -> None:
        """End the connection without ending the answer."""
        self.connection.abort()


class _Default:
    """uvicorn's own headers as lines: it makes them anew once a second, with the date."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        if headers is not self._headers:
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self._headers = headers
        return self._lines


_DEFAULT = _Default()


def _head(headers: Headers) -> bytes:
    """The lines of a head. Raises ValueError where one has a break inside."""
    lines = [f"{name.lower()}: {value}\r\n" for name, value in headers]
    head = "".join(lines).encode("latin-1", "replace")
    if not head.count(b"\r") == head.count(b"\n") == len(lines):
        raise ValueError("a header of an answer has a line break inside")
    return head


def _value(text: str) -> bytes:
    return text.encode("latin-1", "replace")
