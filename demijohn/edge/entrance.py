"""The common way in and out: context, who it is, headers on every answer, the record of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from demijohn.auth.address import Proxies
from demijohn.auth.caller import ANYONE, NOBODY, Caller
from demijohn.auth.guard import check_local
from demijohn.auth.keyring import Keyring
from demijohn.auth.limits import Limits
from demijohn.edge.context import Admission, Context
from demijohn.errors import Problem, Unauthenticated
from demijohn.settings import Settings, networks
from demijohn.telemetry import trace
from demijohn.telemetry.metrics import Answered, Metrics
from demijohn.telemetry.request_log import RequestLog

HEALTH = frozenset({"/livez", "/readyz"})
PROBES = HEALTH | {"/metrics"}
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

    def __init__(
        self, settings: Settings, metrics: Metrics, keyring: Keyring | None = None
    ) -> None:
        """Take the settings, for the guard, the metrics to count in, and the keys, if any count."""
        self._open = settings.auth == "open"
        self._keyring = keyring
        trusted = settings.trusted_proxies
        self._proxies = Proxies(networks(trusted) if trusted else [])
        self._limits = Limits(settings)
        self._metrics = metrics
        self._log = RequestLog(settings)
        self._later: Later | None = None
        self._ended: list[Ended] = []

    def context(self, method: str, path: str, admission: Admission) -> Context:
        """Begin a request: its identity and its clock."""
        began = time.monotonic()
        joined = trace.begin(admission.request_id, admission.traceparent)
        peer = admission.peer
        client = self._proxies.client(peer, admission.forwarded, admission.x_forwarded_for)
        return Context(method, path, peer, joined, began, client=client)

    def admit(self, context: Context, admission: Admission) -> Context:
        """Let a caller in, or nobody, who may have what needs no key; the context of that.

        It may have to ask the database. Raises Forbidden, Unauthenticated, TooManyRequests,
        DatabaseUnavailable, DeadlineExceeded.
        """
        admitted = self.admit_at_once(context, admission)
        return self.admit_by_asking(context, admission) if admitted is None else admitted

    def admit_at_once(self, context: Context, admission: Admission) -> Context | None:
        """The same where nobody has to be asked; None where `admit_by_asking` has to."""
        if context.path not in PROBES:
            self._limits.take_of_address(context.client)
        caller = self._without_asking(context, admission)
        if caller is None:
            if context.path not in HEALTH:
                return None
            caller = NOBODY  # these wait for no database
        return self._let_in(context, caller)

    def admit_by_asking(self, context: Context, admission: Admission) -> Context:
        """What follows where `admit_at_once` has found nothing, and asks the database."""
        assert self._keyring is not None
        self._limits.check_failures(context.client)
        try:
            caller = self._keyring.caller(admission.authorization)
        except Unauthenticated:
            self._limits.take_of_failures(context.client)
            raise
        return self._let_in(context, caller)

    def _let_in(self, context: Context, caller: Caller) -> Context:
        """The context of a caller. Raises Unauthenticated for nobody who sends something.

        What needs no key is all there to be read, and so a body of nobody's need not be waited for.
        """
        if context.path not in PROBES:
            self._limits.take_of_key(caller.id)
        if context.method not in ("GET", "HEAD"):
            caller.check_known()
        return context.of(caller)

    def _without_asking(self, context: Context, admission: Admission) -> Caller | None:
        if self._keyring is not None:
            return self._known(context, admission)
        if not self._open:
            check_local(
                admission.peer,
                admission.host,
                admission.forwarded,
                admission.x_forwarded_for,
            )
        return ANYONE

    def _known(self, context: Context, admission: Admission) -> Caller | None:
        assert self._keyring is not None
        try:
            return self._keyring.known_caller(admission.authorization)
        except Unauthenticated:
            if context.path in PROBES:
                return NOBODY  # no fault of a key's makes a pod look dead
            self._limits.take_of_failures(context.client)
            raise

    def refusal(self, caller: Caller) -> Problem | None:
        """What speaks by now against a caller that was let in, by what is known without asking.

        For what lasts so long that the key may have been revoked meanwhile.
        """
        if self._keyring is None or self._keyring.holds(caller):
            return None
        return Unauthenticated("The key has been revoked, or has expired.")

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
        self._metrics.answered(
            Answered(outcome.route, context.method, outcome.status, seconds)
            for context, outcome, seconds in ended
        )
        for _, outcome, _ in ended:
            self._count_ending(outcome)
        self._log.write(
            (_fields(context, outcome, seconds), context.path in PROBES)
            for context, outcome, seconds in ended
        )

    def _count_ending(self, outcome: Outcome) -> None:
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
    if context.caller.id:
        fields["key"] = context.caller.id
    if context.client != context.peer:
        fields["client"] = context.client
    if outcome.problem:
        fields["problem"] = outcome.problem
    if outcome.cut:
        fields["cut"] = True
    return fields
