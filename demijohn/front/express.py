"""The express path: the hot requests, answered on the event loop without Flask.

It answers what it fully understands, `POST` of one small plain document, `GET` by ObjectId and the
guide's list, all without any wishes. All else it leaves to the full path: above all whatever is
wrong with a request. It does so by the same operations and says the same bytes; a test sends the
same requests through both.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, NamedTuple

from bson import ObjectId

from demijohn.auth.caller import Caller, Level
from demijohn.documents.change import Changed
from demijohn.documents.insert import Insertion, insertion, meant
from demijohn.documents.listing import Listing, stream
from demijohn.documents.read import require
from demijohn.documents.records import Told
from demijohn.edge.context import Context
from demijohn.edge.reply import problem_reply
from demijohn.edge.routes import DOCUMENT, DOCUMENTS, GUIDE
from demijohn.edge.tellers import DATA, OK, PLAINLY, GuideTeller, Teller
from demijohn.errors import Problem
from demijohn.formats.media_types import PLAIN
from demijohn.formats.plain_out import render_array
from demijohn.formats.spelling import read_draft
from demijohn.front.bridge import Answer, Bridge
from demijohn.front.hot import Hot
from demijohn.front.parts import Means, Parts
from demijohn.front.protocol import CONNECTION
from demijohn.query.filters import all_of
from demijohn.query.names import is_reachable
from demijohn.store.finds import Unread

LARGEST = 16 * 1024
"""Bytes of a body, and of a document that is spelt, on the loop: more would hold up all others."""
_PATH = re.compile(rb"/v1/collections/([A-Za-z0-9_.-]+)/documents(?:/([0-9A-Fa-f]{24}))?")
HOST, CONTENT_TYPE = b"host", b"content-type"
_HOST = re.compile(rb"(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}(?::[0-9]{1,5})?", re.IGNORECASE)
"""A name, or an address: of any other the framework has its own opinion."""
_PLAINLY = frozenset((b"*/*", b"", PLAIN.encode(), b"application/json, text/plain, */*"))
WATCHED: dict[bytes, frozenset[bytes]] = {
    b"accept": _PLAINLY,
    b"content-encoding": frozenset(),
    CONTENT_TYPE: frozenset((PLAIN.encode(), b"application/json; charset=utf-8")),
    b"idempotency-key": frozenset(),
    b"if-match": frozenset(),
    b"if-none-match": frozenset(),
    b"prefer": frozenset(),
}
"""The headers that the full path looks at, and which of their values it answers plainly to."""


class Line(NamedTuple):
    """What a request asks for: the collection, the id, if any, and the route's pattern."""

    collection: str
    id: bytes | None
    route: str
    is_list: bool = False


