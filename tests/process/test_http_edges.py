"""HTTP at its edges: upgrades, pipelining, half-closed clients, targets, refusals in their turn."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support.api import Api
from tests.support.database import Database, free_port
from tests.support.processes import is_alive, wait_until
from tests.support.raw_http import ask, connect, head, read_answer
from tests.support.service import clean_environ
from tests.support.tiny import Held, go_round, tiny

UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _until_silent(connection: socket.socket) -> bytes:
    """All that still comes before the connection falls silent, or ends."""
    connection.settimeout(1)
    text = b""
    try:
        while more := connection.recv(100_000):
            text += more
    except TimeoutError:
        return text
    return text


def _until_end(connection: socket.socket) -> bytes:
    """All that still comes before the connection ends, which it must."""
    return b"".join(iter(lambda: connection.recv(100_000), b""))


@pytest.mark.parametrize("pause", [0.0, 0.3], ids=["one segment", "apart"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_behind_an_upgrade_is_a_body(tmp_path: Path, pause: float, *, chunked: bool) -> None:
    """A wish for HTTP/2 is passed over, and its body never taken for a request of its own."""
    record = tmp_path / "record"
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(SMUGGLED)}"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED) if chunked else SMUGGLED
    with tiny("recording", record=record) as server, connect(server.port) as connection:
        request = head("POST", "/", framing, *UPGRADE)
        if pause:
            connection.sendall(request)
            time.sleep(pause)
            connection.sendall(body)
        else:
            connection.sendall(request + body)
        assert read_answer(connection).body == b"ok"
        connection.sendall(head("POST", "/", "Content-Length: 1") + b"x")
        assert read_answer(connection).body == b"ok"
        assert _until_silent(connection) == b""
    assert record.read_text().split() == [str(len(SMUGGLED)), "1"]


def test_requests_behind_an_upgrade_are_answered() -> None:
    """Also without a body, and for a websocket, which there is none of."""
    with tiny("sleeping") as server, connect(server.port) as connection:
        websocket = ("Connection: Upgrade", "Upgrade: websocket")
        connection.sendall(
            head("GET", "/", *UPGRADE)
            + head("GET", "/", *websocket)
            + head("GET", "/", "Connection: close")
        )
        answers = _until_end(connection)
        assert answers.count(b"HTTP/1.1 200 OK") == 3
        assert answers.endswith(b"done")


def test_a_flood_of_pipelined_requests_costs_no_memory() -> None:
    """Requests that are sent before their turn wait as the bytes that they are, and not many."""
    with tiny("sleeping") as server, connect(server.port) as connection:
        process = psutil.Process(server.process.pid)
        before = process.memory_info().rss
        connection.settimeout(0.5)
        flood = head("GET", "/livez") * 2_000
        until = time.monotonic() + 4
        try:
            while time.monotonic() < until:
                connection.sendall(flood)  # and never read an answer
        except TimeoutError:
            pass  # the service does not read on: as it should be
        assert process.memory_info().rss - before < 32 * 1024 * 1024
        assert ask(server.port, head("GET", "/livez")).status == 200


def test_thousands_of_pipelined_requests_are_answered() -> None:
    """Wherever the reads cut them: every one is answered, and none waits for ever."""
    with tiny("sleeping", log_level="error") as server, connect(server.port) as connection:
        requests = head("GET", "/livez") * 5_000
        sender = threading.Thread(target=connection.sendall, args=(requests,))
        sender.start()
        with connection.makefile("rb") as stream:
            count = 0
            while count < 5_000:
                line = stream.readline()
                assert line
                count += line.startswith(b"HTTP/1.1 200")
        sender.join()


def test_a_client_that_closes_its_side_gets_its_answer() -> None:
    """`nc -N` and friends: all is sent, the side is closed, the answer still comes."""
    with tiny("sleeping") as server, connect(server.port) as connection:
        connection.sendall(head("GET", "/?0.5") + head("GET", "/"))
        connection.shutdown(socket.SHUT_WR)
        assert _until_end(connection).count(b"done") == 2


def test_what_is_not_http_is_refused_in_its_turn() -> None:
    """A request that was carried out gets its own answer, then the refusal."""
    with tiny("sleeping") as server, connect(server.port) as connection:
        connection.sendall(head("GET", "/?0.3"))
        time.sleep(0.1)
        connection.sendall(b"\x01garbage\r\n\r\n")
        answers = _until_end(connection)
        assert answers.startswith(b"HTTP/1.1 200 OK")
        assert answers.index(b"done") < answers.index(b"HTTP/1.1 400 Bad Request")
        assert answers.endswith(b"Not HTTP.")


def test_nothing_is_written_into_a_stream() -> None:
    """A stream goes on undisturbed by garbage, by half a head, and by requests behind it."""
    with tiny("endless", head_timeout=1) as server:
        for behind in (b"\x01garbage\r\n\r\n", SMUGGLED + b"GET / HT", SMUGGLED + b"\x01\r\n"):
            with connect(server.port) as connection:
                connection.sendall(head("GET", "/"))
                connection.recv(10)
                connection.sendall(behind)
                text = b""
                until = time.monotonic() + 2.5
                while time.monotonic() < until:
                    more = connection.recv(1_000_000)
                    assert more
                    text += more
            assert text.count(b"HTTP/1.1") <= 1  # its own head, if that


def test_the_management_port_answers_in_a_flood(database: Database, own_service: Starter) -> None:
    """Probes on a port of their own do not compete with clients for connections."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_MANAGEMENT_PORT": "0"}
    settings["DEMIJOHN_MAX_CONNECTIONS"] = "5"
    service = own_service(settings)
    with Held(service.port) as held:
        held.open(6, b"")
        time.sleep(0.3)
        management = Api(service.management_url)
        assert management.get("/livez").status == 200
        assert management.get("/metrics").status == 200
        assert management.get("/data").problem() == "not-found"
    # It may hear of this connection before it has heard that the others have left.
    wait_until(lambda: _answers(service.port, "/readyz"), "there is room again")
    assert Api(service.url).get("/metrics").problem() == "not-found"


