"""Overload, brought about: the loop or the threads of a real server are kept too busy."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.process.test_server import tiny
from tests.support.open_loop import LOST, closed
from tests.support.processes import wait_until
from tests.support.raw_http import ask, connect, head, read_answer

SOON = {"shed_after": "0.2", "log_level": "error"}
SLOW = head("GET", "/?0.02")
BODY = b'{"a":1}'
NO_HOST = b"GET / HTTP/1.1\r\n\r\n"
"""What the loop refuses by itself, and no thread."""
MANY = 500
"""Clients: more than threads, and than the loop begins in a turn."""


@contextmanager
def crowd(port: int, request: bytes, seconds: float) -> Iterator[list[Counter[int]]]:
    """A crowd that asks and asks again for so long; the statuses, once it has ended."""
    ended: list[Counter[int]] = []

    def run() -> None:
        ended.append(closed(f"http://127.0.0.1:{port}", request, MANY, seconds).statuses)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ended
    finally:
        thread.join()


def shed(port: int) -> dict[str, float]:
    """What the metrics say was shed, by reason."""
    lines = ask(port, head("GET", "/metrics")).body.decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if line.startswith("demijohn_shed_total{")]
    return {name.split('"')[1]: float(value) for name, _, value in pairs}


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
def test_too_few_threads(path: str) -> None:
    """503 for those who would wait, an answer for the others, probes all the while."""
    with tiny("sleeping", threads=2, **SOON) as server:
        with crowd(server.port, SLOW, 2) as ended:
            probes = Counter(ask(server.port, head("GET", path)).status for _ in range(10))
            wait_until(lambda: shed(server.port)["threads"] > 0, "some are shed")
        assert probes == {200: 10}
        assert set(ended[0]) == {200, 503}
        assert shed(server.port)["threads"] == ended[0][503]
        assert ask(server.port, SLOW).status == 200


def test_a_loop_with_too_much_to_do() -> None:
    """Refused before it is begun: whole, with Retry-After, on a connection that goes on."""
    with tiny("busy", **SOON) as server:
        with crowd(server.port, NO_HOST, 4) as ended:
            wait_until(lambda: shed(server.port)["loop"] > 0, "some are shed")
            answers = [_refused(server.port, each) for each in (b"", BODY)]
            assert ask(server.port, head("GET", "/livez")).status == 200
        assert all(answers)
        assert set(ended[0]) == {403, 503}
        assert LOST not in ended[0]
        wait_until(lambda: ask(server.port, SLOW).status == 200, "it serves on")


def test_whoever_connects_behind_others_does_not_wait_for_a_turn_each() -> None:
    """With a thousand before it, which is a minute at a connection a turn, a probe is answered."""
    with tiny("busy", log_level="error") as server, ExitStack() as stack:
        for _ in range(1_000):
            stack.enter_context(connect(server.port))
        assert ask(server.port, head("GET", "/livez")).status == 200


def _refused(port: int, body: bytes) -> bool:
    """Whether a client is refused in time, and what it is told then is right."""
    request = head("POST", "/?0", f"Content-Length: {len(body)}") + body
    with connect(port) as connection:
        for _ in range(1_000):
            connection.sendall(request)
            answer = read_answer(connection)
            if answer.status == 503:
                problem = json.loads(answer.body)
                assert problem["code"] == "overloaded"
                assert problem["request_id"] == answer.headers["x-request-id"]
                assert int(answer.headers["retry-after"]) > 0
                assert "connection" not in answer.headers
                connection.sendall(head("GET", "/livez"))
                assert read_answer(connection).status == 200
                return True
    return False
