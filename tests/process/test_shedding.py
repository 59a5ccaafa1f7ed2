"""Overload, brought about: the loop or the threads of a real server are kept too busy."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.open_loop import LOST, asking
from tests.support.processes import wait_until
from tests.support.raw_http import RawAnswer, ask, connect, head, read_answer, series
from tests.support.tiny import tiny
from tests.support.together import beside

SOON = {"shed_after": "0.2", "queue_timeout": "120", "log_level": "error"}
SLOW = head("GET", "/?0.02")
BODY = b'{"a":1}'
NO_HOST = b"GET / HTTP/1.1\r\n\r\n"
"""What the loop refuses by itself, and no thread."""
MANY = 500
"""Clients: more than threads, and than the loop begins in a turn."""


@contextmanager
def crowd(port: int, request: bytes) -> Iterator[list[Counter[int]]]:
    """A crowd that asks and asks again all through the block; the statuses, once it has ended."""
    ended: list[Counter[int]] = []

    def run(is_over: threading.Event) -> None:
        url = f"http://127.0.0.1:{port}"
        ended.append(asking(url, request, MANY, lambda: not is_over.is_set()).statuses)

    with beside(run):
        yield ended


def shed(port: int) -> dict[str, float]:
    """What the metrics say was shed, by reason."""
    return {name.split('"')[1]: value for name, value in series(port, "shed_total")}


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
def test_too_few_threads(path: str) -> None:
    """503 for those who would wait, an answer for the others, probes all the while."""
    with tiny("sleeping", threads=2, **SOON) as server:
        with crowd(server.port, SLOW) as ended:
            probes = Counter(ask(server.port, head("GET", path)).status for _ in range(10))
            wait_until(lambda: shed(server.port)["threads"] > 0, "some are shed")
        assert probes == {200: 10}
        assert set(ended[0]) == {200, 503}
        # They are counted a moment later, and the loop of a busy machine refuses some, too.
        refused = ended[0][503]
        wait_until(lambda: sum(shed(server.port).values()) == refused, "each is counted, once")
        assert ask(server.port, SLOW).status == 200


def test_a_loop_with_too_much_to_do() -> None:
    """Refused before it is begun: whole, with Retry-After, on a connection that goes on."""
    with tiny("busy", **SOON) as server:
        with crowd(server.port, NO_HOST) as ended:
            wait_until(lambda: shed(server.port)["loop"] > 0, "some are shed")
            answers = [_refused(server.port, each) for each in (b"", BODY)]
            assert ask(server.port, head("GET", "/livez")).status == 200
        assert len({each.headers["x-request-id"] for each in answers}) == len(answers)
        assert set(ended[0]) == {403, 503}
        assert LOST not in ended[0]
        _check_counted(server.port, ended[0][503], len(answers))
        wait_until(lambda: ask(server.port, SLOW).status == 200, "it serves on")


@pytest.mark.parametrize("is_draining", [True, False], ids=["drain", "old"])
def test_a_shed_answer_says_that_its_connection_ends(*, is_draining: bool) -> None:
    """Once it drains, and of a connection that is too old or of HTTP/1.0: it says so, and it ends.

    Or clients would stay, and be refused again and again, where others have room for them.
    """
    kept = head("GET", "/", "Connection: keep-alive")
    age, other = (0, kept) if is_draining else (2, kept.replace(b"HTTP/1.1", b"HTTP/1.0"))
    settings = {**SOON, "connection_max_age": age, "drain_delay": 60, "head_timeout": 120}
    with tiny("busy", **settings) as server, ExitStack() as stack:
        asked = [(stack.enter_context(connect(server.port)), kept) for _ in range(MANY // 2)]
        time.sleep(age)
        asked += [(stack.enter_context(connect(server.port)), other) for _ in range(MANY // 2)]
        with crowd(server.port, NO_HOST):
            wait_until(lambda: shed(server.port)["loop"] > 0, "some are shed")
            if is_draining:
                server.process.send_signal(signal.SIGTERM)
                wait_until(lambda: _is_unready(server.port), "it drains")
            so_far = shed(server.port)["loop"]
            wait_until(lambda: shed(server.port)["loop"] > so_far, "it sheds at this time")
            for connection, request in asked:
                connection.sendall(request)
            answers = [read_answer(each) for each, _ in asked]
            assert {each.headers.get("connection") for each in answers} == {"close"}
            assert all(each.recv(1) == b"" for each, _ in asked)
        refused = [each for each in answers if each.status == 503]
        assert refused
        assert len({each.headers["x-request-id"] for each in refused}) == len(refused)


def test_whoever_connects_behind_others_does_not_wait_for_a_turn_each() -> None:
    """With a thousand before it, which is a minute at a connection a turn, a probe is answered."""
    with tiny("busy", log_level="error") as server, ExitStack() as stack:
        for _ in range(1_000):
            stack.enter_context(connect(server.port))
        assert ask(server.port, head("GET", "/livez")).status == 200


def _refused(port: int, body: bytes) -> RawAnswer:
    """What a client is told that is refused, which happens in time, and is right."""
    own = f"of-mine/{len(body)}"
    trace = f"{len(body) + 1:032x}"
    named = (f"X-Request-Id: {own}", f"traceparent: 00-{trace}-{1:016x}-01")
    request = head("POST", "/?0", f"Content-Length: {len(body)}", *named) + body
    with connect(port) as connection:
        for _ in range(1_000):
            connection.sendall(request)
            answer = read_answer(connection)
            assert answer.headers["x-request-id"] == own
            assert answer.headers["traceresponse"].startswith(f"00-{trace}-")
            if answer.status == 503:
                break
        _check_refusal(connection, answer)
        return answer


def _check_refusal(connection: socket.socket, answer: RawAnswer) -> None:
    """It says what it has to, and its connection goes on."""
    problem = json.loads(answer.body)
    assert problem["code"] == "overloaded"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert int(answer.headers["retry-after"]) > 0
    assert "connection" not in answer.headers
    connection.sendall(head("GET", "/livez"))
    assert read_answer(connection).status == 200


def _check_counted(port: int, refused: int, posted: int) -> None:
    """All that were refused stand among the answers, each under its method."""
    of_none = 'route="none"'
    for method, times in (("GET", refused), ("POST", posted)):
        labels = of_none, f'method="{method}"', 'status="503"'
        assert [value for _, value in series(port, "requests_total", *labels)] == [times]
    assert series(port, "problems_total", "overloaded")[0][1] == refused + posted
    timed = sum(value for _, value in series(port, "request_seconds_count", of_none))
    assert timed == sum(value for _, value in series(port, "requests_total", of_none))


def _is_unready(port: int) -> bool:
    return ask(port, head("GET", "/readyz")).status == 503
