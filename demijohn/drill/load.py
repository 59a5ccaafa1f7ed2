"""The load: requests at their times, over lanes that are kept alive and over one-shot clients.

One asyncio process. Requests become due by the clock and wait in a queue while every lane is
busy; their latency counts from when they were due, so that a slow service cannot slow its own
test down unseen. Even numbers are `POST /data` of a marker, odd ones `GET /`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from demijohn.drill import access
from demijohn.drill.errors import DrillError
from demijohn.drill.http import TIMEOUT, Answer, Connection
from demijohn.drill.outcomes import MARKER, Burst, Failure, Lane, Line, StreamUse
from demijohn.drill.pace import Pace
from demijohn.drill.streams import AT_ONCE, BALLAST, SLOW, Streams, ballast
from demijohn.drill.tally import LaneTally, Tally

LANES = 16
ONE_SHOT_CLIENTS = 16
ONE_SHOT_EVERY = 5
"""Every fifth request is a one-shot client's: odd, so that it is a POST as often as a GET."""
GUIDE_REQUESTS, GUIDE_CLIENTS = 1000, 10
"""The guide's `hey -n 1000 -c 10`."""
_SHORTEST_SLEEP = 0.002
_BACKLOG_AT_END = 2.0
"""Seconds in which requests that were due before the end are still sent."""
_PATIENCE_AT_END = 40.0
"""Seconds that requests and streams under way then get; each has deadlines of its own."""

_NO_FAULT = (None, Failure.LIMITED, Failure.EXHAUSTED)
"""Ends of a request of the burst that the service does not answer for."""

