"""A bound on how much JSON is parsed at one time.

The worst plain JSON costs 36 times its size in memory once parsed, 60 times where it is a filter or
a pipeline, and the worst Extended JSON 120 times, so large bodies pass nearly one after another:
while one waits, its raw bytes are all that it costs. Several at one time would be no quicker.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from demijohn.errors import Overloaded
from demijohn.front.body import SMALL

CAPACITY = 3 * 1024 * 1024
EXTENDED_WEIGHT = 3
"""Extended JSON costs that many times what plain JSON costs."""


class Gate:
    """A first-come-first-served semaphore that counts bytes; small bodies never wait."""

    def __init__(self, largest: int) -> None:
        """Let at least one body of the largest size through."""
        self._capacity = max(largest, CAPACITY)
        self._free = self._capacity
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def passing(
        self, size: int, timeout: float | None, *, extended: bool = False
    ) -> AsyncIterator[None]:
        """Hold room for a body of `size` bytes; raises Overloaded after `timeout` seconds."""
        if size <= SMALL:
            yield
            return
        if extended:
            size = min(size * EXTENDED_WEIGHT, self._capacity)
        await self._enter(size, timeout)
        try:
            yield
        finally:
            self._free += size
            self._admit()

    async def _enter(self, size: int, timeout: float | None) -> None:
        entry = (size, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._admit()
        try:
            async with asyncio.timeout(timeout):
                await entry[1]
        except BaseException as error:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                self._free += size  # it was let in at the very moment that it gave up
            self._admit()
            if isinstance(error, TimeoutError):
                raise Overloaded("Too many large bodies are being read.") from None
            raise

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, future = self._waiting.popleft()
            self._free -= size
            if not future.done():
                future.set_result(None)
