"""Reading a request's body on the event loop, under a deadline, a minimum rate and bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from demijohn.errors import BodyTimeout, IncompleteBody, Overloaded, TooLarge
from demijohn.settings import Settings

Receive = Callable[[], Awaitable[Any]]
SLOW_START = 5.0
"""Seconds before the minimum rate is asked for."""
LONGEST_PAUSE = 10.0
"""Seconds in which something must come, however fast the body was until then."""
SMALL = 64 * 1024
"""Bytes of a small body."""


@dataclass(slots=True)
class Held:
    """Bytes of bodies that this process holds at this time, all requests together."""

    limit: int
    for_large: int
    """What large bodies may take of it."""
    bytes: int = 0

    def take(self, size: int, before: int) -> None:
        """Hold `size` more of a body of which `before` are held. Raises Overloaded."""
        is_small = before + size <= SMALL
        if self.bytes + size > (self.limit if is_small else self.for_large):
            raise Overloaded("More request bodies are in flight than this process holds.")
        self.bytes += size

    def give_back(self, size: int) -> None:
        """Hold so many less."""
        self.bytes -= size


class BodyReader:
    """Reads bodies. Sizes in bytes, times in seconds."""

    def __init__(self, settings: Settings) -> None:
        """Take the bounds from the settings."""
        self._max_body = int(settings.max_body)
        # One whole body always fits. Beyond that a quarter is kept for small bodies, so that
        # large ones that do not come to an end can't shut out everybody else.
        limit = max(int(settings.max_bodies), self._max_body)
        self.held = Held(limit, max(limit * 3 // 4, self._max_body))
        self._timeout = settings.body_timeout
        self._rate = int(settings.body_min_rate)

    def hold(self, body: bytes) -> bytes:
        """A body that has come whole, held as `read` does. Raises TooLarge, Overloaded."""
        self._take(len(body), 0)
        return body

    async def read(self, receive: Receive, length: int | None) -> bytes:
        """The whole body. `length` is what Content-Length said, None where it said nothing.

        What is returned stays in `held` until the caller gives it back; what is not returned is
        given back here. Raises TooLarge, BodyTimeout, IncompleteBody, Overloaded.
        """
        if length is not None and length > self._max_body:
            raise self._too_large()
        message = await self._next(receive, self._timeout)
        body: bytes = message["body"]
        self._take(len(body), 0)
        if not message["more_body"]:
            return body
        begun = bytearray(body)
        del message, body  # or they would be held twice while the rest comes
        return await self._rest(receive, begun)

    async def discard(self, receive: Receive, seconds: float) -> None:
        """Read and forget what still comes, so that a refusal is not lost to a reset."""
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await receive()
                    more = message["type"] == "http.request" and message["more_body"]
        except TimeoutError:
            return

    async def _rest(self, receive: Receive, body: bytearray) -> bytes:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            more = True
            while more:
                elapsed = loop.time() - began
                message = await self._next(receive, self._patience(len(body), elapsed))
                chunk = message["body"]
                self._take(len(chunk), len(body))
                body += chunk
                more = message["more_body"]
                del message, chunk
        except BaseException:
            self.held.give_back(len(body))
            raise
        return bytes(body)

    def _patience(self, received: int, elapsed: float) -> float:
        """Seconds until either the deadline or the rate is missed if nothing more comes."""
        left = min(self._timeout - elapsed, LONGEST_PAUSE)
        if self._rate:
            earned = max(SLOW_START, received / self._rate)
            left = min(left, earned - elapsed)
        return left

    def _take(self, size: int, before: int) -> None:
        if before + size > self._max_body:
            raise self._too_large()
        self.held.take(size, before)

    async def _next(self, receive: Receive, seconds: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                return await _connected(receive)
        except TimeoutError:
            raise BodyTimeout("The body did not arrive in time.") from None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than the {self._max_body} bytes taken here.")


async def _connected(receive: Receive) -> dict[str, Any]:
    """The next part of the body. Raises IncompleteBody where none will come."""
    message: dict[str, Any] = await receive()
    if message["type"] == "http.disconnect":
        raise IncompleteBody("The connection ended before the body was whole.")
    return message
