"""Streams that are open when a pod is told to end: `GET /data`, read slowly for a while.

So that most of a stream is still in the service while it is read slowly, and not in the buffers
of sockets on the way, the collection is given ballast first, and the client's receive buffer is
small.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus

from demijohn.drill.http import NO_STATUS, Answer, Connection, Target
from demijohn.drill.outcomes import MARKER, Failure, StreamUse
from demijohn.drill.ranges import Ranges

BALLAST = 64
BALLAST_SIZE = 128 * 1024
"""Documents and bytes of each: 8 MiB, twice what a socket's send buffer grows to on Linux."""
SLOW = 8.0
"""Seconds for which a stream is read slowly."""
SLOW_RATE = 128 * 1024
"""Bytes a second meanwhile."""
RECEIVE_BUFFER = 32 * 1024
AT_ONCE = 8
"""Streams open at one time, begun one after another: so many that it is unlikely that none of them
is on a pod that is told to end."""
_PAUSE_AFTER_FAILURE = 1.0
_LONGEST_MARK = 64


def ballast(run: str, number: int) -> bytes:
    """One document of the ballast, as JSON; the stream is searched for its mark."""
    padding = "x" * BALLAST_SIZE
    return (
        f'{{"{MARKER}":"{run}","ballast":"{_mark(run)}{number};","padding":"{padding}"}}'
    ).encode()


class Check:
    """Whether a body is a whole JSON array with all the ballast of a run in it."""

    def __init__(self, run: str) -> None:
        """Take the run whose ballast is looked for."""
        self.size = 0
        self._pattern = re.compile(re.escape(_mark(run)).encode() + rb"(\d+);")
        self._seen = Ranges()
        self._first = self._tail = b""

    def feed(self, body: bytes) -> None:
        """Take a part of the body."""
        self.size += len(body)
        self._first = self._first or body[:1]
        text = self._tail + body
        for match in self._pattern.finditer(text):
            self._seen.add(int(match[1]))
        self._tail = text[-_LONGEST_MARK:]

    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        is_array = self._first == b"[" and self._tail.rstrip().endswith(b"]")
        return is_array and self._seen.pairs() == [(0, BALLAST - 1)]


class Streams:
    """Keeps streams open until it is told to finish."""

    def __init__(self, target: Target, run: str, clock: Callable[[], float]) -> None:
        """Take the service, the run, and a clock that shows seconds since the run's start."""
        self._target = target
        self._run = run
        self._clock = clock
        self._is_finishing = asyncio.Event()

    def finish(self) -> None:
        """Begin no more, and read the open ones to their ends quickly."""
        self._is_finishing.set()

    async def keep_open(self, delay: float, report: Callable[[StreamUse], None]) -> None:
        """After the delay, one stream after another; each is reported at its end."""
        await self._wait(delay)
        while not self._is_finishing.is_set():
            if await self._one(report) is not None:
                await self._wait(_PAUSE_AFTER_FAILURE)

    async def _one(self, report: Callable[[StreamUse], None]) -> Failure | None:
        began = self._clock()
        fast = began + SLOW
        check = Check(self._run)

        def pause(size: int) -> float:
            # A stream that is hurried on was read slowly until then.
            nonlocal fast
            if self._is_finishing.is_set():
                fast = min(fast, self._clock())
            return size / SLOW_RATE if self._clock() < fast else 0

        answer = Answer(NO_STATUS, Failure.TIMED_OUT)
        try:
            answer = await self._read(check, pause)
        finally:
            # Also where it is cancelled: a stream that was begun is counted, whatever happens.
            ended, size = self._clock(), check.size
            fast = min(fast, ended)
            report(
                StreamUse(
                    began=began,
                    fast=fast,
                    ended=ended,
                    bytes=size,
                    failure=answer.failure,
                    fault=answer.fault,
                )
            )
        return answer.failure

    async def _read(self, check: Check, pause: Callable[[int], float]) -> Answer:
        """How one stream ended; what is not what was asked for has failed."""
        connection = Connection(check.feed, pause)
        if (without := await connection.open(self._target, RECEIVE_BUFFER)) is not None:
            return without
        request = self._target.request("GET", "/data", close=True)
        try:
            answer = await connection.exchange(request)
        finally:
            connection.close()
        failure = answer.expecting(HTTPStatus.OK)
        return Answer(answer.status, failure if failure or check.is_whole() else Failure.SHORT)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._is_finishing.wait()
        except TimeoutError:
            return


def _mark(run: str) -> str:
    return f"{run}:"
