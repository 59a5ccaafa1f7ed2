"""Uploads of NDJSON over real sockets: whole or not at all whole, answered while they are sent."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support.database import Database, Documents, emptied
from tests.support.processes import wait_until
from tests.support.raw_http import RawAnswer, ask, connect, head, read_answer, series
from tests.support.service import Service
from tests.support.wsgi import flask_run, gunicorn

NAME = "uploads"
PATH = f"/v1/collections/{NAME}/documents"
NDJSON = "Content-Type: application/x-ndjson"
CHUNKED = "Transfer-Encoding: chunked"
BEGUN = head("POST", PATH, NDJSON, CHUNKED)
AT_ANY_PACE = {"DEMIJOHN_BODY_MIN_RATE": "0"}
"""For an upload that a test lets wait for something else."""


def chunk(data: bytes) -> bytes:
    """A chunk of a body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"
WHOLE = b'{"_id":1}\n{"_id":2}\n'
CUT: dict[str, tuple[bytes, set[int]]] = {
    "in a line": (BEGUN + chunk(WHOLE + b'{"_id":3,"a'), {1, 2}),
    "behind a line without its end": (BEGUN + chunk(WHOLE + b'{"_id":3}'), {1, 2}),
    "behind a line": (BEGUN + chunk(WHOLE), {1, 2}),
    "in a chunk": (BEGUN + b"ff\r\n" + WHOLE, {1, 2}),
    "in a chunk's head": (BEGUN + chunk(WHOLE) + b"1", {1, 2}),
    "in the last chunk": (BEGUN + chunk(WHOLE) + b"0\r\n", {1, 2}),
    "in a length": (head("POST", PATH, NDJSON, "Content-Length: 40") + WHOLE, {1, 2}),
    "in a line of a length": (head("POST", PATH, NDJSON, "Content-Length: 20") + WHOLE[:15], {1}),
    "before anything": (BEGUN, set()),
}
"""What is sent before the connection ends, and which documents may be there then."""


@pytest.fixture
def kept(database: Database) -> Iterator[Documents]:
    """What lies in the collection; empty at first."""
    with emptied(database.uri, NAME) as documents:
        yield documents


def ids_of(kept: Documents) -> set[Any]:
    """The ids of what is there."""
    return {each["_id"] for each in kept.find()}


def summary_of(answer: RawAnswer) -> dict[str, Any]:
    """The last line of a whole answer, which must be the summary."""
    assert (answer.status, answer.whole) == (200, True), answer
    value = json.loads(answer.body.splitlines()[-1])
    assert value["done"] is True
    assert isinstance(value, dict)
    return value


def _all_of(connection: socket.socket) -> bytes:
    """What still comes, until the connection ends, however it does."""
    text = b""
    try:
        while more := connection.recv(100_000):
            text += more
    except ConnectionError:
        pass
    return text


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("ending", ["half-closed", "closed"])
def test_an_upload_that_is_cut(service: Service, kept: Documents, name: str, ending: str) -> None:
    """It is never said to be whole, and no line without its end is taken for one."""
    sent, allowed = CUT[name]
    before = _ended(service)
    with connect(service.port) as connection:
        connection.sendall(sent)
        if ending == "half-closed":
            connection.shutdown(socket.SHUT_WR)
            answer = _all_of(connection)
            assert b"done" not in answer
            assert not answer.endswith(LAST) or b"incomplete-body" in answer
    wait_until(lambda: _ended(service) > before, "the upload is over")
    assert ids_of(kept) <= allowed


def _ended(service: Service) -> float:
    """How many requests with documents have come to their end so far."""
    return sum(value for _, value in series(service.port, "requests_total", 'method="POST"'))


@pytest.mark.parametrize("server", [flask_run, gunicorn])
def test_an_upload_that_is_cut_under_other_servers(
    database: Database, kept: Documents, tmp_path: Path, server: Any
) -> None:
    """A body shorter than its length is not said to be whole there either."""
    with server(tmp_path, {"MONGODB_URI": database.uri}) as url:
        port = int(url.rpartition(":")[2])
        for name in ("in a length", "in a line of a length"):
            sent, allowed = CUT[name]
            with connect(port) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                assert b"done" not in _all_of(connection)
            assert ids_of(kept) <= allowed
            kept.delete_many({})


