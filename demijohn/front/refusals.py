"""What is refused before the shell has seen it: counted, told why, logged now and then.

These answers come in floods, so all of each but its ids and its date is made beforehand.
"""

from __future__ import annotations

import time
from collections import Counter
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

import structlog

from demijohn.edge.context import Context
from demijohn.edge.entrance import NO_ROUTE, Entrance, Later
from demijohn.edge.reply import Reply, problem_reply
from demijohn.errors import Overloaded
from demijohn.front.bounds import BUSY, LONG_HEAD, NOT_HTTP
from demijohn.front.heads import Headers
from demijohn.telemetry import trace
from demijohn.telemetry.metrics import Answered, Metrics

QUIET = 10.0
"""Seconds between two lines of the log: refusals come in floods."""
_CLOSED = ("Connection", "close")
_PLAIN = (("Content-Type", "text/plain; charset=utf-8"),)
_AT_ONCE = 0.0
"""Seconds that a shed request takes: some millionths."""
_ID = "%(id)s"
_MARKED = Context(
    "GET", "", None, trace.Trace(_ID, "%(trace)s", "%(span)s", None, "%(flags)s"), 0.0
)


class Refusals:
    """One worker's refusals."""

    def __init__(self, entrance: Entrance, metrics: Metrics, later: Later) -> None:
        """Take what every answer carries, where to count, and what has a turn end with a call."""
        self._metrics = metrics
        self._later = later
        busy = problem_reply(Overloaded("Too many connections are open."), _MARKED)
        self._refused = {
            BUSY: _Prepared(entrance, busy, _CLOSED),
            NOT_HTTP: _Prepared(entrance, Reply(400, _PLAIN, b"Not HTTP."), _CLOSED),
            LONG_HEAD: _Prepared(entrance, Reply(431, _PLAIN, b"The head is too large."), _CLOSED),
        }
        overload = Overloaded("More is asked of this process than it can do in time.")
        self._overloaded = _Prepared(entrance, problem_reply(overload, _MARKED))
        self._shed: Counter[bytes] = Counter()
        self._refusals_told = _NowAndThen("connections refused")
        self._shed_told = _NowAndThen("requests shed")

    def refuse(self, reason: str) -> bytes:
        """Count a connection that is refused; the whole HTTP response for it.

        There is no request that could say an id of its own, or be counted as one.
        """
        self._metrics.refused.labels(reason).inc()
        answer = self._refused[reason]
        if answer.problem is not None:
            self._metrics.problems.labels(answer.problem).inc()
        ids = trace.begin(None, None)
        self._refusals_told.note(reason=reason, request_id=ids.request_id)
        return answer.to(ids)

    def shed(self, method: bytes, headers: Headers) -> bytes:
        """Count a request that is shed; the whole HTTP response for it, its connection goes on.

        It has the ids that any answer to these headers has. Only the log says nothing of most.
        """
        if not self._shed:
            self._later(self._count)
        self._shed[method] += 1
        given = dict(headers)
        id_, parent = given.get(b"x-request-id"), given.get(b"traceparent")
        ids = trace.begin(
            None if id_ is None else id_.decode("latin-1"),
            None if parent is None else parent.decode("latin-1"),
        )
        self._shed_told.note(request_id=ids.request_id)
        return self._overloaded.to(ids)

    def _count(self) -> None:
        """Count those that were shed in this turn as all answers are."""
        shed, self._shed = self._shed, Counter()
        self._metrics.answered(
            Answered(NO_ROUTE, method.decode("latin-1"), Overloaded.status, _AT_ONCE)
            for method in shed.elements()
        )
        self._metrics.problems.labels(Overloaded.code).inc(shed.total())


class _Prepared:
    """An answer, whole but for its ids and its date."""

    def __init__(self, entrance: Entrance, reply: Reply, *more: tuple[str, str]) -> None:
        """Take the answer to a marked request, and headers that it has beside the common ones."""
        self.problem = reply.problem
        body = reply.body.decode()
        self._marks = body.count(_ID)
        self._size = len(body) - self._marks * len(_ID)
        headers = [*reply.headers, *entrance.headers(_MARKED), *more]
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        lines += ["Date: %(date)s"]
        lines += [f"{name}: {value}" for name, value in headers]
        self._text = "\r\n".join([*lines, "Content-Length: %(size)d", "", body])

    def to(self, ids: trace.Trace) -> bytes:
        """The answer to a request with these ids."""
        values = {
            "date": _date(int(time.time())),
            "id": ids.request_id,
            "trace": ids.trace_id,
            "span": ids.span_id,
            "flags": ids.flags,
            "size": self._size + self._marks * len(ids.request_id),
        }
        return (self._text % values).encode()


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """As HTTP spells it (RFC 9110, 5.6.7)."""
    return formatdate(second, usegmt=True)


class _NowAndThen:
    """A line of the log for all that happens in `QUIET` seconds, of which it shows one."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._since = 0
        self._quiet_until = 0.0

    def note(self, **fields: str) -> None:
        """Once more."""
        self._since += 1
        now = time.monotonic()
        if now >= self._quiet_until:
            structlog.get_logger().warning(self._event, count=self._since, **fields)
            self._since, self._quiet_until = 0, now + QUIET
