"""Load shedding: 503 for new requests while those before them have waited too long for too long.

A queue that soon ends is what queues are for: a burst, a slow flush of the database's disk, a
machine that does something else for a moment. One that stands makes everybody wait for its whole
length, and serves nobody more. So waits are looked at all the time, as CoDel does (RFC 8289): only
where none was short for as long as `shed_after`, as many requests are let in as keep the work going
and no more, until nobody has had to be refused for as long.

Three things are waited for: the event loop, a thread, and the database, on the express path. Each
is judged by itself.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable

from demijohn.telemetry.metrics import Metrics

TICK = 0.02
"""Seconds between two looks; how much later the event loop comes to one is the wait for it."""
MOST_BEGUN, SHED_FOR_ONE = 64, 4
"""Requests that the event loop begins in one turn, where turns are long; and one more for so many
that were refused in the last, or refusals would be all that it has time for."""
_LONG, _LATE = 0.2, 0.05
"""The parts of `shed_after` that are a long wait: for one's turn, and in each turn of the loop."""


class Pressure:
    """How one kind of wait goes. Times in seconds, of one monotonic clock."""

    def __init__(
        self,
        after: float,
        long: float = _LONG,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take for how long waits have to be long, 0 for never, and which part of it is long."""
        self._after = after or math.inf
        self._long = self._after * long
        self._clock = clock
        self._long_since: float | None = None
        self._refused_at = 0.0
        self.is_lasting = False
        """Whether no more are let in than keep the work going."""
        self.shed = 0
        """Requests refused so far."""

    def note(self, waited: float) -> None:
        """Look at the longest wait of this moment, every TICK."""
        now = self._clock()
        if self.is_lasting:
            self.is_lasting = now - self._refused_at < self._after
            self._long_since = None
        elif waited <= self._long:
            self._long_since = None
        elif self._long_since is None:
            self._long_since = now
        elif now - self._long_since >= self._after:
            self.is_lasting = True
            self._refused_at = now

    def refuses(self, waiting: int, most: int) -> bool:
        """Whether to refuse one more; `most` that wait are enough to keep the work going."""
        if not self.is_lasting or waiting < most:
            return False
        self._refused_at = self._clock()
        self.shed += 1
        return True


class Wait:
    """One wait. It holds nothing of what waits, which may be over long before one that is older."""

    __slots__ = ("began", "is_over")

    def __init__(self) -> None:
        """Begin."""
        self.began = time.monotonic()
        self.is_over = False


class Waits:
    """Those who wait for one thing, the oldest first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._all: deque[Wait] = deque()

    def begin(self) -> Wait:
        """One more; whoever waits says when it is over, from any thread."""
        self.longest()  # or those that are over would pile up where nobody looks
        wait = Wait()
        self._all.append(wait)
        return wait

    def longest(self) -> float:
        """Seconds that the one has waited who has waited longest; 0 where nobody waits."""
        while self._all and self._all[0].is_over:
            self._all.popleft()
        return time.monotonic() - self._all[0].began if self._all else 0.0


class Lateness:
    """How late the event loop comes to what is due, lately.

    Turns under load differ: one begins requests and one ends them. So it is the mean over a
    quarter of `after`, in which a single long pause, as of a process that was stopped, counts for
    no more than half of `after`.
    """

    def __init__(self, after: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the setting, in seconds."""
        self._after = after or math.inf
        self._clock = clock
        self._looked = clock()
        self._due = math.inf
        self._mean = 0.0

    def due_in(self, seconds: float) -> None:
        """Say when the next look is due."""
        self._due = self._clock() + seconds

    def look(self) -> float:
        """Look at the clock; the mean in seconds."""
        now = self._clock()
        late = min(max(now - self._due, 0), self._after / 2)
        share = min((now - self._looked) / (self._after / 4), 1)
        self._looked = now
        self._mean += (late - self._mean) * share
        return self._mean


class Shedding:
    """One worker's."""

    def __init__(self, after: float, metrics: Metrics) -> None:
        """Take the setting, in seconds, and where to count."""
        self.loop = Pressure(after, _LATE)
        self.threads = Pressure(after)
        self.database = Pressure(after)
        self.begun = 0
        """Requests whose head is whole and whose turn on the loop has not come."""
        self._most_begun = MOST_BEGUN
        self.keeps_connections = True
        """Whether connections go on; at the drain answers say that they do not."""
        self._lateness = Lateness(after)
        self._looks: list[tuple[Pressure, Callable[[], float]]] = [(self.loop, self._lateness.look)]
        self._counters = {
            pressure: metrics.shed.labels(reason)
            for reason, pressure in (
                ("loop", self.loop),
                ("threads", self.threads),
                ("database", self.database),
            )
        }
        self._counted = dict.fromkeys(self._counters, 0)

    def watch(self, pressure: Pressure, longest: Callable[[], float]) -> None:
        """Look at this wait as well: `longest` gives it at the moment, in seconds."""
        self._looks.append((pressure, longest))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look every TICK, for as long as the loop runs."""
        self._lateness.due_in(TICK)
        loop.call_later(TICK, self._look, loop)

    def has_too_many(self) -> bool:
        """Whether a request that comes now is to be refused, for the loop has enough to do."""
        return self.loop.refuses(self.begun, self._most_begun)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        refused = self.loop.shed - self._counted[self.loop]
        self._most_begun = MOST_BEGUN + refused // SHED_FOR_ONE
        for pressure, longest in self._looks:
            pressure.note(longest())
            if (more := pressure.shed - self._counted[pressure]) > 0:
                self._counters[pressure].inc(more)
                self._counted[pressure] = pressure.shed
        self.start(loop)