class Express:
    """One for each worker. Its methods run on the event loop."""

    def __init__(self, means: Means, hot: Hot, bridge: Bridge, parts: Parts) -> None:
        """Take what the operations work with, and what waits for them."""
        self._store = means.store
        self._configurations = means.configurations
        self._room = means.room
        self._hot = hot
        self._bridge = bridge
        self._patience = parts.settings.queue_timeout
        self._served = {
            route: parts.metrics.express.labels(route) for route in (GUIDE, DOCUMENTS, DOCUMENT)
        }

    async def answer(self, scope: dict[str, Any], body: bytes, context: Context) -> Answer | None:
        """The answer; None where the full path has to give it. Raises ClientGone."""
        line = _line(scope, body)
        if line is None or not _is_let(line, context.caller):
            return None
        try:
            answer = await self._carry_out(line, scope, body)
        except Problem as problem:
            reply = problem_reply(problem, context)
            told = Told(reply.status, reply.headers, reply.body, reply.problem)
            answer = _whole(line, told)
        if answer is not None:
            self._served[line.route].inc()
        return answer

    async def _carry_out(self, line: Line, scope: dict[str, Any], body: bytes) -> Answer | None:
        if line.is_list:
            return await self._list(line)
        if line.id is not None:
            told = await self._read(line, line.id, scope)
        else:
            new = self._insertion(line.collection, body)
            told = None if new is None else await self._insert(line, new, scope)
        return None if told is None else _whole(line, told)

    async def _list(self, line: Line) -> Answer:
        chunks = render_array(stream(self._store, Listing(DATA, all_of())), without_id=True)
        first, rest = await self._bridge.stream(chunks, self._patience)
        return Answer(OK, [("Content-Type", PLAIN)], first, rest, line.route, None)

    def _insertion(self, collection: str, body: bytes) -> Insertion | None:
        """What is to be inserted; None where there is anything against it, or a schema."""
        if self._configurations.is_due:
            self._hot.post(self._configurations.refresh)
        configuration = self._configurations.known(collection)
        if configuration is None or configuration.schema is not None:
            return None
        try:
            return insertion(collection, read_draft(body, extended=False), ObjectId)
        except Problem:
            return None  # the full path says why

    async def _insert(self, line: Line, new: Insertion, scope: dict[str, Any]) -> Told:
        document = new.document
        submit = partial(self._store.inserts.submit, line.collection, document)
        for problem in (await self._hot.outcome(submit, scope[CONNECTION])).values():
            raise meant(problem, new)
        kind = GuideTeller if line.route == GUIDE else Teller
        return kind(line.collection, PLAINLY, self._room).tell(Changed(None, document))

    async def _read(self, line: Line, id_: bytes, scope: dict[str, Any]) -> Told | None:
        submit = partial(self._store.finds.submit, line.collection, id_)
        found = await self._hot.outcome(submit, scope[CONNECTION])
        if isinstance(found, Unread):
            return None
        document = require(found)
        read = partial(Teller(line.collection, PLAINLY, self._room).read, document)
        return read() if len(document) <= LARGEST else await self._bridge.hop(read)


def _is_let(line: Line, caller: Caller) -> bool:
    """Whether the caller may, and is held to nothing; the full path says why not, or holds.

    It also watches over what lasts longer than a key may.
    """
    if line.is_list and caller.id:
        return False
    level = Level.WRITE if line.id is None and not line.is_list else Level.READ
    return caller.rows is None and caller.may(level, line.collection)


def _whole(line: Line, told: Told) -> Answer:
    body = told.body or b""
    headers = [*told.headers, ("Content-Length", str(len(body)))]
    return Answer(told.status, headers, body, None, line.route, told.problem)


def _line(scope: dict[str, Any], body: bytes) -> Line | None:
    """What is asked for, if it is a hot request and a plain one."""
    method, path = scope["method"], scope["raw_path"]
    if scope["query_string"] or len(body) > LARGEST or method not in ("GET", "POST"):
        return None
    if path == GUIDE.encode():
        line = Line(DATA, None, GUIDE, is_list=method == "GET")
    else:
        found = _PATH.fullmatch(path)
        if found is None or not is_reachable(name := found[1].decode("ascii")):
            return None
        id_ = None if found[2] is None else bytes.fromhex(found[2].decode("ascii"))
        line = Line(name, id_, DOCUMENTS if id_ is None else DOCUMENT)
    is_insert = line.id is None and not line.is_list
    if is_insert != (method == "POST") or is_insert != bool(body):
        return None
    return line if _is_plain(scope["headers"], has_body=is_insert) else None


def _is_plain(headers: list[tuple[bytes, bytes]], *, has_body: bool) -> bool:
    """Whether the headers say nothing that the full path would have to look at."""
    seen = set()
    for name, value in headers:
        plain = WATCHED.get(name)
        if plain is None and name != HOST:
            continue
        # What comes twice is one header to some, and none of ours.
        if name in seen or not (_HOST.fullmatch(value) if plain is None else value in plain):
            return False
        seen.add(name)
    return HOST in seen and (CONTENT_TYPE in seen or not has_body)
