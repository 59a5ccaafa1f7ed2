"""A fixed number of threads that take calls from a bounded queue, for the event loop.

One hop each way: the loop queues a call, a thread runs it, and its result goes back to the
loop. A call that waited too long is never run.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from demijohn.errors import Overloaded
from demijohn.front.shedding import Pressure, Wait, Waits

Result = TypeVar("Result")


class _Call:
    """A call, the future that waits for it, and a claim that a thread or a timer gets first."""

    __slots__ = ("_claim", "_wait", "future", "work")

    def __init__(
        self, work: Callable[[], Any] | None, future: asyncio.Future[Any], wait: Wait
    ) -> None:
        self.work = work
        self.future = future
        self._wait = wait
        self._claim = threading.Lock()

    def claim(self) -> bool:
        self._wait.is_over = True  # whoever is first
        return self._claim.acquire(blocking=False)


class Threads:
    """The threads of one worker. All methods are called on the event loop."""

    def __init__(
        self,
        count: int,
        max_waiting: int,
        loop: asyncio.AbstractEventLoop,
        pressure: Pressure | None = None,
    ) -> None:
        """Start `count` threads; at most `max_waiting` calls wait for one.

        Under `pressure` three for each thread.
        """
        self._loop = loop
        self._pressure = pressure or Pressure(0)
        self._waits = Waits()
        self._enough = 4 * count
        self._most = count + max_waiting
        self._under_way = 0
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"request-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[], Result], timeout: float | None = None) -> Result:
        """Run a call in a thread and return its result, or raise what it raises.

        Raises Overloaded where too many calls wait, or where no thread was free within
        `timeout` seconds; then the call was not and will not be made. Without a timeout it goes
        on with something begun, and is not refused. A call that has begun is always awaited to
        its end: only the call itself can tell what it did.
        """
        if timeout is not None and self._has_too_many():
            raise Overloaded("Too many requests are waiting.")
        call = _Call(work, self._loop.create_future(), self._waits.begin())
        timer = self._loop.call_later(timeout, _expire, call) if timeout is not None else None
        self._under_way += 1
        self._calls.put(call)
        try:
            result: Result = await call.future
        finally:
            self._under_way -= 1
            if timer is not None:
                timer.cancel()
            # What is raised here refers to this frame, and the future in it to what is raised: all
            # that the failure has met on its way would wait for the garbage collector.
            del call
        return result

    def longest_wait(self) -> float:
        """Seconds that the call has waited for a thread which has waited longest."""
        return self._waits.longest()

    def _has_too_many(self) -> bool:
        under_way = self._under_way
        return under_way >= self._most or self._pressure.refuses(under_way, self._enough)

    def close(self, seconds: float) -> bool:
        """End the threads; true if all have ended within `seconds`."""
        for _ in self._threads:
            self._calls.put(None)
        return joined(self._threads, seconds)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            if not call.claim() or call.work is None:
                continue
            result, error = None, None
            try:
                result = call.work()
            except BaseException as caught:  # noqa: BLE001 — it is raised where it is awaited
                error = caught
            try:
                self._loop.call_soon_threadsafe(_settle, call.future, result, error)
            except RuntimeError:
                return  # the loop has closed: the process is ending
            del call, result, error  # or the last answer stays in memory until the next call


def joined(threads: Sequence[threading.Thread], seconds: float) -> bool:
    """Whether all these threads, told to end, have done so within `seconds`."""
    for thread in threads:
        thread.join(seconds / len(threads))
    return not any(thread.is_alive() for thread in threads)


def _expire(call: _Call) -> None:
    if not call.claim():
        return
    call.work = None  # the queue may hold the call for long yet, but not what hangs on it
    if not call.future.done():
        call.future.set_exception(Overloaded("No thread was free in time."))


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return  # its request was cancelled at the end of the drain
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
