"""The express path: the hot requests, answered on the event loop without Flask.

It answers what it fully understands, `POST` of one small plain document, `PUT` and `GET` of one by
an ObjectId or a plain string and the guide's list, all without any wishes. All else it leaves to
the full path: above all whatever is wrong with a request. It does so by the same operations and
says the same bytes; a test sends the same requests through both.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from bson import ObjectId

from demijohn.documents.change import Changed, Target
from demijohn.documents.collections import Configuration
from demijohn.documents.insert import Insertion, insertion, meant
from demijohn.documents.listing import Listing, stream
from demijohn.documents.read import require
from demijohn.documents.records import Told
from demijohn.documents.replace import check_put
from demijohn.edge.context import Context
from demijohn.edge.idempotency import as_told
from demijohn.edge.routes import GUIDE
from demijohn.edge.tellers import DATA, OK, PLAINLY, GuideTeller, Teller, refusal
from demijohn.errors import Problem
from demijohn.formats.bson_values import Value
from demijohn.formats.media_types import PLAIN
from demijohn.formats.plain_out import render_array
from demijohn.formats.spelling import Draft, read_draft
from demijohn.front.bridge import Answer, Bridge
from demijohn.front.hot import Hot
from demijohn.front.once import Once
from demijohn.front.parts import Means, Parts
from demijohn.front.plain import LARGEST, Line, line_of
from demijohn.front.protocol import CONNECTION, Connection
from demijohn.front.putting import Putting
from demijohn.query.filters import all_of
from demijohn.store.documents import Store
from demijohn.store.finds import Unread


class _Asked(NamedTuple):
    """A request that is answered here."""

    line: Line
    store: Store
    """What there is to its caller."""
    connection: Connection
    context: Context
    teller: Teller


class Express:
    """One for each worker. Its methods run on the event loop."""

    def __init__(
        self, means: Means, hot: Hot, transactions: Hot, bridge: Bridge, parts: Parts
    ) -> None:
        """Take what the operations work with, and what waits for single commands and for more."""
        self._means = means
        self._store = means.store
        self._configurations = means.configurations
        self._hot = hot
        self._transactions = transactions
        self._bridge = bridge
        self._patience = parts.settings.queue_timeout
        self._metrics = parts.metrics

    async def answer(self, scope: dict[str, Any], body: bytes, context: Context) -> Answer | None:
        """The answer; None where the full path has to give it. Raises ClientGone."""
        line = line_of(scope, body)
        if line is None or not line.is_for(context.caller):
            return None
        rows = context.caller.rows
        store = self._store if rows is None else self._store.held_to(rows)
        kind = GuideTeller if line.route == GUIDE else Teller
        teller = kind(line.collection, PLAINLY, self._means.room)
        asked = _Asked(line, store, scope[CONNECTION], context, teller)
        try:
            answer = await self._carry_out(asked, body)
        except Problem as problem:
            answer = _whole(line, refusal(problem, context))
        if answer is not None:
            self._metrics.answered_by_express(line.route)
        return answer

    async def _carry_out(self, asked: _Asked, body: bytes) -> Answer | None:
        line = asked.line
        if line.is_list:
            return await self._list(asked)
        if line.id is None:
            told = await self._insert(asked, body)
        elif line.method == "PUT":
            told = await self._put(asked, Target(line.collection, line.id), body)
        else:
            told = await self._read(asked, line.id)
        return None if told is None else _whole(line, told)

    async def _list(self, asked: _Asked) -> Answer:
        chunks = render_array(stream(asked.store, Listing(DATA, all_of())), without_id=True)
        first, rest = await self._bridge.stream(chunks, self._patience)
        return Answer(OK, [("Content-Type", PLAIN)], first, rest, asked.line.route, None)

    async def _insert(self, asked: _Asked, body: bytes) -> Told | None:
        try:
            draft = read_draft(body, extended=False)
        except Problem:
            return None  # the full path says why
        key = asked.line.key
        if key is not None:
            once = Once(self._means, asked.store, asked.context, key, body, draft)
            return await self._insert_once(asked, once)
        if await self._taking(asked.line.collection, draft, body) is None:
            return None
        return await self._insert_now(asked, insertion(asked.line.collection, draft, ObjectId))

    async def _insert_once(self, asked: _Asked, once: Once) -> Told:
        told = await self._ride(asked, once)
        if told.replayed:
            self._metrics.replays.inc()
        return as_told(told)

    async def _ride(self, asked: _Asked, once: Once) -> Told:
        known = self._known(asked.line.collection)
        if known is None or not once.can_ride:
            return await self._bridge.hop(partial(once.insert, asked.teller), self._patience)
        submit = partial(once.submit, asked.teller, known)
        told = await self._transactions.outcome(submit, asked.connection)
        if told is None:
            told = await self._bridge.hop(partial(once.insert_apart, asked.teller), self._patience)
        return told

    async def _put(self, asked: _Asked, target: Target, body: bytes) -> Told | None:
        try:
            draft = read_draft(body, extended=False)
            check_put(target, draft)
        except Problem:
            return None  # the full path says why
        putting = Putting(self._means, asked.store, asked.teller, target, draft)
        if asked.store.is_held:  # what is there has to be read first
            return await self._bridge.hop(putting.put, self._patience)
        known = await self._taking(target.collection, draft, body)
        if known is None or known.require_if_match:
            return None
        is_new = await self._transactions.outcome(putting.submit, asked.connection)
        if is_new is None:
            return await self._bridge.hop(putting.put_apart, self._patience)
        return putting.tell(is_new=is_new)

    async def _taking(self, collection: str, draft: Draft, body: bytes) -> Configuration | None:
        """The collection's configuration where it is known that it takes the document, else None.

        A thread looks where that may take long.
        """
        known = self._known(collection)
        if known is None:
            return None
        fits = partial(known.fits, draft.fields)
        if known.is_quick(body):
            return known if fits() else None
        is_fit = await self._bridge.hop(fits, self._patience)
        # What was known before may by now be older than anybody goes by.
        return known if is_fit and self._configurations.known(collection) is known else None

    def _known(self, collection: str) -> Configuration | None:
        """The collection's configuration where nobody has to be waited for."""
        if self._configurations.is_due:
            self._hot.post(self._configurations.refresh)
        return self._configurations.known(collection)

    async def _insert_now(self, asked: _Asked, new: Insertion) -> Told:
        document = new.document
        submit = partial(asked.store.inserts.submit, new.collection, document)
        for problem in (await self._hot.outcome(submit, asked.connection)).values():
            raise meant(problem, new)
        return asked.teller.tell(Changed(None, document))

    async def _read(self, asked: _Asked, id_: Value) -> Told | None:
        submit = partial(asked.store.finds.submit, asked.line.collection, id_)
        found = await self._hot.outcome(submit, asked.connection)
        if isinstance(found, Unread):
            return None
        document = require(found)
        read = partial(asked.teller.read, document)
        return read() if len(document) <= LARGEST else await self._bridge.hop(read)


def _whole(line: Line, told: Told) -> Answer:
    body = told.body or b""
    headers = [*told.headers, ("Content-Length", str(len(body)))]
    return Answer(told.status, headers, body, None, line.route, told.problem)
