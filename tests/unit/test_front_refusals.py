"""What is said before the shell has seen anything: as the shell says it, and each its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from demijohn.edge.context import Context
from demijohn.edge.entrance import Entrance
from demijohn.edge.reply import problem_reply
from demijohn.errors import Overloaded
from demijohn.front.bounds import BUSY, LONG_HEAD, NOT_HTTP
from demijohn.front.refusals import Refusals
from demijohn.settings import load
from demijohn.telemetry import trace
from demijohn.telemetry.metrics import Metrics

PARENT = f"00-{7:032x}-{8:016x}-01"


class Desk:
    """Refusals with all that is around them."""

    def __init__(self) -> None:
        """As a worker has them."""
        settings = load({"DEMIJOHN_LOG_LEVEL": "error"})
        self.metrics = Metrics()
        self.entrance = Entrance(settings, self.metrics)
        self.later: list[Callable[[], None]] = []
        self.refusals = Refusals(self.entrance, self.metrics, self.later.append)

    def end_turn(self) -> None:
        """Do what is to be done at the end of a turn of the loop, which is one thing."""
        (call,) = self.later
        self.later.clear()
        call()

    def figure(self, name: str, **labels: str) -> float | None:
        """A figure of the metrics."""
        return self.metrics.registry.get_sample_value(f"demijohn_{name}", labels)


@pytest.fixture
def desk() -> Desk:
    """A desk of its own."""
    return Desk()


def told(answer: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """An answer's status line, headers and body, which is as long as it says; it was made now."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    headers = dict(each.decode().split(": ", 1) for each in lines)
    assert int(headers.pop("Content-Length")) == len(body)
    made = parsedate_to_datetime(headers.pop("Date"))
    assert abs(datetime.now(UTC) - made) < timedelta(minutes=1)
    return line, headers, body


@pytest.mark.parametrize("id_", ["mine", "a" * 128, "%(id)s", "bad id", "é", None])
@pytest.mark.parametrize("parent", [PARENT, "none", None])
def test_what_is_shed_is_told_as_anything_else(
    desk: Desk, id_: str | None, parent: str | None
) -> None:
    """The same headers and bytes as of any problem: ids that are sane are the caller's."""
    given = [(b"x-request-id", id_), (b"traceparent", parent)]
    headers = [(name, value.encode("latin-1")) for name, value in given if value is not None]

    line, shown, body = told(desk.refusals.shed(b"GET", [(b"host", b"h"), *headers]))

    begun = trace.begin(id_, parent)
    spans = shown["traceresponse"].split("-")
    ids = trace.Trace(shown["X-Request-Id"], spans[1], spans[2], None, spans[3])
    problem = Overloaded("More is asked of this process than it can do in time.")
    context = Context("GET", "/", None, ids, 0.0)
    reply = problem_reply(problem, context)
    assert line == b"HTTP/1.1 503 Service Unavailable"
    assert shown == dict([*reply.headers, *desk.entrance.headers(context)])
    assert body == reply.body
    assert (ids.request_id == id_) == (begun.request_id == id_)
    assert (ids.trace_id, ids.flags) == (begun.trace_id, begun.flags) or parent != PARENT


def test_each_has_an_id_of_its_own(desk: Desk) -> None:
    """However many are shed in one turn, and whatever is refused besides."""
    answers = [desk.refusals.shed(b"GET", []) for _ in range(1_000)]
    answers += [desk.refusals.refuse(each) for each in (BUSY, NOT_HTTP, LONG_HEAD) * 10]
    shown = [told(each)[1] for each in answers]
    for name in ("X-Request-Id", "traceresponse"):
        assert len({each[name] for each in shown}) == len(answers)


def test_all_are_counted_at_the_end_of_a_turn(desk: Desk) -> None:
    """Under the method that they had, unless somebody made it up; each once."""
    for method in (b"GET", b"GET", b"POST", b"PROPFIND", b"REPORT"):
        desk.refusals.shed(method, [])
    desk.end_turn()
    desk.refusals.shed(b"GET", [])
    desk.end_turn()

    for name, times in (("GET", 3), ("POST", 1), ("OTHER", 2)):
        counted = desk.figure("requests_total", route="none", method=name, status="503")
        assert counted == desk.figure("request_seconds_count", route="none", method=name) == times
    assert desk.figure("problems_total", code="overloaded") == 6


def test_the_date_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the answer (RFC 9110, 6.6.1), not of the one before."""
    dates = []
    for second in (784_111_777, 784_111_778):
        monkeypatch.setattr("time.time", lambda second=second: second + 0.9)
        dates.append(desk.refusals.refuse(NOT_HTTP).split(b"\r\n")[1])

    assert dates == [
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT",
        b"Date: Sun, 06 Nov 1994 08:49:38 GMT",
    ]


@pytest.mark.parametrize(
    ("reason", "status", "kind"),
    [
        (BUSY, b"503 Service Unavailable", "application/problem+json"),
        (NOT_HTTP, b"400 Bad Request", "text/plain; charset=utf-8"),
        (LONG_HEAD, b"431 Request Header Fields Too Large", "text/plain; charset=utf-8"),
    ],
)
def test_a_refused_connection_is_told_why(
    desk: Desk, reason: str, status: bytes, kind: str
) -> None:
    """With an id, and that it ends; it is a connection and no request to those who count."""
    line, shown, body = told(desk.refusals.refuse(reason))

    assert line == b"HTTP/1.1 " + status
    assert (shown["Content-Type"], shown["Connection"]) == (kind, "close")
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert desk.figure("connections_refused_total", reason=reason) == 1
    is_problem = reason == BUSY
    assert desk.figure("problems_total", code="overloaded") == (1 if is_problem else None)
    assert not is_problem or json.loads(body)["request_id"] == shown["X-Request-Id"]
    assert not desk.later
