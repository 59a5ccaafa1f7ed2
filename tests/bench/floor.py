"""The floor: what group commit costs with nothing around it, the project's own reference.

An ASGI application under plain uvicorn: `POST /data` and `GET /data/{id}`. Requests that come at
the same time ride in one command, an unordered `insert_many` or one `find` with `$in`; each is
answered after that command. No validation, metrics, logs, ids of requests, limits or deadlines:
what the product pays for those is its distance from here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import orjson
import pymongo
from bson import ObjectId
from bson.errors import InvalidId
from pymongo.errors import BulkWriteError

Item = TypeVar("Item")
Document = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, bytes]
INSERTED: Answer = (201, b'{"status":"Data inserted"}')
REFUSED: Answer = (409, b'{"error":"there is one of this _id"}')
NO_JSON: Answer = (400, b'{"error":"no JSON object"}')
NOT_FOUND: Answer = (404, b'{"error":"there is no such document"}')
MOST = 1_000
"""Requests in one command."""


class Together(Generic[Item]):
    """Carries out all that has queued in one call of `run`, in a thread; one call at a time."""

    def __init__(self, run: Callable[[Sequence[Item]], list[Answer]]) -> None:
        """Take what answers some items, in their order."""
        self._run = run
        self._thread = ThreadPoolExecutor(1)
        self._queued: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._leader: asyncio.Task[None] | None = None

    async def answer(self, item: Item) -> Answer:
        """Queue the item; its answer, after the call that carried it out."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._queued.append((item, future))
        if self._leader is None:
            self._leader = loop.create_task(self._lead())
        return await future

    async def _lead(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queued:
            taken, self._queued = self._queued[:MOST], self._queued[MOST:]
            call = loop.run_in_executor(self._thread, self._run, [item for item, _ in taken])
            (outcome,) = await asyncio.gather(call, return_exceptions=True)
            _settle([future for _, future in taken], outcome)
        self._leader = None


def _settle(
    futures: Sequence[asyncio.Future[Answer]], outcome: list[Answer] | BaseException
) -> None:
    """Give each its answer, or all of them what was raised; uvicorn makes that a 500."""
    for at, future in enumerate(futures):
        if future.done():
            continue  # its request was cancelled
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome[at])


class Floor:
    """The application."""

    def __init__(self, uri: str) -> None:
        """Take the database."""
        client = pymongo.MongoClient[Document](uri)
        self._documents = client["flask_db"]["data"]
        self._inserts = Together(self._insert)
        self._finds = Together(self._find)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, body = await self._answer(scope, receive)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> Answer:
        if scope["method"] == "POST":
            return await self._post(await _body(receive))
        try:
            return await self._finds.answer(ObjectId(scope["path"].removeprefix("/data/")))
        except InvalidId:
            return NOT_FOUND

    async def _post(self, body: bytes) -> Answer:
        try:
            document = orjson.loads(body)
        except ValueError:
            return NO_JSON
        if not isinstance(document, dict):
            return NO_JSON
        return await self._inserts.answer(document)

    def _insert(self, documents: Sequence[Document]) -> list[Answer]:
        answers = [INSERTED] * len(documents)
        try:
            self._documents.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            for failed in error.details["writeErrors"]:
                answers[failed["index"]] = REFUSED
            if error.details["writeConcernErrors"]:
                raise
        return answers

    def _find(self, ids: Sequence[ObjectId]) -> list[Answer]:
        found = {
            each["_id"]: (200, orjson.dumps(each, default=str))
            for each in self._documents.find({"_id": {"$in": list(set(ids))}})
        }
        return [found.get(each, NOT_FOUND) for each in ids]


async def _body(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def app() -> Floor:
    """The application for uvicorn's `--factory`."""
    return Floor(os.environ["MONGODB_URI"])
