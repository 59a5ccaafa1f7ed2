"""Connections refused before there is a request: counted, told why, logged now and then."""

from __future__ import annotations

import time

import structlog

from demijohn.edge.context import Admission
from demijohn.edge.entrance import Entrance
from demijohn.edge.reply import problem_reply
from demijohn.errors import Overloaded
from demijohn.front.bounds import BUSY, LONG_HEAD, NOT_HTTP
from demijohn.telemetry.metrics import Metrics

_CLOSED = "Connection: close"
_TOO_MUCH = "More is asked of this process than it can do in time."
QUIET = 10.0
"""Seconds between two lines of the log: refusals come in floods."""
_PLAIN = {
    NOT_HTTP: ("400 Bad Request", b"Not HTTP."),
    LONG_HEAD: ("431 Request Header Fields Too Large", b"The head is too large."),
}


class Refusals:
    """One worker's refusals."""

    def __init__(self, entrance: Entrance, metrics: Metrics) -> None:
        """Take what gives an answer its id, and where to count."""
        self._entrance = entrance
        self._metrics = metrics
        self._since = 0
        self._quiet_until = 0.0
        self._shed = 0
        self._shed_answer = b""
        self._shed_until = 0.0

    def refuse(self, reason: str) -> bytes:
        """Count a refusal; the whole HTTP response for it."""
        self._metrics.refused.labels(reason).inc()
        self._since += 1
        now = time.monotonic()
        if now >= self._quiet_until:
            structlog.get_logger().warning("connections refused", reason=reason, count=self._since)
            self._since, self._quiet_until = 0, now + QUIET
        if reason != BUSY:
            return _response(*_PLAIN[reason], _CLOSED)
        return self._overloaded("Too many connections are open.", _CLOSED)[1]

    def shed(self) -> bytes:
        """Count a request that is shed; the whole HTTP response for it, its connection goes on.

        It is the same for a while, with the id of the log's line: a refusal of which each had its
        own would cost several times as much, and be one of tens of thousands.
        """
        self._shed += 1
        now = time.monotonic()
        if now >= self._shed_until:
            id_, self._shed_answer = self._overloaded(_TOO_MUCH)
            structlog.get_logger().warning("requests shed", count=self._shed, request_id=id_)
            self._shed, self._shed_until = 0, now + QUIET
        return self._shed_answer

    def _overloaded(self, detail: str, *lines: str) -> tuple[str, bytes]:
        """The id of an answer, and the answer."""
        nobody = Admission(None, None, None, None, None, None)
        context = self._entrance.context("GET", "", nobody)
        reply = problem_reply(Overloaded(detail), context)
        headers = [*reply.headers, *self._entrance.headers(context)]
        told = [f"{name}: {value}" for name, value in headers]
        answer = _response("503 Service Unavailable", reply.body, *told, *lines)
        return context.trace.request_id, answer


def _response(status: str, body: bytes, *lines: str) -> bytes:
    ending = [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, *ending]).encode() + body
