"""The HTTP client of `demijohn import` and `export`, on real connections to services gone wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from demijohn.cli.client import ConnectionLost, Refused, Service, Unreachable

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
Serve = Callable[[socket.socket], None]


@contextmanager
def serving(serve: Serve) -> Iterator[Service]:
    """A client of a service that does this with its one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            connection, _ = listener.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=work)
        thread.start()
        yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}/base", "my things")
        thread.join(60)


def answering(answer: bytes) -> Serve:
    """Read a request's head, and answer with these bytes."""

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(answer)

    return serve


def read_head(connection: socket.socket) -> bytes:
    """All up to the empty line."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1)
    return data


def export(service: Service) -> bytes:
    """All that it has."""
    with service.documents({}, "application/x-ndjson") as chunks:
        return b"".join(chunks)


def test_the_answer_is_read_while_the_request_is_sent() -> None:
    """A service that takes no more before it is listened to is listened to."""
    size = 40_000_000

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(CHUNKED)
        received = said = 0
        while received < size:
            received += len(connection.recv(100_000))
            # As much to be said as there was to hear: no buffer on the way holds it.
            while said < received:
                connection.sendall(b"2710\r\n" + b"x" * 9_999 + b"\n\r\n")
                said += 10_000
        connection.sendall(b"0\r\n\r\n")

    with serving(serve) as service, service.upload(b"y" * size, extended=False) as lines:
        heard = sum(len(line) for line in lines)

    assert heard >= size * 0.999


def test_the_request_says_what_is_asked_for() -> None:
    """Path, parameters and headers are spelled as HTTP wants them."""
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heads.append(read_head(connection))
        connection.sendall(OK + b"Content-Length: 0\r\n\r\n")

    with serving(serve) as service, service.documents({"filter": '{"ä b": "&"}'}, "a/b") as chunks:
        assert list(chunks) == []

    first, *headers = heads[0].decode("ascii").split("\r\n")
    expected = "filter=%7B%22%C3%A4%20b%22%3A%20%22%26%22%7D"
    assert first == f"GET /base/v1/collections/my%20things/documents?{expected} HTTP/1.1"
    assert {"Accept: a/b", "Connection: close"} <= set(headers)
    assert any(header.startswith("Host: 127.0.0.1:") for header in headers)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 O",
        OK + b"Content-Length: 3\r\n\r\n{}",
        OK + b"\r\n{}\n",
        CHUNKED,
        CHUNKED + b"3\r\n{}\n",
        CHUNKED + b"3\r\n{}\n\r\n",
        CHUNKED + b"3\r\n{}\n\r\n0\r\n",
        CHUNKED + b"3\r\n{}\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
def test_a_part_is_never_taken_for_whole(answer: bytes) -> None:
    """Wherever an answer is cut, or whatever it is if not HTTP, the export fails."""
    with serving(answering(answer)) as service, pytest.raises(ConnectionLost):
        export(service)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 3\r\n\r\n{}\n",
        CHUNKED + b"2\r\n{}\r\n1\r\n\n\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + b"Content-Length: 3\r\n\r\n{}\n",
        OK.replace(b"ndjson", b"ndjson; mode=canonical") + b"Content-Length: 3\r\n\r\n{}\n",
    ],
)
def test_whole_answers(answer: bytes) -> None:
    """With a length or in chunks, after interim answers or not, all of it is given."""
    with serving(answering(answer)) as service:
        assert export(service) == b"{}\n"


def test_an_early_refusal_is_heard() -> None:
    """A service that refuses while the upload is on its way, and reads no more, is understood."""
    problem = b'{"code": "overloaded", "detail": "later"}'
    head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: %d\r\n\r\n"

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(head % len(problem) + problem)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1_000_000):
            pass

    with (
        serving(serve) as service,
        pytest.raises(Refused) as refused,
        service.upload(b"y" * 30_000_000, extended=False),
    ):
        pass

    assert refused.value.problem.code == "overloaded"
    assert refused.value.problem.retry_after == 7


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi", "http-200"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "http-302"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100\r\n\r\n<html>", "http-502"),
        (b"HTTP/1.1 503 No\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", "http-503"),
    ],
)
def test_strangers_are_told_apart(answer: bytes, code: str) -> None:
    """What is no list of documents is none, and no problem of a demijohn either."""
    with serving(answering(answer)) as service, pytest.raises(Refused) as refused:
        export(service)

    assert refused.value.problem.code == code


def test_nobody_listens() -> None:
    """Where no connection can be made, that is said, and nothing was sent."""
    # One that is taken, or the next to ask for any port might be given it, and listen.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="Is one running"):
            export(Service(f"http://127.0.0.1:{taken.getsockname()[1]}", "data"))