class Talk:
    """An upload that is sent and answered line by line."""

    def __init__(self, connection: socket.socket, begun: bytes = BEGUN) -> None:
        """Send the head and one document."""
        self._connection = connection
        self._stream: BinaryIO = connection.makefile("rb")
        connection.sendall(begun)

    def send(self, data: bytes) -> None:
        """Send a chunk."""
        self._connection.sendall(chunk(data))

    def end(self) -> None:
        """Send the last chunk."""
        self._connection.sendall(LAST)

    def head(self) -> int:
        """Read the answer's head; its status."""
        status = int(self._stream.readline().split()[1])
        while self._stream.readline() not in (b"\r\n", b""):
            pass
        return status

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the next chunk; none where the answer ends."""
        size = int(self._stream.readline(), 16)
        data = self._stream.read(size + 2)[:size]
        return [json.loads(line) for line in data.splitlines()]


def test_it_is_answered_while_it_is_sent(service: Service, kept: Documents) -> None:
    """A refused line is told, and a good one is there, before the next is sent."""
    with connect(service.port) as connection:
        talk = Talk(connection)
        for number in range(3):
            talk.send(b'{"_id":%d}\n{}}\n' % number)
            if number == 0:
                assert talk.head() == 200
            (told,) = talk.lines()
            assert (told["line"], told["code"]) == (2 * number + 2, "malformed-json")
            assert ids_of(kept) == set(range(number + 1))
        talk.end()
        assert talk.lines() == [{"inserted": 3, "failed": 3, "done": True}]
        assert talk.lines() == []


def test_the_connection_goes_on_behind_it(service: Service, kept: Documents) -> None:
    """Requests that were sent behind an upload are answered in their turn."""
    upload = BEGUN + chunk(WHOLE) + LAST
    second = head("POST", PATH, NDJSON, "Content-Length: 9") + b'{"_id":3}'
    with connect(service.port) as connection:
        connection.sendall(upload + second + head("GET", "/livez", "Connection: close"))
        text = _all_of(connection)
    assert text.count(b'"done":true') == 2
    assert text.endswith(b'{"status":"live"}\n')
    assert ids_of(kept) == {1, 2, 3}


def test_a_client_that_closes_its_side_gets_the_whole_answer(
    service: Service, kept: Documents
) -> None:
    """What has come to its end is whole, though the client can send no more."""
    with connect(service.port) as connection:
        connection.sendall(BEGUN + chunk(WHOLE * 50) + LAST)
        connection.shutdown(socket.SHUT_WR)
        assert summary_of(read_answer(connection)) == {"inserted": 2, "failed": 98, "done": True}
    assert ids_of(kept) == {1, 2}


def test_an_upload_is_awaited_only_where_it_is_wanted(service: Service, kept: Documents) -> None:
    """`Expect: 100-continue` is answered with 100, or with the refusal and no 100."""
    expect = "Expect: 100-continue"
    with connect(service.port) as connection:
        connection.sendall(head("POST", PATH, NDJSON, "Content-Length: 20", expect))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(WHOLE)
        assert summary_of(read_answer(connection))["inserted"] == 2
    with connect(service.port) as connection:
        key = "Idempotency-Key: a"
        connection.sendall(head("POST", PATH, NDJSON, "Content-Length: 20", expect, key))
        assert read_answer(connection).status == 400
    assert ids_of(kept) == {1, 2}


def test_an_upload_by_http_1_0(service: Service, kept: Documents) -> None:
    """It is taken, and answered to its last line; then the connection ends."""
    request = head("POST", PATH, NDJSON, "Content-Length: 20").replace(b"HTTP/1.1", b"HTTP/1.0")
    with connect(service.port) as connection:
        connection.sendall(request + WHOLE)
        assert b'{"inserted":2,"failed":0,"done":true}\n' in _all_of(connection)
    assert ids_of(kept) == {1, 2}


def test_tiny_chunks_are_taken(service: Service, kept: Documents) -> None:
    """However much the coding adds, and however long it goes on."""
    lines = b"".join(b'{"_id":%d}\n' % number for number in range(5_000))
    coded = b"".join(b"00000001;x=%b\r\n%c\r\n" % (b"y" * 50, byte) for byte in lines)
    with connect(service.port, 120) as connection:
        connection.sendall(BEGUN + coded + LAST)
        assert summary_of(read_answer(connection)) == {"inserted": 5_000, "failed": 0, "done": True}
    assert kept.count_documents({}) == 5_000


def test_a_client_that_does_not_go_on_is_cut(
    database: Database, own_service: Starter, kept: Documents
) -> None:
    """After a pause, without the last line; what had come as lines may be there."""
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_BODY_MIN_RATE": "1MiB"})
    with connect(service.port) as connection:
        connection.sendall(BEGUN + chunk(WHOLE + b'{"_id":3}'))
        answer = read_answer(connection)
    assert (answer.status, answer.whole, answer.body) == (200, False, b"")
    assert ids_of(kept) == {1, 2}
    wait_until(lambda: service.events("request"), "the request is logged")
    (record,) = service.events("request")
    assert (record["problem"], record["cut"]) == ("body-timeout", True)


@pytest.mark.usefixtures("kept")
def test_uploads_keep_nobody_waiting(database: Database, own_service: Starter) -> None:
    """Dozens that do not go on, and as many under way: others are answered all the while."""
    service = own_service({"MONGODB_URI": database.uri})
    count = 60
    body = b"".join(b'{"n":%d}\n' % number for number in range(500))
    with ExitStack() as stack:
        held = [stack.enter_context(connect(service.port, 120)) for _ in range(2 * count)]
        for connection in held[:count]:
            connection.sendall(BEGUN + chunk(WHOLE) + b"ff\r\n")
        for connection in held[count:]:
            connection.sendall(BEGUN + chunk(body) + LAST)
        for _ in range(20):
            assert ask(service.port, head("GET", "/livez")).status == 200
            assert ask(service.port, head("GET", "/")).status == 200
        for connection in held[count:]:
            assert summary_of(read_answer(connection))["inserted"] == 500


def test_uploads_are_bounded(database: Database, own_service: Starter, kept: Documents) -> None:
    """One too many is 503 with Retry-After; when another has ended, there is room."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_MAX_STREAMS": "1"}
    service = own_service({**settings, **AT_ANY_PACE})
    with connect(service.port) as first:
        talk = Talk(first)
        talk.send(WHOLE)
        assert talk.head() == 200
        refused = ask(service.port, BEGUN + chunk(b'{"_id":3}\n') + LAST)
        assert (refused.status, json.loads(refused.body)["code"]) == (503, "overloaded")
        talk.end()
        assert talk.lines()[-1]["done"] is True
    assert summary_of(ask(service.port, BEGUN + chunk(b'{"_id":4}\n') + LAST))["inserted"] == 1
    assert ids_of(kept) == {1, 2, 4}


