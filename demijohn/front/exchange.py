"""One request's answer on its way out: headers on top, bytes counted, stalls noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from demijohn.front.protocol import Connection

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[str, str]]


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
        self._stall_timeout = stall_timeout

    async def start(self, status: int, headers: Headers, *, close: bool) -> None:
        """Send the head; `close` announces that the connection ends with this answer."""
        encoded = [(name.encode("latin-1"), _value(value)) for name, value in headers]
        if close:
            encoded.append((b"connection", b"close"))
        self.status = status
        await self._say({"type": "http.response.start", "status": status, "headers": encoded})

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
            try:
                async with asyncio.timeout(self._stall_timeout):
                    await self.connection.flow.drain()
            except TimeoutError:
                raise ClientGone from None
            if self.connection.is_gone():
                raise ClientGone
        await self._send(message)

    def cut(self) -> None:
        """End the connection without ending the answer."""
        self.connection.abort()


def _value(text: str) -> bytes:
    return text.encode("latin-1", "replace")
