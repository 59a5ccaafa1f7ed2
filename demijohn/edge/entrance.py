"""The common way in and out: context, guard, headers on every answer, the record of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from demijohn.auth.guard import check_local
from demijohn.edge.context import Admission, Context
from demijohn.settings import Settings
from demijohn.telemetry import trace
from demijohn.telemetry.metrics import METHODS, Metrics
from demijohn.telemetry.request_log import RequestLog

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
NO_ROUTE = "none"
"""The label of requests that met no route, so that scanners can't make new time series."""


class Outcome(NamedTuple):
    """How a request ended. ``size`` is the bytes of the answer's body that were handed over."""

    route: str
    status: int
    size: int
    problem: str | None
    cut: bool = False


Ended = tuple[Context, Outcome, float]
"""A request, how it ended, and the seconds that it took."""
Later = Callable[[Callable[[], None]], object]


class Entrance:
    """Made once by the assembly; used by the ASGI shell and by the WSGI edge."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Take the settings, for the guard, and the metrics to count in."""
        self._open = settings.auth == "open"
        self._metrics = metrics
        self._log = RequestLog(settings)
        self._later: Later | None = None
        self._ended: list[Ended] = []

    def context(self, method: str, path: str, admission: Admission) -> Context:
        """Begin a request: its identity and its clock."""
        began = time.monotonic()
        joined = trace.begin(admission.request_id, admission.traceparent)
        return Context(method, path, admission.peer, joined, began)

    def admit(self, admission: Admission) -> None:
        """Raise Forbidden where the caller is not this machine and `auth` does not open it."""
        if not self._open:
            check_local(
                admission.peer,
                admission.host,
                admission.forwarded,
                admission.x_forwarded_for,
            )

    def headers(self, context: Context) -> list[tuple[str, str]]:
        """What every answer carries."""
        return [
            ("X-Request-Id", context.trace.request_id),
            ("traceresponse", context.trace.response),
            ("X-Content-Type-Options", "nosniff"),
        ]

    def hold_records(self, later: Later) -> None:
        """From now on keep records until a call that `later` brings about, on the same thread.

        On an event loop that is once a turn, for all that have ended in it; one after the other
        they cost half of what they cost each between two requests.
        """
        self._later = later

    def record(self, context: Context, outcome: Outcome) -> None:
        """Count and log a request that has ended."""
        ended = context, outcome, time.monotonic() - context.began
        if self._later is None:
            self._tell([ended])
            return
        if not self._ended:
            self._later(self._tell_held)
        self._ended.append(ended)

    def _tell_held(self) -> None:
        ended, self._ended = self._ended, []
        self._tell(ended)

    def _tell(self, ended: list[Ended]) -> None:
        for context, outcome, seconds in ended:
            self._count(context, outcome, seconds)
        self._log.write(
            (_fields(context, outcome, seconds), context.path in PROBES)
            for context, outcome, seconds in ended
        )

    def _count(self, context: Context, outcome: Outcome, seconds: float) -> None:
        method = context.method if context.method in METHODS else "OTHER"
        self._metrics.answered(outcome.route, method, outcome.status, seconds)
        if outcome.problem:
            self._metrics.problems.labels(outcome.problem).inc()
        if outcome.cut:
            self._metrics.cut.inc()

    def defect(self, context: Context, error: BaseException) -> None:
        """Log an exception that nobody foresaw, with its traceback."""
        structlog.get_logger().error(
            "defect",
            method=context.method,
            path=context.path,
            request_id=context.trace.request_id,
            exc_info=error,
        )


def _fields(context: Context, outcome: Outcome, seconds: float) -> dict[str, object]:
    """What the log says of a request."""
    fields: dict[str, object] = {
        "method": context.method,
        "path": context.path,
        "route": outcome.route,
        "status": outcome.status,
        "ms": round(seconds * 1000, 2),
        "bytes": outcome.size,
        "peer": context.peer,
        "request_id": context.trace.request_id,
        "trace_id": context.trace.trace_id,
        "span_id": context.trace.span_id,
    }
    if outcome.problem:
        fields["problem"] = outcome.problem
    if outcome.cut:
        fields["cut"] = True
    return fields
