"""The tests that decide about the server, (a) to (e) of the architecture page, and the drain."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from demijohn.exits import Exit
from tests.support.processes import wait_until
from tests.support.raw_http import RawAnswer, ask, connect, gauge, head, read_answer
from tests.support.tiny import Held, go_round, is_closed, tiny


def test_an_iterator_that_raises_cuts_the_connection() -> None:
    """(a) A stream that fails half-way never looks finished."""
    with tiny("raising") as server:
        answer = ask(server.port, head("GET", "/"))
        assert answer.status == 200
        assert answer.body.startswith(b"x" * 1000)
        assert not answer.whole
        assert ask(server.port, head("GET", "/livez")).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"5\r\nhello\r\n", id="before the last chunk"),
        pytest.param(b"5\r\nhel", id="inside a chunk"),
        pytest.param(b"5\r\nhello\r\n0\r\n", id="before the trailers' end"),
        pytest.param(b"5\r\nhello\r\nzz\r\n", id="broken coding"),
    ],
)
def test_a_cut_chunked_body_never_reaches_the_application(tmp_path: Path, sent: bytes) -> None:
    """(b) A chunked upload that ends early is not taken for whole."""
    record = tmp_path / "record"
    with tiny("recording", record=record) as server:
        with connect(server.port) as connection:
            connection.sendall(head("POST", "/", "Transfer-Encoding: chunked") + sent)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1000)
        whole = head("POST", "/", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"
        assert ask(server.port, whole).body == b"ok"
    assert record.read_text() == "5\n"


def test_a_short_content_length_body_never_reaches_the_application(tmp_path: Path) -> None:
    """(c) A body shorter than its Content-Length is not taken for whole."""
    record = tmp_path / "record"
    with tiny("recording", record=record) as server:
        with connect(server.port) as connection:
            connection.sendall(head("POST", "/", "Content-Length: 1000") + b"hello")
            connection.shutdown(socket.SHUT_WR)
            answer = read_answer(connection)
            assert answer.status == 400
            assert b'"incomplete-body"' in answer.body
        assert ask(server.port, head("POST", "/", "Content-Length: 5") + b"world").status == 200
    assert record.read_text() == "5\n"


def test_half_sent_heads_and_bodies_delay_nobody(tmp_path: Path) -> None:
    """(d) Thousands of connections that stop half-way hold no thread and no probe up."""
    record = tmp_path / "record"
    with tiny("recording", record=record, threads=4) as server, Held(server.port) as held:
        held.open(1000, b"POST / HTTP/1.1\r\nHost: local")
        held.open(1000, head("POST", "/", "Content-Length: 100") + b"half")
        held.open(100, b"")
        for _ in range(50):
            assert ask(server.port, head("GET", "/livez")).status == 200
            whole = head("POST", "/", "Content-Length: 2") + b"ok"
            assert ask(server.port, whole).status == 200
        assert server.process.poll() is None
    assert record.read_text() == "2\n" * 50


def test_a_head_that_does_not_come_closes_the_connection() -> None:
    """(d) Neither silence nor half a head nor a trickle holds a connection for ever."""
    with tiny("sleeping", head_timeout=4) as server, Held(server.port) as held:
        silent, trickle = held.open(2, b"")
        (half,) = held.open(1, b"GET / HTTP/1.1\r\nHo")
        (used,) = held.open(1, head("GET", "/"))
        assert read_answer(used).body == b"done"
        used.sendall(b"\r\n")
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                try:
                    trickle.sendall(b"\r\n")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            for connection in (silent, half, trickle, used):
                assert _ends(connection)
        finally:
            stop.set()
            dripping.join()


def _ends(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def test_a_body_that_comes_too_slowly_gets_408(tmp_path: Path) -> None:
    """(d) A body must arrive by its deadline; the client is told which promise it broke."""
    with tiny("recording", record=tmp_path / "record", body_timeout=1) as server:
        with connect(server.port) as connection:
            connection.sendall(head("POST", "/", "Content-Length: 100") + b"half")
            answer = read_answer(connection)
        assert answer.status == 408
        assert b'"body-timeout"' in answer.body
        assert answer.headers["connection"] == "close"
    assert not (tmp_path / "record").exists()


def test_a_large_head_is_refused() -> None:
    """A header flood ends at 16 KiB."""
    with tiny("sleeping") as server:
        with connect(server.port) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            answered = False
            for number in range(4000):
                try:
                    connection.sendall(f"X-{number}: {'y' * 100}\r\n".encode())
                except OSError:
                    answered = True
                    break
            assert answered or read_answer(connection).status == 431
        assert ask(server.port, head("GET", "/")).status == 200


def test_connections_past_the_bound_are_told_so() -> None:
    """One connection too many gets 503 with Retry-After; the others go on."""
    with tiny("sleeping", max_connections=3) as server, Held(server.port) as held:
        taken = held.open(3, head("GET", "/"))
        assert [read_answer(each).body for each in taken] == [b"done"] * 3
        with connect(server.port) as fourth:
            answer = read_answer(fourth)
        assert answer.status == 503
        assert b'"overloaded"' in answer.body
        assert answer.headers["retry-after"] == "1"
        taken[0].sendall(head("GET", "/"))
        assert read_answer(taken[0]).body == b"done"


def test_probes_answer_while_every_thread_is_busy(tmp_path: Path) -> None:
    """Probes are answered on the loop, never behind requests; waiting requests get 503."""
    gate = tmp_path / "gate"
    settings = {"threads": 2, "max_waiting": 2, "queue_timeout": 5, "record": gate}
    with tiny("gated", **settings) as server, Held(server.port) as held:
        busy = held.open(2, head("GET", "/"))
        go_round(server.port)
        waiting = held.open(2, head("GET", "/"))
        go_round(server.port)
        assert ask(server.port, head("GET", "/livez")).status == 200
        refused = ask(server.port, head("GET", "/"))
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert b"Too many requests are waiting" in refused.body
        for connection in waiting:
            assert read_answer(connection).status == 503
        gate.touch()
        for connection in busy:
            assert read_answer(connection).body == b"done"


def test_sigterm_with_streams_open_ends_by_the_deadline() -> None:
    """(e) Streams that do not end are cut at the drain's deadline, and the exit code says so."""
    with tiny("endless", drain_timeout=1) as server, Held(server.port) as held:
        streams = held.open(5, head("GET", "/"))
        for stream in streams:
            assert stream.recv(100)
        began = time.monotonic()
        assert server.stop() == Exit.CUT_SHORT
        assert time.monotonic() - began < 10
        for stream in streams:
            assert not ends_whole(stream)


