"""One HTTP/1.1 request, whose answer is read while the request is still being sent.

An upload is answered as it goes, by a service that reads no further before it is listened to; a
client that first sends everything would wait for the service, and the service for it. Clients
that one could use do so, and some repeat a request by themselves; this one does neither.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httptools
from urllib3.util import Url

CONNECT_TIMEOUT = 5.0
"""Seconds for a connection, and as many for TLS."""
SILENCE = 120.0
"""Seconds in which nothing moves; well past the service's own deadlines, which answer before it."""
CHUNK = 64 * 1024
HTTPS = "https"
PORTS = {"http": 80, HTTPS: 443}
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Lost(Exception):
    """The connection failed before the answer was whole; the text is why, for people."""


@contextmanager
def connect(url: Url) -> Iterator[socket.socket]:
    """A connection to the host of `url`, TLS and all. Raises OSError."""
    scheme, host = url.scheme or "http", (url.host or "").strip("[]")
    with socket.create_connection((host, url.port or PORTS[scheme]), CONNECT_TIMEOUT) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if scheme != HTTPS:
            yield plain
            return
        with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as safe:
            yield safe


def head(url: Url, method: str, path: str, headers: dict[str, str]) -> bytes:
    """The bytes of a request up to its body; `path` goes behind that of `url`."""
    lines = [f"{method} {(url.path or '').rstrip('/')}{path} HTTP/1.1", f"Host: {url.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


class Exchange:
    """A request on its way over a connection, and its answer as it comes."""

    def __init__(self, sock: socket.socket, request: bytes, body: bytes) -> None:
        """Take a connection that is used for nothing else, and the request: its head and body."""
        sock.setblocking(False)
        self.status = 0
        self.headers: dict[str, str] = {}
        """By name in lower case."""
        self._sock = sock
        self._unsent = deque(memoryview(each) for each in (request, body) if each)
        self._parser = httptools.HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._has_head = self._is_whole = False

    def begin(self) -> None:
        """Go on until the answer has begun. Raises Lost."""
        while not self._has_head:
            self._move()

    def body(self) -> Iterator[bytes]:
        """The answer's body in chunks, as they come. Raises Lost unless it comes to its end."""
        while self._parts or not self._is_whole:
            if self._parts:
                yield self._parts.popleft()
            else:
                self._move()

    def on_message_begin(self) -> None:
        """Forget an interim answer (RFC 9110, section 15.2)."""
        self.headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the answer."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note that the answer has begun."""
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= HTTPStatus.OK

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Note that nothing of the answer is missing."""
        self._is_whole = self._has_head

    def _move(self) -> None:
        """Send and receive what goes at once; wait where nothing does."""
        try:
            is_moving = self._send()
            if not self._receive() and not is_moving:
                self._wait()
        except OSError as error:
            raise Lost(reason(error)) from error
        except httptools.HttpParserError as error:
            raise Lost("the answer is no HTTP") from error

    def _send(self) -> bool:
        if not self._unsent:
            return False
        piece = self._unsent.popleft()
        try:
            sent = self._sock.send(piece[:CHUNK])
        except _NOT_NOW:
            self._unsent.appendleft(piece)
            return False
        except OSError:
            # The service takes no more of it. It may have said why.
            self._unsent.clear()
            return True
        if sent < len(piece):
            self._unsent.appendleft(piece[sent:])
        return True

    def _receive(self) -> bool:
        try:
            data = self._sock.recv(CHUNK)
        except _NOT_NOW:
            return False
        if not data:
            where = "in the middle of the answer" if self._has_head else "without an answer"
            raise Lost(f"the connection ended {where}")
        self._parser.feed_data(data)
        return True

    def _wait(self) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, events)
            if not selector.select(SILENCE):
                raise Lost(f"no answer within {SILENCE:.0f} seconds")


def reason(error: OSError) -> str:
    """Why something with the network failed, in a few words for people."""
    if isinstance(error, TimeoutError) and not error.errno:
        return f"no connection within {CONNECT_TIMEOUT:.0f} seconds"
    return error.strerror or str(error) or type(error).__name__
