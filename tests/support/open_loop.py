"""Requests at a rate, whatever becomes of them: nobody's answer is waited for by the next.

One process on uvloop, a few dozen microseconds a request. A request takes a connection that is
free, or opens one; its latency counts from when it was due, so that a generator that comes late
shows it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import uvloop

MOST_CONNECTIONS = 1_500
_STEP = 0.002
"""Seconds between two looks at what is due."""
_PATIENCE = 15.0
"""Seconds without an answer after which no more are waited for."""
LOST = 0
"""The status of a request whose connection ended before its answer."""


@dataclass(slots=True)
class Offered:
    """What became of the requests. Times in seconds."""

    offered: int = 0
    unsent: int = 0
    """For want of a connection."""
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[float] = field(default_factory=list)
    """Of the answers 2xx: seconds since they were due, in order."""
    refused: list[float] = field(default_factory=list)
    """Of the others."""

    def note(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        (self.accepted if 200 <= status < 300 else self.refused).append(seconds)


def at_quantile(values: list[float], quantile: float) -> float:
    """The value below which that share of them is; NaN of none."""
    ranked = sorted(values)
    return ranked[min(int(quantile * len(ranked)), len(ranked) - 1)] if ranked else float("nan")


def offer(url: str, request: bytes, rate: float, seconds: float, settling: float = 0.0) -> Offered:
    """Send the request `rate` times a second for so long; what became of all of them.

    Those of the first `settling` seconds, before that time, are not counted.
    """
    return uvloop.run(_offer(url, request, rate, seconds, settling))


def closed(url: str, request: bytes, clients: int, seconds: float) -> Offered:
    """Have so many clients each ask again as soon as they are answered."""
    until = time.monotonic() + seconds
    return asking(url, request, clients, lambda: time.monotonic() < until)


def asking(url: str, request: bytes, clients: int, goes_on: Callable[[], bool]) -> Offered:
    """The same, until an answer comes where it does not go on."""
    return uvloop.run(_closed(url, request, clients, goes_on))


async def _offer(url: str, request: bytes, rate: float, seconds: float, settling: float) -> Offered:
    loop = asyncio.get_running_loop()
    began = loop.time()
    crowd = _Crowd(url, request, counted_from=began + settling)
    sent, passed, whole = 0, 0.0, settling + seconds
    while passed < whole:
        # To the end, also where this process comes to it late: what was due by then is sent.
        passed = min(loop.time() - began, whole)
        while sent < passed * rate:
            crowd.send(began + sent / rate)
            sent += 1
        await asyncio.sleep(_STEP)
    await crowd.finish()
    return crowd.ended


async def _closed(url: str, request: bytes, clients: int, goes_on: Callable[[], bool]) -> Offered:
    loop = asyncio.get_running_loop()
    crowd = _Crowd(url, request, goes_on)
    for _ in range(clients):
        crowd.send(loop.time())
    await crowd.finish()
    return crowd.ended


class _Crowd:
    """The connections, and what became of what they sent."""

    def __init__(
        self,
        url: str,
        request: bytes,
        goes_on: Callable[[], bool] = lambda: False,
        counted_from: float = 0.0,
    ) -> None:
        parts = urlsplit(url)
        self.address = parts.hostname or "", parts.port or 80
        self.request = request
        self.ended = Offered()
        self.loop = asyncio.get_running_loop()
        self.under_way = 0
        self._goes_on = goes_on
        self._counted_from = counted_from
        self._free: list[_Line] = []
        self._connections = 0
        self._heard = 0.0
        self._opening: set[asyncio.Task[None]] = set()

    def send(self, due: float) -> None:
        """One more request, which was due then."""
        is_counted = due >= self._counted_from
        self.ended.offered += is_counted
        if self._free:
            self.under_way += 1
            self._free.pop().ask(due)
        elif self._connections < MOST_CONNECTIONS:
            self.under_way += 1
            self._connections += 1
            task = self.loop.create_task(self._open(due))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self.ended.unsent += is_counted

    def answered(self, line: _Line, status: int, *, is_last: bool) -> None:
        """Count it; the line is free, unless that was its last answer; whoever goes on asks."""
        self._heard = now = self.loop.time()
        if line.due >= self._counted_from:
            self.ended.note(status, now - line.due)
        self.under_way -= 1
        if is_last:
            line.close()
        else:
            self._free.append(line)
        if self._goes_on():
            self.send(now)

    def lost(self, line: _Line, *, was_asked: bool) -> None:
        """A connection has ended."""
        self._connections -= 1
        if was_asked:
            self.ended.note(LOST, self.loop.time() - line.due)
            self.under_way -= 1
        elif line in self._free:
            self._free.remove(line)

    def _is_heard(self) -> bool:
        return self.loop.time() < self._heard + _PATIENCE

    async def finish(self) -> None:
        """Wait for what is under way, and close all."""
        self._heard = self.loop.time()
        while self.under_way and self._is_heard():  # noqa: ASYNC110 - for one or the other
            await asyncio.sleep(0.01)
        for line in list(self._free):
            line.close()

    async def _open(self, due: float) -> None:
        line = _Line(self)
        line.due = due
        try:
            await self.loop.create_connection(lambda: line, *self.address)
        except OSError:
            self.lost(line, was_asked=True)
        else:
            line.ask(due)


class _Line(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, crowd: _Crowd) -> None:
        self.due = 0.0
        self._crowd = crowd
        self._is_asked = False
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's own are of none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, due: float) -> None:
        self.due = due
        self._is_asked = True
        self._answer = b""
        self._transport.write(self._crowd.request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if _is_whole(self._answer):
            self._is_asked = False
            is_last = b"\r\nconnection: close" in self._answer.partition(b"\r\n\r\n")[0].lower()
            self._crowd.answered(self, int(self._answer[9:12]), is_last=is_last)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        was_asked, self._is_asked = self._is_asked, False
        self._crowd.lost(self, was_asked=was_asked)


def _is_whole(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    _, found, length = head.lower().partition(b"\r\ncontent-length: ")
    if found:
        return len(body) >= int(length.partition(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")