def ends_whole(stream: socket.socket) -> bool:
    """Read a stream to its end; whether it was closed as a whole chunked answer is."""
    last = b""
    try:
        while data := stream.recv(1_000_000):
            last = (last + data)[-5:]
    except ConnectionResetError:
        return False
    return last == b"0\r\n\r\n"


def test_a_second_signal_ends_at_once() -> None:
    """(e) Whoever does not want to wait for the drain says it twice."""
    with tiny("endless", drain_timeout=60) as server, connect(server.port) as stream:
        stream.sendall(head("GET", "/"))
        assert stream.recv(100)
        server.process.send_signal(signal.SIGTERM)
        # Two signals before the first is taken would be one.
        wait_until(lambda: not _listens(server.port), "the drain has begun")
        assert server.process.poll() is None
        assert server.stop() == Exit.CUT_SHORT


def _listens(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionError:
        return False
    return True


def test_a_request_under_way_is_finished_in_the_drain() -> None:
    """SIGTERM with a request under way: it gets its whole answer, and the exit is clean."""
    with tiny("sleeping") as server:
        with connect(server.port) as connection:
            connection.sendall(head("GET", "/?1.5"))
            go_round(server.port)
            server.process.send_signal(signal.SIGTERM)
            assert read_answer(connection).body == b"done"
        assert server.process.wait(30) == Exit.OK


def test_the_drain_delay_goes_on_serving_and_asks_clients_to_leave() -> None:
    """During the delay: new connections are served, `/readyz` is 503, answers say close."""
    with tiny("sleeping", drain_delay=5) as server:
        kept = connect(server.port)
        kept.sendall(head("GET", "/"))
        assert "connection" not in read_answer(kept).headers
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(server.port, head("GET", "/readyz")).status == 503, "it drains")
        kept.sendall(head("GET", "/"))
        assert read_answer(kept).headers["connection"] == "close"
        kept.close()
        fresh = ask(server.port, head("GET", "/"))
        assert (fresh.status, fresh.headers["connection"]) == (200, "close")
        ready = ask(server.port, head("GET", "/readyz"))
        assert ready.status == 503
        assert b'"shutting-down"' in ready.body
        assert ask(server.port, head("GET", "/livez")).status == 200
        assert server.process.wait(30) == Exit.OK
        with pytest.raises(ConnectionRefusedError):
            connect(server.port)


def test_a_connection_past_its_age_is_closed_after_its_answer() -> None:
    """Keep-alive clients come back by a new connection, and so reach new replicas."""
    age = 0.5
    with tiny("sleeping", connection_max_age=age) as server:
        began = time.monotonic()
        with connect(server.port) as connection:
            answer = _ask_on(connection)
            while "connection" not in answer.headers:
                time.sleep(0.1)
                answer = _ask_on(connection)
            assert time.monotonic() - began > age
            assert (answer.body, answer.headers["connection"]) == (b"done", "close")
            assert connection.recv(10) == b""


