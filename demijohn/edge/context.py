"""The identity of a request, made where it enters and handed down with it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from demijohn.telemetry import trace

CONTEXT = "demijohn.context"
"""WSGI environ: the Context, put there by the entrance that made it."""
ROUTE = "demijohn.route"
"""WSGI environ: the pattern of the route that answered, put there by the Flask application."""
PROBLEM = "demijohn.problem"
"""WSGI environ: the code of the problem that was answered, put there by the Flask application."""


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks for what, since when and until when.

    ``began`` and ``deadline`` are readings of the monotonic clock in seconds; the deadline is
    that of the answer, or of its first part where it streams.
    """

    method: str
    path: str
    peer: str | None
    trace: trace.Trace
    began: float
    deadline: float

    def remaining(self) -> float:
        """Seconds until the deadline, never below a hundredth: what is late fails by itself."""
        return max(self.deadline - time.monotonic(), 0.01)

    def working(self, timeout: float) -> Context:
        """The same request with a deadline `timeout` seconds from now: its body has arrived."""
        return replace(self, deadline=time.monotonic() + timeout)


@dataclass(frozen=True, slots=True)
class Admission:
    """What the guard and the trace need of a request's head."""

    peer: str | None
    host: str | None
    forwarded: str | None
    x_forwarded_for: str | None
    request_id: str | None
    traceparent: str | None
