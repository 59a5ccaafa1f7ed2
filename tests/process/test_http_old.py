"""HTTP/1.0: answers without chunks, which end with their connection and never break off unseen."""

from __future__ import annotations

import json
import socket

import pytest

from tests.conftest import Starter
from tests.support.database import Database
from tests.support.processes import wait_until
from tests.support.raw_http import connect
from tests.support.service import Service
from tests.support.tiny import tiny

DOCUMENTS = "/v1/collections/old/documents"
NDJSON = "application/x-ndjson"
MANY = 5_000


def _ask(port: int, request: str, body: bytes = b"") -> tuple[dict[str, str], bytes]:
    """The headers and all that follows until the connection ends; with a reset, as OSError."""
    with connect(port) as connection:
        connection.sendall(f"{request}\r\nHost: localhost\r\n\r\n".encode() + body)
        return _answer(connection)


def _answer(connection: socket.socket) -> tuple[dict[str, str], bytes]:
    text = b""
    while more := connection.recv(65_536):
        text += more
    head, _, body = text.partition(b"\r\n\r\n")
    lines = [each.partition(": ") for each in head.decode("latin-1").split("\r\n")[1:]]
    return {name.lower(): value for name, _, value in lines}, body


@pytest.fixture
def filled(database: Database, own_service: Starter) -> Service:
    """A service whose collections `data` and `old` have many documents each."""
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "old"})
    lines = b"".join(b'{"n":%d,"text":"%b"}\n' % (n, b"x" * 100) for n in range(MANY))
    for collection in ("data", "old"):
        head = (
            f"POST /v1/collections/{collection}/documents HTTP/1.0\r\nContent-Type: {NDJSON}\r\n"
            f"Content-Length: {len(lines)}"
        )
        _, summary = _ask(service.port, head, lines)
        assert json.loads(summary.splitlines()[-1])["inserted"] == MANY
    return service


def test_a_stream_has_no_chunks(filled: Service) -> None:
    """An array and lines come as they are, all of them, and their end is the connection's.

    A wish to keep it alive, which HTTP/1.0 could have, does not change that.
    """
    for wish in ("", "\r\nConnection: keep-alive"):
        headers, body = _ask(filled.port, f"GET /data HTTP/1.0{wish}")
        assert sorted(each["n"] for each in json.loads(body)) == list(range(MANY))
        assert {"transfer-encoding", "content-length"}.isdisjoint(headers)
        assert headers["connection"] == "close"
    headers, body = _ask(filled.port, f"GET {DOCUMENTS} HTTP/1.0\r\nAccept: {NDJSON}")
    assert sorted(json.loads(each)["n"] for each in body.splitlines()) == list(range(MANY))
    assert {"transfer-encoding", "content-length"}.isdisjoint(headers)


def test_what_has_a_length_keeps_it() -> None:
    """An answer that is known whole tells its length, and an answer to HEAD has no body."""
    with tiny("large") as server:
        headers, body = _ask(server.port, "GET / HTTP/1.0")
        assert int(headers["content-length"]) == len(body) > 0
        headers, body = _ask(server.port, "HEAD / HTTP/1.0")
        assert int(headers["content-length"]) > len(body) == 0


def test_a_stream_that_fails_resets_the_connection() -> None:
    """Without chunks only a reset tells a client that the answer is not whole."""
    with tiny("raising") as server, pytest.raises(ConnectionResetError):
        _ask(server.port, "GET / HTTP/1.0")


def test_an_answer_that_nobody_reads_resets_the_connection() -> None:
    """A client that stops reading, then reads on too late, is told that the rest is lost."""
    with tiny("large", stall_timeout=0.3) as server, connect(server.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: _is_reset(connection), "the connection is reset")


def test_an_endless_stream_is_cut_by_a_reset() -> None:
    """At the end of the drain what is still under way is reset."""
    with tiny("endless", drain_timeout=0.3) as server, connect(server.port) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1_000)
        server.process.terminate()
        with pytest.raises(ConnectionResetError):
            _answer(connection)


def _is_reset(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
