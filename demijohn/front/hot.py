"""Calls that are carried out together (`store.together`), awaited on the event loop.

Who awaits one holds no thread. Leaders have a few threads of their own, so that they wait for no
thread of the application's. All that one command has settled comes back to the loop in one hop.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import structlog

from demijohn.front.exchange import ClientGone
from demijohn.front.protocol import Connection
from demijohn.front.shedding import Pressure, Waits
from demijohn.front.threads import joined
from demijohn.store.together import Lead, Ticket, Waiter, overloaded

Outcome = TypeVar("Outcome")
ENOUGH = 512
"""Calls under way that keep the database at work: what it is asked at one time, and the next."""
Submit = Callable[[Waiter[Outcome]], Ticket[Any, Outcome]]


class Leaders:
    """A few threads that lead: as many calls are carried out at one time."""

    def __init__(self, count: int) -> None:
        """Start them."""
        self._leads: queue.SimpleQueue[Lead | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"leader-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def post(self, lead: Lead) -> None:
        """Have one of them lead. Called from any thread."""
        self._leads.put(lead)

    def close(self, seconds: float) -> bool:
        """End the threads; true if all have ended within `seconds`."""
        for _ in self._threads:
            self._leads.put(None)
        return joined(self._threads, seconds)

    def _serve(self) -> None:
        while (lead := self._leads.get()) is not None:
            try:
                lead()
            except Exception:  # noqa: BLE001 - a defect; without this thread others wait for ever
                structlog.get_logger().exception("a leader failed")
            del lead  # or what it had stays in memory until the next one


class Hot:
    """The loop's side of such calls, one for each worker."""

    def __init__(self, leaders: Leaders, patience: float, pressure: Pressure | None = None) -> None:
        """Take the threads that lead, and the seconds that a call waits for its turn.

        Under `pressure` no more than ENOUGH are under way.
        """
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._leaders = leaders
        self._patience = patience
        self._pressure = pressure or Pressure(0)
        self._waits = Waits()
        self._deadlines = _Deadlines(self._loop)
        self._under_way = 0
        self._settled: deque[tuple[asyncio.Future[Any], Any]] = deque()
        self._is_due = False

    async def outcome(self, submit: Submit[Outcome], connection: Connection) -> Outcome:
        """What becomes of the call that `submit` queues for a waiter.

        It is taken back where the request is cancelled, or its client leaves, before its turn has
        come. Raises what speaks against it, Overloaded where its turn does not come in time,
        ClientGone.
        """
        if self._pressure.refuses(self._under_way, ENOUGH):
            raise overloaded()
        future: asyncio.Future[Outcome] = self._loop.create_future()
        waiting = _Waiting(self, future)
        waiting.ticket = submit(waiting)
        connection.when_lost = waiting.leave
        wait = self._waits.begin()
        self._deadlines.add(wait.began + self._patience, waiting)
        self._under_way += 1
        try:
            return await future
        except asyncio.CancelledError:
            waiting.ticket.withdraw(leading=True)
            raise
        finally:
            wait.is_over = True
            self._under_way -= 1
            connection.when_lost = None
            waiting.end()
            del future  # see `Threads.run`

    def longest_wait(self) -> float:
        """Seconds that the longest has waited, where there are more than are asked at one time."""
        return self._waits.longest() if self._under_way > ENOUGH else 0.0

    def bring(self, future: asyncio.Future[Outcome], outcome: Outcome | BaseException) -> None:
        """Settle a future of the loop's. Called from any thread."""
        self._settled.append((future, outcome))
        if not self._is_due:
            self._is_due = True
            try:
                self._loop.call_soon_threadsafe(self._settle)
            except RuntimeError:
                return  # the loop has closed: the process is ending

    def post(self, work: Callable[[], None]) -> None:
        """Have a thread of the leaders' do something quick. It raises nothing."""
        self._leaders.post(work)

    def lead(self, lead: Lead) -> None:
        """Have a thread lead. Called from any thread."""
        if threading.get_ident() == self._loop_thread:
            # Not before all that has come at this moment is queued: it rides along.
            self._loop.call_soon(self._leaders.post, lead)
        else:
            self._leaders.post(lead)

    def _settle(self) -> None:
        self._is_due = False  # before it looks: what comes from now on calls again
        while self._settled:
            future, outcome = self._settled.popleft()
            if future.done():
                continue  # its request was cancelled at the end of the drain
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


class _Waiting(Generic[Outcome]):
    """What waits on the loop (`store.together.Waiter`)."""

    __slots__ = ("_future", "_hot", "ticket")

    def __init__(self, hot: Hot, future: asyncio.Future[Outcome]) -> None:
        self._hot = hot
        self._future: asyncio.Future[Outcome] | None = future
        self.ticket: Ticket[Any, Outcome] | None = None

    @property
    def is_over(self) -> bool:
        return self._future is None

    def settle(self, outcome: Outcome | BaseException) -> None:
        future = self._future
        if future is not None:
            self._hot.bring(future, outcome)

    def lead(self, lead: Lead) -> None:
        self._hot.lead(lead)

    def leave(self) -> None:
        """The client has left."""
        self.give_up(ClientGone)

    def give_up(self, why: Callable[[], BaseException]) -> None:
        """Wait no longer, unless its turn has come."""
        future, ticket = self._future, self.ticket
        if future is None or ticket is None or future.done():
            return
        if ticket.withdraw(leading=True):
            future.set_exception(why())

    def end(self) -> None:
        """Let go of what it holds: in the queue of deadlines it may stay a while."""
        self._future = self.ticket = None


class _Deadlines:
    """Until when each waits for its turn, the oldest first, by one timer for all of them.

    All have the same patience; and a timer for each costs as much as a tenth of a small request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[tuple[float, _Waiting[Any]]] = deque()
        self._is_timed = False

    def add(self, deadline: float, waiting: _Waiting[Any]) -> None:
        """Have it give up at that time of the monotonic clock; never before one added earlier."""
        while self._queue and self._queue[0][1].is_over:
            self._queue.popleft()
        self._queue.append((deadline, waiting))
        if not self._is_timed:
            self._time()

    def _time(self) -> None:
        self._is_timed = bool(self._queue)
        if self._queue:
            self._loop.call_later(max(self._queue[0][0] - time.monotonic(), 0), self._look)

    def _look(self) -> None:
        now = time.monotonic()
        while self._queue and (self._queue[0][0] <= now or self._queue[0][1].is_over):
            self._queue.popleft()[1].give_up(overloaded)
        self._time()
