"""An HTTP/1.1 client that never tries anything twice: one request on the wire, one outcome.

Client libraries repeat a request by themselves when a kept-alive connection turns out to be
dead, which is the very failure that a drill must see. This one has no code that could.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import httptools
from urllib3.util import parse_url

from demijohn.drill.outcomes import Failure, in_words

TIMEOUT = 10.0
"""Seconds without a byte after which a request has failed."""
NO_STATUS = 0
_TURNED_AWAY: dict[int, Failure] = {
    HTTPStatus.UNAUTHORIZED: Failure.DENIED,
    HTTPStatus.FORBIDDEN: Failure.DENIED,
    HTTPStatus.TOO_MANY_REQUESTS: Failure.LIMITED,
}
_EXHAUSTED = frozenset(
    {errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
)
"""What connect(2) and socket(2) say where this machine has no port, file or memory left."""
Address = tuple[socket.AddressFamily, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Target:
    """A service, its name resolved once: what is tested is the service, not the resolver."""

    host: str
    address: Address
    tls: ssl.SSLContext | None
    authority: str
    prefix: str
    """Path in front of every path."""
    key: str | None = field(default=None, repr=False)
    """What every request shows, where the service asks for keys."""

    @classmethod
    async def resolve(cls, url: str, key: str | None = None) -> Target:
        """The service at `url`. Raises OSError where its name has no address."""
        parts = parse_url(url)
        host = (parts.host or "").strip("[]")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
        # IPv4 first: a NodePort or a forwarded port often listens on nothing else.
        family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        return cls(
            host=host,
            address=(family, cast("tuple[str, int]", address[:2])),
            tls=ssl.create_default_context() if parts.scheme == "https" else None,
            authority=parts.netloc or host,
            prefix=(parts.path or "").rstrip("/"),
            key=key,
        )

    def request(self, method: str, path: str, body: bytes = b"", *, close: bool = False) -> bytes:
        """The bytes of a request; `close` announces that no other will follow."""
        lines = [
            f"{method} {self.prefix}{path} HTTP/1.1",
            f"Host: {self.authority}",
            "User-Agent: demijohn-drill",
            "Accept: */*",
        ]
        if self.key is not None:
            lines.append(f"Authorization: Bearer {self.key}")
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if close:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended: with a whole answer, or with a failure."""

    status: int
    failure: Failure | None
    fault: str = ""
    """Of what could not be reached, or not be sent: why, in the system's words."""

    @property
    def how(self) -> str:
        """How it failed, in words; nothing where it has not."""
        return "" if self.failure is None else in_words(self.failure, self.fault)

    def expecting(self, status: int) -> Failure | None:
        """The failure, where any status but this one is also a failure."""
        if self.failure or self.status == status:
            return self.failure
        is_theirs = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        other = Failure.SERVER_ERROR if is_theirs else Failure.UNEXPECTED
        return _TURNED_AWAY.get(self.status, other)


class Connection(asyncio.Protocol):
    """One connection, with at most one request under way.

    `sink` gets the parts of answers' bodies as they come. `pause` is asked after each read, with
    the number of bytes, for how many seconds nothing more is to be read.
    """

    def __init__(
        self,
        sink: Callable[[bytes], None] | None = None,
        pause: Callable[[int], float] | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """Take the seconds that the other side may be silent; connect to nothing yet."""
        self.can_send = False
        """Whether another request may be sent: it is open, and no answer has ruled that out."""
        self.closed_idle = False
        """Whether the other side closed it unannounced, with no request under way."""
        self._sink = sink
        self._pause = pause
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._outcome: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def open(self, target: Target, receive_buffer: int | None = None) -> Answer | None:
        """Connect; what a request gets where that does not succeed.

        The buffer is the kernel's, in bytes. It is set before connecting, for the window that the
        other side is told.
        """
        family, address = target.address
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            return _without_connection(error)
        sock.setblocking(False)
        try:
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            async with asyncio.timeout(self._timeout):
                await self._loop.sock_connect(sock, address)
                await self._loop.create_connection(
                    lambda: self,
                    sock=sock,
                    ssl=target.tls,
                    server_hostname=target.host if target.tls else None,
                )
        except OSError as error:
            sock.close()
            return _without_connection(error)
        return None

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and wait for the end of its answer, whatever that is."""
        assert self._transport is not None
        self._outcome = self._loop.create_future()
        self._status = NO_STATUS
        self._has_begun = False
        self._parser = httptools.HttpResponseParser(self)
        self._restart_timer()
        self._transport.write(request)
        return await self._outcome

    def close(self) -> None:
        """Leave."""
        self.can_send = False
        if self._transport is not None:
            self._transport.close()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)
        self.can_send = True

    def data_received(self, data: bytes) -> None:
        """Parse a part of the answer."""
        if self._outcome is None:
            self.close()  # Bytes that nobody asked for: nothing behind them can be trusted.
            return
        self._has_begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._abandon(Failure.UNEXPECTED)
            return
        if self._outcome is not None:
            self._restart_timer()
            self._rest(len(data))

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone: fail the request under way, if there is one."""
        self.closed_idle = self.can_send and self._outcome is None
        self.can_send = False
        if self._outcome is None:
            return
        if self._has_begun:
            self._end(Failure.SHORT)
        else:
            self._end(Failure.CLOSED if error is None else Failure.RESET)

    # What the parser calls

    def on_headers_complete(self) -> None:
        """The status is known."""
        self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._sink is not None:
            self._sink(body)

    def on_message_complete(self) -> None:
        """The answer is whole, and says whether another request may follow."""
        keeps = self._parser.should_keep_alive()
        self._end(None)
        if not keeps:
            self.close()

    # Endings

    def _end(self, failure: Failure | None) -> None:
        self._stop_timer()
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done():
            outcome.set_result(Answer(self._status, failure))

    def _abandon(self, failure: Failure) -> None:
        self.can_send = False
        self._end(failure)
        if self._transport is not None:
            self._transport.abort()

    def _rest(self, size: int) -> None:
        seconds = self._pause(size) if self._pause else 0
        transport = self._transport
        if seconds > 0 and transport is not None and not transport.is_closing():
            transport.pause_reading()
            self._loop.call_later(seconds, self._resume, transport)

    def _resume(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            transport.resume_reading()

    def _restart_timer(self) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(self._timeout, self._abandon, Failure.TIMED_OUT)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _without_connection(error: OSError) -> Answer:
    if isinstance(error, ConnectionRefusedError):
        return Answer(NO_STATUS, Failure.REFUSED)
    if isinstance(error, ConnectionResetError):
        return Answer(NO_STATUS, Failure.RESET)
    if isinstance(error, TimeoutError):
        return Answer(NO_STATUS, Failure.TIMED_OUT)
    kind = Failure.EXHAUSTED if error.errno in _EXHAUSTED else Failure.UNREACHABLE
    return Answer(NO_STATUS, kind, str(error))
