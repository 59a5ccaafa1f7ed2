"""The ASGI application: one request from its head to the end of its answer.

Down: context → who it is → probes → body → express path or bridge. Up: the answer, its common
headers, its record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from demijohn.auth.caller import ANYONE
from demijohn.edge.context import Admission, Context
from demijohn.edge.entrance import NO_ROUTE, PROBES, Outcome
from demijohn.edge.handover import FEED, UPLOAD, Feed, Slot, Upload
from demijohn.edge.reply import Reply, problem_reply
from demijohn.errors import (
    BadParameter,
    BodyTimeout,
    IncompleteBody,
    InternalError,
    NotFound,
    Overloaded,
    Problem,
    UnsupportedMediaType,
)
from demijohn.formats.media_types import READ_AS_EXTENDED
from demijohn.front.body import BodyReader
from demijohn.front.bridge import Answer, Bridge, Rest
from demijohn.front.exchange import ClientGone, Exchange
from demijohn.front.express import Express
from demijohn.front.feed import Feeds, Following
from demijohn.front.gate import Gate
from demijohn.front.parts import Parts
from demijohn.front.protocol import CONNECTION, SHED, Connection
from demijohn.front.shedding import Shedding
from demijohn.front.unread import Unread
from demijohn.front.upload import Uploads, is_upload

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
BODILESS = (204, 304)
"""Statuses whose answers have no body, and no length of one (RFC 9110, section 8.6)."""
LINGER = 2.0
"""Seconds that a refused body is still read, so that the client gets to see the refusal."""


class Shell:
    """One worker's ASGI application. Every method runs on the event loop."""

    def __init__(
        self,
        parts: Parts,
        bridge: Bridge,
        express: Express | None,
        management_port: int | None,
        shedding: Shedding,
    ) -> None:
        """Take the parts that a request passes on its way, and the port of the probes, if any."""
        self._settings = settings = parts.settings
        self._entrance = parts.entrance
        self._operations = parts.operations
        self._bridge = bridge
        self._express = express
        self._bodies = BodyReader(settings)
        self._unread = Unread(int(settings.max_bodies))
        self._gate = Gate(int(settings.max_body))
        self._uploads = Uploads(settings, bridge, self._gate, self._bodies.held)
        self.feeds = Feeds(settings, bridge)
        self._management_port = management_port
        self.shedding = shedding
        self.in_flight = 0
        self.streams = 0

    @property
    def body_bytes(self) -> int:
        """Bytes of request bodies held at this time."""
        return self._bodies.held.bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3, `http` scopes only)."""
        self.shedding.begun -= 1
        exchange = Exchange(scope[CONNECTION], send, self._settings.stall_timeout)
        headers = dict(scope["headers"])
        admission = _admission(scope, headers)
        context = self._entrance.context(scope["method"], scope["path"], admission)
        self.in_flight += 1
        try:
            await self._serve(_Request(scope, headers, receive, admission, context), exchange)
        except (asyncio.CancelledError, ClientGone):
            exchange.cut()  # by the drain's deadline, or for a client that does not read
        except Exception as error:  # noqa: BLE001 — nothing above us knows more
            self._entrance.defect(context, error)
            exchange.cut()
        finally:
            self.in_flight -= 1

    async def _serve(self, request: _Request, exchange: Exchange) -> None:
        answer = await self._answer(request)
        if isinstance(answer, Reply):
            await self._send_reply(answer, request, exchange, NO_ROUTE)
        elif answer.rest is None:
            await self._send_whole(answer, request, exchange)
        else:
            await self._send_stream(answer, answer.rest, request.context, exchange)

    async def _send_whole(self, answer: Answer, request: _Request, exchange: Exchange) -> None:
        whole = Reply(answer.status, tuple(answer.headers), answer.body, answer.problem)
        reply = self._unread.hold(whole, request.context)
        try:
            await self._send_reply(reply, request, exchange, answer.route)
        finally:
            self._unread.give_back(reply)

    async def _answer(self, request: _Request) -> Reply | Answer:
        """What there is to say, whatever happens."""
        try:
            await self._admit(request)
            _check_head(request)
            probe = await self._probe(request)
            return probe if probe is not None else await self._pass_on(request)
        except Problem as problem:
            return problem_reply(problem, request.context)
        except Exception as error:  # noqa: BLE001 — the last resort: logged, and a 500
            self._entrance.defect(request.context, error)
            return problem_reply(InternalError("The service failed."), request.context)

    async def _admit(self, request: _Request) -> None:
        """Let the caller in; where the database has to be asked, by a thread."""
        if SHED in request.scope:
            raise Overloaded("More is asked of this process than it can do in time.")
        context, admission = request.context, request.admission
        if self._is_managed(request):
            admission = admission._replace(authorization=None)  # a key is of no use there
        admitted = self._entrance.admit_at_once(context, admission)
        if admitted is None:
            ask = partial(self._entrance.admit_by_asking, context, admission)
            admitted = await self._bridge.hop(ask, self._settings.queue_timeout)
        request.context = admitted

    def _is_managed(self, request: _Request) -> bool:
        """Whether it came to the management port."""
        return bool(request.scope["server"][1] == self._management_port)

    async def _probe(self, request: _Request) -> Reply | None:
        """The probes' answers, None where the request is for the application."""
        context = request.context
        on_management_port = self._is_managed(request)
        is_probe = context.path in PROBES and context.method in ("GET", "HEAD")
        if on_management_port and not is_probe:
            raise NotFound("Only the probes and metrics are here.")
        if not is_probe:
            return None
        # Who can reach the management port may have what is there.
        caller = ANYONE if on_management_port else context.caller
        if context.path != "/metrics":
            return self._operations.probe(context.path, caller)
        if self._management_port is not None and not on_management_port:
            raise NotFound("Metrics are on the management port.")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._operations.probe, context.path, caller)

    async def _pass_on(self, request: _Request) -> Answer:
        """Let the application answer: to the body, or with what drives a stream."""
        if is_upload(request.context.method, request.headers.get(b"content-type", b"")):
            answer = await self._begin_upload(request)
        else:
            answer = await self._answer_body(request)
        if _is_counted(answer.rest) and self.streams >= self._settings.max_streams:
            assert answer.rest is not None
            await answer.rest.close()
            raise Overloaded("Too many answers are being streamed.")
        return answer

    async def _answer_body(self, request: _Request) -> Answer:
        body = await self._read_body(request)
        try:
            answer = None
            if self._express is not None:
                answer = await self._express.answer(request.scope, body, request.context)
            return await self._cross(request, body) if answer is None else answer
        finally:
            self._bodies.held.give_back(len(body))

    async def _cross(self, request: _Request, body: bytes) -> Answer:
        """Let a thread answer."""
        slot: Slot[Feed] = Slot()
        patience = self._settings.queue_timeout
        extended = _is_extended(request.headers)
        async with self._gate.passing(len(body), patience, extended=extended):
            answer = await self._bridge.answer(
                request.scope, body, request.context, patience, {FEED: slot}
            )
        if slot.taken is None:
            return answer
        return _streamed(answer, self.feeds.begin(slot.taken, request.scope[CONNECTION]))

    async def _begin_upload(self, request: _Request) -> Answer:
        """Let the application refuse the upload, or else read its beginning."""
        slot: Slot[Upload] = Slot()
        patience = self._settings.queue_timeout
        answer = await self._bridge.answer(
            request.scope, b"", request.context, patience, {UPLOAD: slot}
        )
        if slot.taken is None:
            return answer
        # The head goes out behind the first bytes, before which a client may wait for a 100.
        intake = self._uploads.begin(slot.taken, request.receive, request.scope[CONNECTION])
        await intake.read(has_body=request.has_body)
        request.body_is_read = True
        return _streamed(answer, intake)

    async def _read_body(self, request: _Request) -> bytes:
        if not request.has_body:
            return b""
        length = request.headers.get(b"content-length")
        connection: Connection = request.scope[CONNECTION]
        whole = connection.take_body(request.scope)
        if whole is not None:
            request.body_is_read = True
            return self._bodies.hold(whole)

        async def receive() -> Any:  # noqa: ANN401 — an ASGI message
            message = await request.receive()
            is_cut = message.get("more_body", False) and connection.has_ended()
            return {"type": "http.disconnect"} if is_cut else message

        body = await self._bodies.read(receive, int(length) if length else None)
        request.body_is_read = True
        return body

    async def _send_reply(
        self, reply: Reply, request: _Request, exchange: Exchange, route: str
    ) -> None:
        unread = request.has_body and not request.body_is_read
        headers = [*reply.headers, *self._entrance.headers(request.context)]
        if reply.status not in BODILESS and "Content-Length" not in [name for name, _ in headers]:
            headers.append(("Content-Length", str(len(reply.body))))
        close = unread or self._must_close(exchange)
        body = b"" if request.context.method == "HEAD" else reply.body
        cut = True
        try:
            if unread:
                await exchange.start(reply.status, headers, close=close)
                await exchange.part(body, more=True)
            else:
                await exchange.whole(reply.status, headers, body, close=close)
            cut = False
        finally:
            self._record(request.context, exchange, route, reply.problem, cut=cut)
        if unread:
            if reply.problem not in (BodyTimeout.code, IncompleteBody.code):
                await self._bodies.discard(request.receive, LINGER)
            await exchange.part(b"", more=False)

    async def _send_stream(
        self, answer: Answer, rest: Rest, context: Context, exchange: Exchange
    ) -> None:
        """Send an answer chunk by chunk; whatever fails half-way cuts the connection."""
        counted = int(_is_counted(rest))
        self.streams += counted
        cut, problem = True, answer.problem
        try:
            headers = [*answer.headers, *self._entrance.headers(context)]
            close = not counted or self._must_close(exchange)
            await exchange.start(answer.status, headers, close=close)
            await _send_chunks(answer.body, rest, exchange)
            cut = False
        except Problem as error:
            problem = error.code
        finally:
            self.streams -= counted
            if cut:
                exchange.cut()
            self._record(context, exchange, answer.route, problem, cut=cut)
            await rest.close()

    def _must_close(self, exchange: Exchange) -> bool:
        oldest = self._settings.connection_max_age
        return self._operations.draining or bool(oldest and exchange.connection.age() > oldest)

    def _record(
        self, context: Context, exchange: Exchange, route: str, problem: str | None, *, cut: bool
    ) -> None:
        label = context.path if route == NO_ROUTE and context.path in PROBES else route
        outcome = Outcome(label, exchange.status, exchange.size, problem, cut)
        self._entrance.record(context, outcome)