Report = Callable[[Line], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do."""

    url: str
    run: str
    rate: float
    """Requests a second."""
    highest: float
    """The most that steps up may reach."""
    lowest: float
    """What `fall` goes to."""
    has_streams: bool = False
    has_burst: bool = False
    """Whether to begin with the guide's own burst."""
    seconds: float | None = None
    """When to end by itself."""
    timeout: float = TIMEOUT
    """Seconds without a byte after which a request has failed."""
    key: str | None = field(default=None, repr=False)
    """What every request shows, where the service asks for keys."""
    asks_first: bool = True
    """Whether to find out first that the service takes documents at all."""


@dataclass(frozen=True, slots=True)
class _Request:
    number: int
    due: float


Queue = asyncio.Queue[_Request | None]


class Load:
    """One run of a plan; `report` gets a line a second and a last one with the result."""

    def __init__(self, plan: Plan, report: Report) -> None:
        """Prepare; inside a running loop."""
        self._plan = plan
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._tally = Tally(plan.run, LANES)
        self._pace = Pace(plan.rate, plan.highest, plan.lowest)
        self._admission = access.Admission()
        self._is_stopped = asyncio.Event()
        self._is_falling = False
        self._lanes: Queue = asyncio.Queue()
        self._one_shots: Queue = asyncio.Queue()
        self._lateness = 0.0
        self._start = 0.0

    def step_up(self) -> None:
        """Raise the rate by a step."""
        self._pace.step_up(self._lateness)

    def fall(self) -> None:
        """Go down to the lowest rate, and stay there."""
        self._is_falling = True

    def stop(self) -> None:
        """Begin no more requests, finish those under way, report the result."""
        self._is_stopped.set()

    async def run(self) -> None:
        """Do all of it. Raises DrillError where the service can't be loaded at all."""
        self._target = await access.resolved(self._plan.url, self._plan.key)
        if self._plan.asks_first:
            await access.check(self._target, self._plan.url, self._plan.run)
        if self._plan.has_streams:
            await self._insert_ballast()
        if self._plan.has_burst:
            self._report(Line(burst=await self._burst()))
        await self._run_load()

    async def _run_load(self) -> None:
        self._start = time.monotonic()
        streams = Streams(self._target, self._plan.run, self._clock)
        work = [self._use_lane(lane) for lane in self._tally.lanes]
        work += [self._use_one_shots() for _ in range(ONE_SHOT_CLIENTS)]
        if self._plan.has_streams:
            offsets = [each * SLOW / AT_ONCE for each in range(AT_ONCE)]
            work += [streams.keep_open(offset, self._note_stream) for offset in offsets]
        tasks = [self._loop.create_task(each) for each in work]
        ticking = self._loop.create_task(self._tick())
        seconds = await self._offer()
        streams.finish()
        unsent = await self._finish(tasks)
        ticking.cancel()
        self._report(Line(second=self._tally.second(int(self._clock()), self._pace.rate)))
        self._report(Line(result=self._tally.result(seconds, unsent, self._admission.ended)))

    def _clock(self) -> float:
        # Not the loop's clock: uvloop's counts whole milliseconds.
        return time.monotonic() - self._start

    # What is due

    async def _offer(self) -> float:
        """Queue each request when it is due, until the end; the second at which that was.

        Also where this process comes to that late, or to a fall: what was due by then is offered.
        """
        number, due, now = 0, 0.0, 0.0
        end = math.inf if self._plan.seconds is None else self._plan.seconds
        while now < end:
            is_last = self._is_stopped.is_set()
            now = min(self._clock(), end)
            *moments, due = self._pace.due(due, now)
            for moment in moments:
                self._queue_for(number).put_nowait(_Request(number, moment))
                self._tally.due()
                number += 1
            if self._is_falling and not self._pace.is_low:
                self._tally.fell(now)
                self._pace.fall()
            if is_last:
                break
            await asyncio.sleep(max(min(due, end) - self._clock(), _SHORTEST_SLEEP))
        return now

    def _queue_for(self, number: int) -> Queue:
        return self._one_shots if number % ONE_SHOT_EVERY == 0 else self._lanes

    async def _tick(self) -> None:
        """Once a second, say how it goes, and ask for less where the rate can't be held.

        A load whose key is taken no more tests nothing, and ends.
        """
        at = 0
        while True:
            await asyncio.sleep(max(at + 1 - self._clock(), 0))
            second = self._tally.second(at, self._pace.rate)
            self._lateness = second.late / 1000
            self._pace.relieve(self._lateness)
            self._report(Line(second=second))
            if self._admission.is_over:
                self.stop()
            at = max(at + 1, int(self._clock()))

    async def _finish(self, tasks: list[asyncio.Task[None]]) -> int:
        """Let what is under way end; how many requests were never sent.

        What is still queued after a moment is a backlog, and is given up unsent.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_BACKLOG_AT_END):
                await self._lanes.join()
                await self._one_shots.join()
        unsent = _emptied(self._lanes) + _emptied(self._one_shots)
        for queue, users in ((self._lanes, LANES), (self._one_shots, ONE_SHOT_CLIENTS)):
            for _ in range(users):
                queue.put_nowait(None)
        _, pending = await asyncio.wait(tasks, timeout=_PATIENCE_AT_END)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()  # a defect of the generator is never passed over
        return unsent

    # Requests

    async def _use_lane(self, lane: LaneTally) -> None:
        """One keep-alive client: a connection for as long as the service leaves it open."""
        connection: Connection | None = None
        while (request := await self._lanes.get()) is not None:
            if connection is not None and not connection.can_send:
                self._tally.idle_closes += connection.closed_idle
                connection = None
            if connection is None:
                lane.connects()
            connection, failure = await self._do(Lane.KEEP_ALIVE, request, connection)
            lane.ended(self._clock(), failure)
            self._lanes.task_done()
        if connection is not None:
            connection.close()

    async def _use_one_shots(self) -> None:
        """A client that makes a connection for each request."""
        while (request := await self._one_shots.get()) is not None:
            connection, _ = await self._do(Lane.ONE_SHOT, request, None)
            connection.close()
            self._one_shots.task_done()

    async def _do(
        self, lane: Lane, request: _Request, connection: Connection | None
    ) -> tuple[Connection, Failure | None]:
        """Send one request, once, and count how it ended."""
        self._tally.sent(self._clock() - request.due)
        data, status = self._spell(request.number, close=lane is Lane.ONE_SHOT)
        failure: Failure | None = Failure.TIMED_OUT
        fault = ""
        try:
            connection, answer = await self._send(data, connection)
            failure, fault = answer.expecting(status), answer.fault
            if failure is not None:
                self._tally.status(answer)
        finally:
            # Also where it is cancelled: a request that was sent is counted, whatever happens.
            ended = self._clock()
            self._tally.ended(lane, request.due, ended, failure, fault)
            self._note_admission(ended, failure)
            if request.number % 2 == 0:
                self._tally.marker(request.number // 2, failure)
        return connection, failure

    async def _send(
        self, request: bytes, connection: Connection | None
    ) -> tuple[Connection, Answer]:
        """One request, on the connection if it can take one, else on a new one; never twice."""
        if connection is None or not connection.can_send:
            connection = Connection(timeout=self._plan.timeout)
            if (without := await connection.open(self._target)) is not None:
                return connection, without
        return connection, await connection.exchange(request)

    def _spell(self, number: int, *, close: bool) -> tuple[bytes, HTTPStatus]:
        if number % 2:
            return self._target.request("GET", "/", close=close), HTTPStatus.OK
        marker = f'{{"{MARKER}":"{self._plan.run}","n":{number // 2}}}'.encode()
        return self._target.request("POST", "/data", marker, close=close), HTTPStatus.CREATED

    def _note_stream(self, use: StreamUse) -> None:
        self._tally.streams.append(use)
        if use.failure is not None:
            self._tally.failed(Lane.STREAM, int(use.ended), use.failure, use.fault)
            self._note_admission(use.ended, use.failure)

    def _note_admission(self, ended: float, failure: Failure | None) -> None:
        if self._plan.key is not None:
            self._admission.note(ended, failure)

    # Before the load

    async def _insert_ballast(self) -> None:
        connection: Connection | None = None
        for number in range(BALLAST):
            body = ballast(self._plan.run, number)
            data = self._target.request("POST", "/data", body)
            connection, answer = await self._send(data, connection)
            failure = answer.expecting(HTTPStatus.CREATED)
            if failure is not None:
                seen = f"status {answer.status}" if answer.status else failure.value
                raise DrillError(f"{self._plan.url}/data takes no documents: {seen}.")
            self._tally.ballast += 1
        if connection is not None:
            connection.close()

    async def _burst(self) -> Burst:
        """The guide's own load test: so many requests as fast as so many clients can."""
        left = iter(range(GUIDE_REQUESTS))
        failed = 0

        async def client() -> None:
            nonlocal failed
            connection: Connection | None = None
            for _ in left:
                data = self._target.request("GET", "/")
                connection, answer = await self._send(data, connection)
                failed += answer.expecting(HTTPStatus.OK) not in _NO_FAULT
            if connection is not None:
                connection.close()

        began = time.monotonic()
        await _all([client() for _ in range(GUIDE_CLIENTS)])
        return Burst(
            requests=GUIDE_REQUESTS,
            clients=GUIDE_CLIENTS,
            seconds=round(time.monotonic() - began, 3),
            failed=failed,
        )


async def _all(work: list[Coroutine[object, object, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)


def _emptied(queue: Queue) -> int:
    left = 0
    while not queue.empty():
        left += queue.get_nowait() is not None
    return left
