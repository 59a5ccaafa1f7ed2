"""One client connection: uvicorn's HTTP/1.1 protocol with the deadlines and bounds it lacks.

uvicorn times idle keep-alive connections only, and parses whatever it is sent. Here

- a connection that sends half a head, leaves an answer unread, or is one too many is closed;
- requests that are sent before their turn (pipelining) wait unparsed, all but a few;
- what is not HTTP is refused behind the answers still under way, never inside one of them;
- a client that has sent all and closed its side still gets its answer;
- an answer to HTTP/1.0 is never in chunks;
- a wish for another protocol (`Upgrade`) is passed over, as RFC 9110, section 7.8 allows,
  and the request is served; the parser would take its body for the next request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from demijohn.front.bounds import BUSY, LONG_HEAD, NOT_HTTP, Bounds
from demijohn.front.closing import OLD, end_by_closing, reset_at_close
from demijohn.front.flow import Flow
from demijohn.front.heads import framing, is_brief, origin_form

CONNECTION = "demijohn.connection"
"""ASGI scope: the Connection that the request came by."""
SHED = "demijohn.shed"
"""ASGI scope: true where the request is to be refused, for there are too many."""
LARGEST_HEAD = 16 * 1024
"""Bytes of a request line and its headers: ten thousand half-sent ones must fit into memory."""
SLICE = 4 * 1024
"""Bytes that are parsed at one time: how many requests can be in them is bounded."""
FIRST_REQUEST = 1.0
"""Seconds that a connection which has asked nothing yet gets when the service stops."""
MANAGEMENT_CONNECTIONS = 100
"""Connections that the management port takes above all others together."""
_CODING_OVERHEAD = 16
"""Bytes that chunked coding may add to each of the body: five for a chunk of one, and room."""


class Connection(HttpToolsProtocol):
    """A connection, from accept to close. Built by uvicorn, see `bounded`."""

    bounds: Bounds
    flow: Flow

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
        # Requests whose head has come and whose answer has not gone out. uvicorn starts the
        # oldest; the others wait in its `pipeline`, newest left; `cycle` is the newest of all.
        self._unanswered = 0
        # What has come behind a request that waits in the pipeline; nothing is read meanwhile.
        self._unparsed = b""
        # What is said behind the last of the answers; nothing is parsed any more.
        self._refusal: bytes | None = None
        self._has_ended = False
        # While the body of a request that was shed goes by.
        self._is_skipping = False
        self.when_lost: Callable[[], None] | None = None
        # While a fresh parser is fed a head that was already heard.
        self._is_muted = False

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it where there are too many."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        most = self.bounds.max_connections
        if self.server is not None and self.server[1] == self.bounds.management_port:
            most += MANAGEMENT_CONNECTIONS
        if len(self.connections) > most:
            self._refuse(BUSY)
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Parse what has come; bytes that no answer is waiting for must become a head in time."""
        if self.transport.is_closing() or self._refusal is not None:
            return
        self._unset_keepalive_if_required()
        self._parse_in_turn(self._unparsed + data if self._unparsed else data)
        is_timed = self._head_timer is not None or self.timeout_keep_alive_task is not None
        if not is_timed and self._is_idle() and not self.transport.is_closing():
            self._await_head()  # a head that comes whole needs no timer

    def eof_received(self) -> bool:  # type: ignore[override]
        """Go on with the answers to a client that has closed its side; without any, close."""
        self._has_ended = True
        if self._is_idle():
            return False
        self.cycle.message_event.set()  # whoever waits for more of its body learns that it is cut
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer, and tell whoever wants to know."""
        self._stop_head_timer()
        super().connection_lost(exc)
        if self.when_lost is not None:
            self.when_lost()

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request begins; hand this connection down in its scope."""
        if self._is_muted:
            return
        self._is_in_head = True
        self._is_skipping = False
        self._overhead = 0
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[literal-required]

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        if not self._is_muted:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers, which come after the head, are of no use here."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._is_muted:
            return
        self._is_in_head = False
        self._stop_head_timer()
        if not self.url.startswith((b"/", b"*")):
            self.url, self.headers[:] = origin_form(self.url, self.headers)
        if self._is_shed():
            if self._shed_at_once():
                return
            self.scope[SHED] = True  # type: ignore[literal-required]
        super().on_headers_complete()
        self._unanswered += 1  # not before: a target that can't be parsed makes no request
        if self.scope["http_version"] == OLD:
            end_by_closing(self.cycle)

    def on_body(self, body: bytes) -> None:
        """A part of the body, which whoever reads it bounds."""
        self._overhead -= len(body)
        if not self._is_skipping:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole, unless the parser has only skipped it for an `Upgrade`."""
        skipped = self.parser.should_upgrade() and framing(self.headers)
        if not self._is_muted and not skipped and not self._is_skipping:
            super().on_message_complete()

    # What an answer calls

    def on_response_complete(self) -> None:
        """Turn to what has waited for this answer to end."""
        self._unanswered -= 1
        super().on_response_complete()
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size():
                self.loop.call_later(self.bounds.stall_timeout, self.abort)
        elif self._refusal is not None:
            if not self._unanswered:
                self._say_and_close(self._refusal)
        elif self._unparsed or self._is_in_head or self._has_ended:
            self.loop.call_soon(self._parse_rest)
        elif not self.pipeline:
            self.flow.hold(back=False)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that does not read its last answer is cut."""
        if self.has_unsent():
            self.abort()
        else:
            super().timeout_keep_alive_handler()

    # What the server and the shell call

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

    def take_body(self, scope: Mapping[str, Any]) -> bytes | None:
        """The body of the request of that scope, where all of it has come by now, once."""
        cycle = self.cycle
        is_here = cycle.scope is scope and not (cycle.more_body or cycle.disconnected)
        if not is_here or cycle.waiting_for_100_continue:
            return None
        body = bytes(cycle.body)
        cycle.body = bytearray()
        return body

    def has_ended(self) -> bool:
        """Whether the client has closed its side: what has not come by now never will."""
        return self._has_ended

    def forgive_framing(self) -> None:
        """Begin anew to count what chunked coding adds: the body has no bound, each piece has."""
        self._overhead = 0

    def has_unsent(self) -> bool:
        """Whether something was written that the kernel has not taken yet."""
        return bool(self.transport.get_write_buffer_size())

    def is_gone(self) -> bool:
        """Whether the client has left or is being left."""
        return self.transport.is_closing()

    def abort(self) -> None:
        """End the connection at once, so that no part of an answer passes for the whole.

        To a client that does not read, by a reset: or the kernel would keep for minutes what it
        has taken, of megabytes.
        """
        is_open = self in self.connections  # later its descriptor may be another's
        is_old = self.cycle is not None and self.cycle.scope["http_version"] == OLD
        if is_open and (is_old or self.has_unsent()):
            reset_at_close(self.transport)
        self.transport.abort()

    # Parsing

    def _parse_in_turn(self, data: bytes) -> None:
        """Parse until a request has to wait for its turn; keep the rest as it came."""
        self._unparsed = b""
        for start in range(0, len(data), SLICE):
            if self.pipeline:
                self._unparsed = data[start:]
                break
            if not self._parse(data[start : start + SLICE]):
                return
        # Nothing more is read before what was read has been parsed: it would pile up.
        self.flow.hold(back=bool(self.pipeline))

    def _parse_rest(self) -> None:
        if self.transport.is_closing() or self.pipeline:
            return
        if self._unparsed:
            self.data_received(b"")
            return
        self.flow.hold(back=False)
        if self._has_ended and self._is_idle():
            self.transport.close()
        elif self._is_in_head and self._is_idle() and self._head_timer is None:
            self._await_head()

    def _parse(self, data: bytes) -> bool:
        """Parse some bytes; False where the connection can't go on."""
        self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            return self._pass_over_upgrade(data[stop.args[0] :])
        except httptools.HttpParserError:
            self._refuse(NOT_HTTP)
            return False
        if self._is_in_head and self._overhead > LARGEST_HEAD:
            self._refuse(LONG_HEAD)
            return False
        if self._overhead > self._most_overhead:
            self.transport.abort()
            return False
        return True

    def _pass_over_upgrade(self, rest: bytes) -> bool:
        """Go on with a fresh parser that has seen the same head, less its `Upgrade`."""
        self.parser = httptools.HttpRequestParser(self)
        self._is_muted = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + framing(self.headers) + b"\r\n")
        self._is_muted = False
        return self._parse(rest) if rest else True

    # Shedding

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.bounds.shedding.begun += 1  # until the shell takes it
        super()._start_asgi_task(cycle, app)

    def _is_shed(self) -> bool:
        """Whether there are too many for this request; probes are never."""
        if not self.bounds.shedding.loop.is_lasting:
            return False  # most of the time this is all that it costs
        on_management_port = self.server and self.server[1] == self.bounds.management_port
        if on_management_port or self.url.partition(b"?")[0] in self.bounds.unshed:
            return False
        return self.bounds.shedding.has_too_many()

    def _shed_at_once(self) -> bool:
        """Refuse the request without beginning it; False where that takes more than a few bytes.

        Whoever does not read is not written to without end.
        """
        method = self.parser.get_method()
        is_turn = not self._unanswered and not self.flow.write_paused
        if not self._goes_on() or not is_turn or not is_brief(method, self.headers):
            return False
        self._is_skipping = True
        self.transport.write(self.bounds.shed(method, self.headers))
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        return True

    def _goes_on(self) -> bool:
        """Whether the connection is to go on behind an answer, and none has to say that it ends."""
        parser = self.parser
        if not parser.should_keep_alive() or parser.should_upgrade():
            return False
        if not self.bounds.shedding.keeps_connections or parser.get_http_version() == OLD:
            return False
        return not self.bounds.max_age or self.age() <= self.bounds.max_age

    # Endings

    def _is_idle(self) -> bool:
        return self._unanswered == 0

    def _refuse(self, reason: str) -> None:
        """Say so and close: now, or behind the answers that are under way."""
        self._stop_head_timer()
        answer = self.bounds.refuse(reason)
        if self._unanswered and self.cycle.more_body and not self._give_up_newest():
            return
        if self._unanswered:
            self._refusal = answer
            self.flow.hold(back=True)
        else:
            self._say_and_close(answer)

    def _give_up_newest(self) -> bool:
        """The newest request will never be whole; false where its answer has begun, and is cut."""
        if self.pipeline:
            self.pipeline.popleft()
        elif self.cycle.response_started:
            self.transport.abort()
            return False
        self._unanswered -= 1
        return True

    def _say_and_close(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()

    def _await_head(self, seconds: float | None = None) -> None:
        patience = self.bounds.head_timeout if seconds is None else seconds
        self._head_timer = self.loop.call_later(patience, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        self.transport.abort()


def bounded(bounds: Bounds) -> type[Connection]:
    """The protocol class, for uvicorn to instantiate, held to the given bounds."""
    return type("BoundedConnection", (Connection,), {"bounds": bounds})