def test_a_lost_database_ends_an_upload(own_database: Database, own_service: Starter) -> None:
    """Each document of the command that failed is told, and the answer is cut without an end."""
    settings = {"MONGODB_URI": own_database.uri, "DEMIJOHN_DATABASE_TIMEOUT": "5"}
    service = own_service({**settings, **AT_ANY_PACE})
    with connect(service.port) as connection:
        talk = Talk(connection)
        talk.send(b'{"_id":1}\n')
        assert talk.head() == 200
        with emptied(own_database.uri, "other") as other:
            found = other.database[NAME]
            wait_until(lambda: found.count_documents({}) == 1, "the first document is there")
        own_database.kill()
        talk.send(b'{"_id":2}\n{"_id":3}\nno\n')
        told = talk.lines()
        assert [each["line"] for each in told] == [2, 3, 4]
        assert {each["status"] for each in told[:2]} == {503}
        assert _all_of(connection) == b""
    wait_until(lambda: service.events("request"), "the request is logged")
    (record,) = service.events("request")
    assert (record["cut"], record["problem"]) == (True, told[0]["code"])


@pytest.mark.parametrize("patience", [60, 1])
def test_an_upload_while_the_service_stops(
    database: Database, own_service: Starter, kept: Documents, patience: int
) -> None:
    """It goes on to its end if that comes in time, and is cut if not."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_DRAIN_TIMEOUT": str(patience)}
    service = own_service({**settings, **AT_ANY_PACE})
    with connect(service.port) as connection:
        talk = Talk(connection)
        talk.send(WHOLE)
        assert talk.head() == 200
        wait_until(lambda: ids_of(kept) == {1, 2}, "what was sent so far is there")
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: service.events("draining"), "it stops")
        if patience == 1:
            assert _all_of(connection) == b""
        else:
            talk.send(b'{"_id":3}\n')
            talk.end()
            assert talk.lines() == [{"inserted": 3, "failed": 0, "done": True}]
    assert service.wait() == (Exit.OK if patience > 1 else Exit.CUT_SHORT)
    assert ids_of(kept) == ({1, 2, 3} if patience > 1 else {1, 2})
