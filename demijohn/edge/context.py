"""The identity of a request, made where it enters and handed down with it."""

from __future__ import annotations

from typing import NamedTuple

from demijohn.auth.caller import NOBODY, Caller
from demijohn.telemetry import trace

CONTEXT = "demijohn.context"
"""WSGI environ: the Context, put there by the entrance that made it."""
ROUTE = "demijohn.route"
"""WSGI environ: the pattern of the route that answered, put there by the Flask application."""
PROBLEM = "demijohn.problem"
"""WSGI environ: the code of the problem that was answered, put there by the Flask application."""


class Context(NamedTuple):
    """Who asks for what, and since when: ``began`` is of the monotonic clock, in seconds.

    The caller is nobody, who may do nothing, until the entrance has let somebody in.
    """

    method: str
    path: str
    peer: str | None
    trace: trace.Trace
    began: float
    caller: Caller = NOBODY
    client: str | None = None
    """The address that it comes from: the peer's, or what a trusted proxy has said."""

    def of(self, caller: Caller) -> Context:
        """The same of a caller who was let in."""
        # `_replace` takes several times as long, on every request.
        return Context(
            self.method, self.path, self.peer, self.trace, self.began, caller, self.client
        )


class Admission(NamedTuple):
    """What the guard and the trace need of a request's head."""

    peer: str | None
    host: str | None
    forwarded: str | None
    x_forwarded_for: str | None
    request_id: str | None
    traceparent: str | None
    authorization: str | None = None
