"""Connections refused before there is a request: counted, told why, logged now and then."""

from __future__ import annotations

import time

import structlog

from demijohn.edge.context import Admission
from demijohn.edge.entrance import Entrance
from demijohn.edge.reply import problem_reply
from demijohn.errors import Overloaded
from demijohn.front.protocol import BUSY, LONG_HEAD, NOT_HTTP
from demijohn.telemetry.metrics import Metrics

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

    def refuse(self, reason: str) -> bytes:
        """Count a refusal; the whole HTTP response for it."""
        self._metrics.refused.labels(reason).inc()
        self._since += 1
        now = time.monotonic()
        if now >= self._quiet_until:
            structlog.get_logger().warning("connections refused", reason=reason, count=self._since)
            self._since, self._quiet_until = 0, now + QUIET
        return self._busy() if reason == BUSY else _response(*_PLAIN[reason])

    def _busy(self) -> bytes:
        nobody = Admission(None, None, None, None, None, None)
        context = self._entrance.context("GET", "", nobody)
        reply = problem_reply(Overloaded("Too many connections are open."), context)
        headers = [*reply.headers, *self._entrance.headers(context)]
        lines = [f"{name}: {value}" for name, value in headers]
        return _response("503 Service Unavailable", reply.body, *lines)


def _response(status: str, body: bytes, *lines: str) -> bytes:
    ending = [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, *ending]).encode() + body