async def _send_chunks(first: bytes, rest: Rest, exchange: Exchange) -> None:
    chunk: bytes | None = first
    while chunk is not None:
        await exchange.part(chunk, more=True)
        chunk = await rest.next()
    await exchange.part(b"", more=False)


def _streamed(answer: Answer, rest: Rest) -> Answer:
    """The answer with what drives it, of a length that is not known."""
    headers = [each for each in answer.headers if each[0].lower() != "content-length"]
    return answer._replace(headers=headers, rest=rest)


def _is_counted(rest: Rest | None) -> bool:
    """Whether it is one of the streams of which there may be only so many; feeds count apart."""
    return rest is not None and not isinstance(rest, Following)


class _Request:
    """What the shell knows of a request, and whether its body has been read."""

    __slots__ = ("admission", "body_is_read", "context", "has_body", "headers", "receive", "scope")

    def __init__(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        admission: Admission,
        context: Context,
    ) -> None:
        self.scope = scope
        self.headers = headers
        self.receive = receive
        self.admission = admission
        self.context = context
        self.has_body = (
            headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        )
        self.body_is_read = False


def _is_extended(headers: dict[bytes, bytes]) -> bool:
    """Whether the body is read as Extended JSON."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind.decode("latin-1") in READ_AS_EXTENDED


def _check_head(request: _Request) -> None:
    """Refuse what HTTP forbids and the parser lets pass (RFC 9112, sections 3.2 and 6.1)."""
    if b"host" not in request.headers and request.scope["http_version"] == "1.1":
        raise BadParameter("The header Host is missing.")
    if request.headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise UnsupportedMediaType("Transfer-Encoding must be chunked alone.")


def _admission(scope: Scope, headers: dict[bytes, bytes]) -> Admission:
    client = scope["client"]
    # Each proxy may have added some of them once more.
    is_each_once = len(headers) == len(scope["headers"])
    every = headers if is_each_once else _joined(scope["headers"])
    return Admission(
        peer=client[0] if client else None,
        host=_text(every.get(b"host")),
        forwarded=_text(every.get(b"forwarded")),
        x_forwarded_for=_text(every.get(b"x-forwarded-for")),
        request_id=_text(headers.get(b"x-request-id")),
        traceparent=_text(headers.get(b"traceparent")),
        authorization=_text(every.get(b"authorization")),
    )


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The values of each header as one (RFC 9110, section 5.2)."""
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        values[name] = b"%b,%b" % (values[name], value) if name in values else value
    return values


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
