"""One client connection: uvicorn's HTTP/1.1 protocol with the deadlines and bounds it lacks.

uvicorn times idle keep-alive connections only. Here a connection that sends half a head is
closed too, as is one whose client leaves an answer unread, one too many, and one whose message
has more chunked coding or trailers around it than any body could need.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

CONNECTION = "demijohn.connection"
"""ASGI scope: the Connection that the request came by."""
LARGEST_HEAD = 64 * 1024
"""Bytes of a request line and its headers."""
FIRST_REQUEST = 0.5
"""Seconds that a connection which has asked nothing yet gets when the service stops."""
_CODING_OVERHEAD = 16
"""Bytes that chunked coding may add to each of the body: five for a chunk of one, and room."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one worker's connections are held to. Times in seconds, sizes in bytes."""

    head_timeout: float
    max_connections: int
    max_body: int
    busy_answer: bytes = field(repr=False)
    """What a connection past the bound is told: a whole HTTP response."""
    long_head_answer: bytes = field(repr=False)


class Connection(HttpToolsProtocol):
    """A connection, from accept to close. Built by uvicorn, see `bounded`."""

    bounds: Bounds

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn builds it."""
        super().__init__(config, server_state, app_state, _loop)
        self._opened = time.monotonic()
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_in_head = False
        self._overhead = 0
        self._most_overhead = LARGEST_HEAD + _CODING_OVERHEAD * self.bounds.max_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.max_connections:
            self._refuse(self.bounds.busy_answer)
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that no answer is waiting for must become a head in time."""
        if self.transport.is_closing():
            return
        if self._is_idle() and self._head_timer is None:
            self._await_head()
        self._overhead += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._overhead > LARGEST_HEAD:
            self._refuse(self.bounds.long_head_answer)
        elif self._overhead > self._most_overhead:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins; hand this connection down in its scope."""
        self._is_in_head = True
        if self._head_timer is None:
            self._await_head()  # it is pipelined: the answer before it is still under way
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[literal-required]

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers, which come after the head, are of no use here."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of the body, which whoever reads it bounds."""
        self._overhead -= len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_in_head = False
        self._stop_head_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; inside an answer under way nothing more may be said."""
        if self.cycle is not None and self.cycle.response_started and not self._is_idle():
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that does not read its last answer is cut."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """Close if idle, else after the answer under way.

        A client that has only just connected, or has sent half a head, gets a moment for the
        rest: it could not know.
        """
        if self._is_idle() and (self.cycle is None or self._is_in_head):
            self._stop_head_timer()
            self._await_head(FIRST_REQUEST)
        else:
            super().shutdown()

    def age(self) -> float:
        """Seconds since the connection was accepted."""
        return time.monotonic() - self._opened

    def has_whole_body(self) -> bool:
        """Whether the present request's body has arrived to its end."""
        return not self.cycle.more_body and not self.cycle.disconnected

    def is_gone(self) -> bool:
        """Whether the client has left or is being left."""
        return self.transport.is_closing()

    def abort(self) -> None:
        """End the connection at once, so that no part of an answer passes for the whole."""
        self.transport.abort()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self, seconds: float | None = None) -> None:
        self._overhead = 0
        patience = self.bounds.head_timeout if seconds is None else seconds
        self._head_timer = self.loop.call_later(patience, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        self.transport.abort()

    def _refuse(self, answer: bytes) -> None:
        self._stop_head_timer()
        self.transport.write(answer)
        self.transport.close()


def bounded(bounds: Bounds) -> type[Connection]:
    """The protocol class, for uvicorn to instantiate, held to the given bounds."""
    return type("BoundedConnection", (Connection,), {"bounds": bounds})
