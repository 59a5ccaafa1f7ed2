"""Counting: every request once, in the second in which it ended."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from demijohn.drill.http import Answer
from demijohn.drill.outcomes import (
    TURNED_AWAY,
    Failed,
    Failure,
    Lane,
    LaneUse,
    Latency,
    Result,
    Second,
    StreamUse,
)
from demijohn.drill.ranges import Ranges

LATE = 1.0
"""Seconds after it was due from which on a request counts as sent late."""
MILLI = 1000.0


@dataclass(slots=True)
class LaneTally:
    """One keep-alive lane, as it is being used."""

    requests: int = 0
    connections: int = 0
    longest: int = 0
    seconds: Ranges = field(default_factory=Ranges)
    _on_this: int = 0

    def connects(self) -> None:
        """The next request goes over a new connection."""
        self.connections += 1
        self._on_this = 0

    def ended(self, now: float, failure: Failure | None) -> None:
        """A request ended now; an answer shows a kept connection in use only from the second on."""
        self.requests += 1
        self._on_this += 1
        self.longest = max(self.longest, self._on_this)
        if failure is None and self._on_this > 1:
            self.seconds.add(int(now))


class Tally:
    """What has happened so far in one run."""

    def __init__(self, run: str, lanes: int) -> None:
        """Take the run's name and how many keep-alive lanes there are."""
        self.run = run
        self.lanes = [LaneTally() for _ in range(lanes)]
        self.streams: list[StreamUse] = []
        self.offered = self.done = self.late = self.ballast = self.idle_closes = 0
        self._done_at_full = 0
        self._fall: tuple[float, int] | None = None
        self._acknowledged, self._unknown = Ranges(), Ranges()
        self._failures: Counter[tuple[int, Lane, Failure, str]] = Counter()
        self._statuses: Counter[str] = Counter()
        self._latencies = {lane: array("f") for lane in Lane}
        self._now = _Now()

    def due(self) -> None:
        """A request became due."""
        self.offered += 1
        self._now.offered += 1

    def sent(self, late: float) -> None:
        """A request goes out, so many seconds after it was due."""
        self.late += late > LATE
        self._now.late = max(self._now.late, late)

    def ended(
        self, lane: Lane, due: float, now: float, failure: Failure | None, fault: str = ""
    ) -> None:
        """A request that was due then ended now; `fault` as of an Answer."""
        if failure is not None:
            self.failed(lane, int(now), failure, fault)
            return
        self.done += 1
        self._done_at_full += self._fall is None or due <= self._fall[0]
        self._now.done += 1
        milliseconds = (now - due) * MILLI
        self._latencies[lane].append(milliseconds)
        self._now.latencies.append(milliseconds)

    def failed(self, lane: Lane, second: int, failure: Failure, fault: str = "") -> None:
        """A request or a stream failed."""
        self._failures[second, lane, failure, fault] += 1
        self._now.failed += 1

    def marker(self, number: int, failure: Failure | None) -> None:
        """The POST of this marker ended; one that was turned away has to have done nothing."""
        if failure not in TURNED_AWAY:
            (self._acknowledged if failure is None else self._unknown).add(number)

    def status(self, answer: Answer) -> None:
        """The status of an answer that failed."""
        self._statuses[str(answer.status)] += answer.status > 0

    def fell(self, seconds: float) -> None:
        """The load falls to its lowest now, so many seconds after its start."""
        self._fall = self._fall or (seconds, self.offered)

    def second(self, at: int, rate: float) -> Second:
        """The second that is over; the next one begins."""
        now, self._now = self._now, _Now()
        now.latencies.sort()
        return Second(
            at=at,
            rate=round(rate, 1),
            offered=now.offered,
            done=now.done,
            failed=now.failed,
            p50=quantile(now.latencies, 0.50),
            p99=quantile(now.latencies, 0.99),
            late=round(now.late * MILLI, 1),
        )

    def result(self, seconds: float, unsent: int, denied_from: float | None = None) -> Result:
        """The whole run, which took so many seconds and left so many requests unsent.

        `denied_from` is when the key was taken no more, if that came.
        """
        full_load, offered_at_full = self._fall or (seconds, self.offered)
        return Result(
            run=self.run,
            seconds=seconds,
            full_load=full_load,
            offered=self.offered,
            offered_at_full=offered_at_full,
            done=self.done,
            done_at_full=self._done_at_full,
            late=self.late,
            unsent=unsent,
            failures=[
                Failed(second=second, lane=lane, kind=kind, count=count, fault=fault)
                for (second, lane, kind, fault), count in sorted(self._failures.items())
            ],
            statuses={status: count for status, count in self._statuses.items() if count},
            acknowledged=self._acknowledged.pairs(),
            unknown=self._unknown.pairs(),
            lanes=[
                LaneUse(
                    requests=lane.requests,
                    connections=lane.connections,
                    longest=lane.longest,
                    seconds=lane.seconds.pairs(),
                )
                for lane in self.lanes
            ],
            streams=self.streams,
            ballast=self.ballast,
            latency={lane: _latency(each) for lane, each in self._latencies.items() if each},
            idle_closes=self.idle_closes,
            denied_from=denied_from,
        )


@dataclass(slots=True)
class _Now:
    """The second that runs."""

    offered: int = 0
    done: int = 0
    failed: int = 0
    late: float = 0.0
    latencies: list[float] = field(default_factory=list)


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` of the ordered values do not exceed; None where there are none."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def _latency(values: array[float]) -> Latency:
    ordered = sorted(values)
    return Latency(
        count=len(ordered),
        p50=quantile(ordered, 0.50) or 0.0,
        p99=quantile(ordered, 0.99) or 0.0,
        longest=round(ordered[-1], 2),
    )