def _ask_on(connection: socket.socket) -> RawAnswer:
    connection.sendall(head("GET", "/"))
    return read_answer(connection)


def test_a_client_that_does_not_read_is_cut() -> None:
    """A stream that nobody reads ends by the stall timeout and holds no thread meanwhile."""
    settings = {"threads": 2, "stall_timeout": 1}
    with tiny("endless", **settings) as server, Held(server.port) as held:
        stalled = held.open(6, head("GET", "/"))
        for connection in stalled:
            assert connection.recv(100)
        assert ask(server.port, head("GET", "/livez")).status == 200
        # Whoever reads too soon does read, and what the kernel keeps is its own affair.
        wait_until(lambda: all(map(is_closed, stalled)), "all are cut")
        for connection in stalled:
            assert not ends_whole(connection)


def test_a_refusal_is_read_by_a_client_that_is_still_sending(tmp_path: Path) -> None:
    """A 413 is not lost to a reset: the client gets to read it while its body is on the way."""
    with tiny("recording", record=tmp_path / "record", max_body=1000) as server:
        with connect(server.port) as connection:
            size = 3_000_000
            connection.sendall(head("POST", "/", f"Content-Length: {size}"))
            connection.sendall(b"x" * size)
            answer = read_answer(connection)
        assert answer.status == 413
        assert answer.headers["connection"] == "close"
    assert not (tmp_path / "record").exists()


def test_bodies_in_flight_are_bounded(tmp_path: Path) -> None:
    """Bodies that are held while they arrive count; past the bound a request gets 503."""
    record = tmp_path / "record"
    settings = {"record": record, "max_body": 100_000, "max_bodies": 150_000}
    with tiny("recording", **settings) as server, Held(server.port) as held:
        half = head("POST", "/", "Content-Length: 100000") + b"x" * 99_999
        (slow,) = held.open(1, half)
        wait_until(lambda: gauge(server.port, "body_bytes") >= 99_999, "what has come is held")
        refused = ask(server.port, head("POST", "/", "Content-Length: 60000") + b"y" * 60_000)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        slow.sendall(b"x")
        assert read_answer(slow).status == 200
        again = ask(server.port, head("POST", "/", "Content-Length: 60000") + b"y" * 60_000)
        assert again.status == 200
    assert record.read_text() == "100000\n60000\n"


def test_endless_trailers_cost_no_memory(tmp_path: Path) -> None:
    """Trailers and chunk extensions are bounded like the body they belong to."""
    with tiny("recording", record=tmp_path / "record", max_body=10_000) as server:
        with connect(server.port) as connection:
            connection.sendall(head("POST", "/", "Transfer-Encoding: chunked") + b"0\r\n")
            with pytest.raises(ConnectionError):
                _send_trailers(connection, 100_000)
        assert ask(server.port, head("GET", "/livez")).status == 200
    assert not (tmp_path / "record").exists()


def _send_trailers(connection: socket.socket, count: int) -> None:
    for number in range(count):
        connection.sendall(f"T-{number}: {'z' * 100}\r\n".encode())


def test_few_descriptors_are_not_run_out_of() -> None:
    """Under a low limit the service takes fewer connections rather than fail to accept."""
    with tiny("sleeping", descriptors=400) as server, Held(server.port) as held:
        held.open(140, b"")
        with connect(server.port) as one_more:
            one_more.sendall(head("GET", "/"))
            assert read_answer(one_more).body == b"done"
        held.open(100, b"")
        with connect(server.port) as too_many:
            assert read_answer(too_many).status == 503


def test_pipelined_requests_are_answered_in_turn(tmp_path: Path) -> None:
    """Requests that are sent before the answers have come keep their headers and bodies."""
    record = tmp_path / "record"
    with tiny("recording", record=record) as server, connect(server.port) as connection:
        requests = [head("POST", "/", f"Content-Length: {n}") + b"x" * n for n in range(1, 30)]
        connection.sendall(b"".join(requests))
        with connection.makefile("rb") as stream:
            for _ in requests:
                assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
                while stream.readline() != b"\r\n":
                    pass
                assert stream.read(2) == b"ok"
    assert record.read_text().split() == [str(n) for n in range(1, 30)]


def test_a_request_right_behind_the_head_of_an_answer() -> None:
    """HEAD of a stream is over for the client before it is for the server."""
    with tiny("raising") as server, connect(server.port) as connection:
        connection.sendall(head("HEAD", "/") + head("GET", "/livez"))
        assert read_answer(connection).status == 200
