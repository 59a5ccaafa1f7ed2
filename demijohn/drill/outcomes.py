"""What a load run hands on: lines of one second each, then one line with the whole result.

The lines are JSON (NDJSON): `{"second": …}`, `{"burst": …}`, `{"result": …}`, or `{"error": …}`
where the load could not start. Times are seconds since the run began, latencies milliseconds.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from demijohn.drill.ranges import Pair

MARKER = "demijohn_drill"
"""The member by which a drill's own documents are known; its value is the run."""


class Failure(StrEnum):
    """How one request failed. There is nothing between these and the answer asked for."""

    REFUSED = "refused"
    """Nobody listened."""
    UNREACHABLE = "unreachable"
    """The connection could not be made for another reason."""
    EXHAUSTED = "exhausted"
    """This machine had no port, no file or no memory left for a connection: nothing was sent."""
    RESET = "reset"
    """The connection was reset before any byte of the answer."""
    CLOSED = "closed"
    """The connection was closed before any byte of the answer."""
    TIMED_OUT = "timed-out"
    """Nothing came for as long as the client waits."""
    SERVER_ERROR = "5xx"
    """The answer's status was 500 or above."""
    DENIED = "denied"
    """The answer was 401 or 403: without a key, or with this one, the request may not be made."""
    LIMITED = "limited"
    """The answer was 429: more requests than the service's own limits let through."""
    UNEXPECTED = "unexpected"
    """Any other answer than the one asked for, or none in HTTP."""
    SHORT = "short"
    """The connection ended in the middle of the answer, or the answer was not all there."""


def in_words(kind: Failure, fault: str) -> str:
    """How something failed: the kind, and the fault where there is one."""
    return f"{kind} ({fault})" if fault else kind.value


TURNED_AWAY = frozenset({Failure.DENIED, Failure.LIMITED})
"""Of a request that was answered so it is known that nothing was done."""


class Lane(StrEnum):
    """How a request travels."""

    KEEP_ALIVE = "keep-alive"
    ONE_SHOT = "one-shot"
    STREAM = "stream"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Second(_Model):
    """What happened in one second."""

    at: int
    rate: float
    """What the generator was told to offer, requests a second."""
    offered: int
    """Requests that became due."""
    done: int
    """Requests that ended well."""
    failed: int
    late: float
    """Most milliseconds that a request waited at the client beyond the moment it was due."""
    p50: float | None = None
    """Of the requests that ended well, from the moment each was due."""
    p99: float | None = None


class Failed(_Model):
    """Failures of one kind in one lane in one second."""

    second: int
    lane: Lane
    kind: Failure
    count: int
    fault: str = ""
    """Of what could not be reached, or not be sent: why, in the system's words."""

    @property
    def how(self) -> str:
        """The kind, and the fault where there is one."""
        return in_words(self.kind, self.fault)


class LaneUse(_Model):
    """What one keep-alive lane did."""

    requests: int
    connections: int
    longest: int
    """Most requests that one of its connections carried."""
    seconds: list[Pair]
    """Those in which a connection that was kept got a good answer, as ranges."""


class StreamUse(_Model):
    """One streamed `GET /data`: read slowly from `began` to `fast`, then as fast as it comes."""

    began: float
    fast: float
    ended: float
    bytes: int
    failure: Failure | None = None
    fault: str = ""
    """As that of other failures."""


class Latency(_Model):
    """Of the requests of one lane that ended well."""

    count: int
    p50: float
    p99: float
    longest: float


class Burst(_Model):
    """The guide's own `hey -n 1000 -c 10`."""

    requests: int
    clients: int
    seconds: float
    failed: int


class Result(_Model):
    """A whole run."""

    run: str
    seconds: float
    """From the first request to the moment the load was told to stop."""
    full_load: float
    """Of these, those before it fell to its lowest rate."""
    offered: int
    offered_at_full: int
    done: int
    done_at_full: int
    late: int
    """Requests that the generator itself sent more than a second after they were due."""
    unsent: int
    """Requests that were due and were not sent before the end."""
    failures: list[Failed]
    statuses: dict[str, int]
    """Failed answers by their status."""
    acknowledged: list[Pair]
    """Markers whose POST was answered 201."""
    unknown: list[Pair]
    """Markers whose POST failed: they may be in the database or not. Those that were turned away
    are not here: of them it is known that nothing was done."""
    lanes: list[LaneUse]
    streams: list[StreamUse]
    ballast: int
    latency: dict[Lane, Latency]
    idle_closes: int
    """Keep-alive connections that the service closed, unannounced, while no request was on them:
    no failure, but one that was only just avoided."""
    denied_from: float | None = None
    """When the run's key was taken no more, to the run's end; None where it was to the end."""

    @property
    def failed(self) -> int:
        """Failures of every kind."""
        return sum(each.count for each in self.failures)

    def charged(self) -> dict[Lane, dict[str, int]]:
        """Those that the service answers for, added up by lane and by how they failed."""
        table: dict[Lane, dict[str, int]] = {}
        for each in self.failures:
            if not self._is_excused(each):
                ways = table.setdefault(each.lane, {})
                ways[each.how] = ways.get(each.how, 0) + each.count
        return table

    def excused(self) -> int:
        """How many there are that it doesn't answer for.

        Its key or its limits turned them away, or they were never sent.
        """
        return sum(each.count for each in self.failures if self._is_excused(each))

    @property
    def limited(self) -> int:
        """Requests that were answered 429 while the key was a good one."""
        return sum(each.count for each in self.failures if self._is_limited(each))

    @property
    def exhausted(self) -> dict[str, int]:
        """Requests that the load's own machine had no means to send, by what it lacked."""
        lacked: dict[str, int] = {}
        for each in self.failures:
            if each.kind is Failure.EXHAUSTED:
                lacked[each.fault] = lacked.get(each.fault, 0) + each.count
        return lacked

    def _is_limited(self, failed: Failed) -> bool:
        since = self.denied_from
        return failed.kind is Failure.LIMITED and (since is None or failed.second < int(since))

    def _is_excused(self, failed: Failed) -> bool:
        if failed.kind in (Failure.LIMITED, Failure.EXHAUSTED):
            return True
        if self.denied_from is None:
            return False
        if failed.kind is Failure.DENIED:
            return failed.second >= int(self.denied_from)
        # What is being read when a key is revoked is cut, and perhaps shortly before the first
        # request is refused.
        is_cut = failed.lane is Lane.STREAM and failed.kind is Failure.SHORT
        return is_cut and failed.second >= int(self.denied_from) - 1


class Line(_Model):
    """One line of the output; exactly one member is set."""

    second: Second | None = None
    burst: Burst | None = None
    result: Result | None = None
    error: str | None = None