def test_an_answer_that_nobody_reads_to_its_end_is_cut() -> None:
    """Also when the connection was to close after it: it does not stay for ever."""
    with tiny("large", stall_timeout=1) as server:
        with connect(server.port) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            process = psutil.Process(server.process.pid)
            wait_until(lambda: len(process.net_connections("tcp")) == 2, "it is there")
            connection.sendall(head("GET", "/", "Connection: close"))
            wait_until(lambda: len(process.net_connections("tcp")) == 1, "it is cut")
        assert ask(server.port, head("GET", "/livez")).status == 200


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 403),
        (b"GET http://localhost:80?0 HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
        (b"GET http://[::1]/?0 HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 403),
        (head("POST", "/", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 415),
        (head("GET", "/?0", "Content-Length: 1", "Content-Length: 2"), 400),
    ],
)
def test_targets_and_heads(request_head: bytes, status: int) -> None:
    """The target's own authority is what the guard judges; ambiguous heads are refused."""
    with tiny("sleeping") as server:
        assert ask(server.port, request_head).status == status


@pytest.mark.parametrize(
    "target", [b"CONNECT x:80", b"GET http://[::1", b"GET ftp://h:99999/", b"FOO /", b"GET x"]
)
@pytest.mark.parametrize("behind", [b"", head("GET", "/?0")], ids=["first", "second"])
def test_a_target_that_is_none_is_refused(target: bytes, behind: bytes) -> None:
    """400 and a closed connection, also behind a request that is still answered."""
    with tiny("sleeping") as server, connect(server.port) as connection:
        connection.sendall(behind + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answers = _until_end(connection)
        assert answers.count(b"HTTP/1.1 200 OK") == bool(behind)
        assert answers.endswith(b"Not HTTP.")


def test_http_1_1_needs_a_host() -> None:
    """RFC 9112, section 3.2: 400 for a request without Host, whoever may ask."""
    with tiny("sleeping", auth="open") as server:
        assert ask(server.port, b"GET / HTTP/1.1\r\n\r\n").status == 400
        assert ask(server.port, b"GET / HTTP/1.0\r\n\r\n").status == 200


def test_cut_uploads_are_counted(database: Database, own_service: Starter) -> None:
    """A body that ends early is in the log and in the metrics like any other refusal."""
    service = own_service({"MONGODB_URI": database.uri})
    for _ in range(3):
        with connect(service.port) as connection:
            request = head("POST", "/data", "Content-Type: application/json", "Content-Length: 9")
            connection.sendall(request + b"{")
    metric = 'demijohn_problems_total{code="incomplete-body"} 3.0'
    wait_until(lambda: metric in Api(service.url).get("/metrics").body.decode(), "counted", 10)


def test_a_log_that_breaks_stops_nothing(database: Database, tmp_path: Path) -> None:
    """The reader of the log dies: the service serves on, stops cleanly, leaves nothing behind."""
    port = free_port()
    environ = clean_environ({"MONGODB_URI": database.uri, "TMPDIR": str(tmp_path)})
    read_end, write_end = os.pipe()
    service = subprocess.Popen(
        [sys.executable, "-m", "demijohn", "serve", "--port", str(port), "--workers", "1"],
        env=environ,
        cwd=tmp_path,
        stderr=write_end,
    )
    os.close(write_end)
    try:
        wait_until(lambda: _answers(port), "it answers")
        os.close(read_end)
        for _ in range(5):
            assert ask(port, head("GET", "/")).status == 200
        workers = [each.pid for each in psutil.Process(service.pid).children()]
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == Exit.OK
        assert not any(is_alive(pid) for pid in workers)
    finally:
        service.kill()
        service.wait()


def _answers(port: int, path: str = "/livez") -> bool:
    try:
        return ask(port, head("GET", path)).status == 200
    except (OSError, EOFError):
        return False


def test_a_second_signal_ends_at_once_with_a_hung_database(
    own_database: Database, own_service: Starter
) -> None:
    """Not even a thread that waits for the database holds up whoever insists."""
    service = own_service({"MONGODB_URI": own_database.uri, "DEMIJOHN_DATABASE_TIMEOUT": "60"})
    assert Api(service.url).insert({}).status == 201
    own_database.pause()
    body = b'{"n":1}'
    request = head("POST", "/data", "Content-Type: application/json", "Content-Length: 7") + body
    with connect(service.port) as connection, connect(service.port) as idle:
        connection.sendall(request)
        idle.sendall(head("GET", "/livez"))
        assert read_answer(idle).status == 200
        go_round(service.port)
        time.sleep(0.5)
        service.process.send_signal(signal.SIGTERM)
        # The worker knows of the first: two that come to it at one time would be one.
        assert idle.recv(1) == b""
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == Exit.CUT_SHORT  # of 30 that a drain would take
