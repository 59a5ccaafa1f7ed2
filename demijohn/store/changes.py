"""Change streams: what happens to a collection from some position on, in one order for everyone.

They have connections of their own, since each waits for most of its life, and no request may have
to wait for them. A position is what MongoDB calls a resume token (manual, "Change Streams"), as
BSON; whoever has one goes on there, whatever has been stopped or killed in between.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo import errors as driver
from pymongo.change_stream import CollectionChangeStream
from pymongo.collection import Collection
from pymongo.read_preferences import ReadPreference

from demijohn.errors import BadCursor
from demijohn.store.commands import Bounded, told
from demijohn.store.connection import Client
from demijohn.store.failures import history_lost, no_change_streams, translated, unfit_position

OPERATIONS = {
    "insert": "insert",
    "update": "update",
    "replace": "replace",
    "delete": "delete",
    "drop": "drop",
    "rename": "drop",  # of this collection, or of another that takes its place
}
"""What is told of, by MongoDB's word for it."""
_INVALIDATE = "invalidate"
_UNFILTERED = ("delete", "drop", "rename", _INVALIDATE)
"""What no filter holds back: nothing is known of the documents."""
_KEPT = {"operationType": 1, "clusterTime": 1, "documentKey": 1, "fullDocument": 1}
_LONGEST_WAIT = 1.0
"""Seconds that the database lets a stream wait for the next change."""
_NOWHERE = b".$cmd".hex()
"""In a position of the embedded database: one that it does not take back."""

_Watched = CollectionChangeStream[RawBSONDocument]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `time` grows from one to the next, but is the same within a transaction."""

    token: bytes
    time: int
    operation: str
    key: bytes | None
    """BSON of the document's `_id`, and where it is sharded more; None of a drop."""
    document: bytes | None
    """The document as it is now, or was at a time between the change and now; None without one."""


class Stream:
    """An open change stream, for one thread at a time. It goes on after a drop."""

    def __init__(self, watch: Callable[[bytes | None], _Watched], after: bytes | None) -> None:
        """Open it by `watch`, after a position or now. Raises what `Changes.open` raises."""
        self._watch = watch
        self._opened = watch(after)
        self.token = after or b""
        """Where it is: all before has been told."""
        self._note_position()

    def next(self) -> Change | None:
        """The next change; None where none has come within the wait.

        Raises DatabaseUnavailable or DeadlineExceeded, and another stream may go on after `token`;
        BadCursor where what comes next is no longer kept, TooLarge for what MongoDB cannot say
        within its 16 MiB, InternalError.
        """
        with translated("watch", writes=False), told(history_lost):
            event = self._opened.try_next()
        if event is None:
            self._note_position()
            return None
        self.token = bytes(event["_id"].raw)
        if event["operationType"] != _INVALIDATE:
            return _change(event)
        self.close()
        self._opened = self._watch(self.token)
        return self.next()

    def close(self) -> None:
        """Let the database forget it."""
        with suppress(driver.PyMongoError):
            self._opened.close()

    def _note_position(self) -> None:
        position = self._opened.resume_token
        if position is not None and _NOWHERE not in str(position.get("_data")):
            self.token = bson.encode(position)


class Changes:
    """Change streams of one database."""

    def __init__(self, connect: Callable[[], Client], database: str, bounded: Bounded) -> None:
        """Take how to connect, which is done at the first use, and what goes around a command."""
        self._connect = connect
        self._database = database
        self._bounded = bounded
        self._lock = threading.Lock()
        self._client: Client | None = None

    def open(
        self,
        collection: str,
        where: bytes | None = None,
        after: bytes | None = None,
        wait: float = _LONGEST_WAIT,
    ) -> Stream:
        """A stream of the changes after a position, or from now on.

        `where` is a filter whose paths begin with `fullDocument`; drops and deletes pass it.
        `wait` is in seconds, at most one. Raises BadCursor for a position that the database does
        not know, or no longer keeps; NeedsReplicaSet, DatabaseUnavailable, DeadlineExceeded.
        """
        watched = self._collection(collection)
        stages = [{"$match": _match(where)}, {"$project": _KEPT}]
        milliseconds = max(1, int(min(wait, _LONGEST_WAIT) * 1000))

        def watch(token: bytes | None) -> _Watched:
            start = None if token is None else _decoded(token)
            unfit = (no_change_streams,) if token is None else (no_change_streams, unfit_position)
            with self._bounded("watch", writes=False), told(*unfit):
                return watched.watch(
                    stages,
                    full_document="updateLookup",
                    start_after=start,
                    max_await_time_ms=milliseconds,
                )

        return Stream(watch, after)

    def close(self) -> None:
        """Close every connection; a stream that is being read raises."""
        with self._lock:
            if self._client is not None:
                self._client.close()

    def _collection(self, name: str) -> Collection[RawBSONDocument]:
        with self._lock:
            self._client = self._client or self._connect()
        # All from one member: what one of them has told, another may not have heard of yet.
        return self._client[self._database].get_collection(
            name, read_preference=ReadPreference.PRIMARY
        )


def has_passed(token: bytes, other: bytes) -> bool:
    """Whether a stream that stands at `token`, having waited in vain, has told all up to `other`.

    MongoDB may end a wait before it has looked at everything; its positions compare as texts do
    (manual, "Resume Tokens"). The embedded database looks at everything; its own do not compare.
    """
    ours, theirs = (str(_decoded(each)["_data"]) for each in (token, other))
    return ours >= theirs or not (_compares(ours) and _compares(theirs))


def _compares(data: str) -> bool:
    """Whether it is a position of MongoDB: those of the embedded database are BSON in hex."""
    return int.from_bytes(bytes.fromhex(data[:8]), "little") != len(data) // 2


def _match(where: bytes | None) -> dict[str, Any]:
    if where is None:
        return {"operationType": {"$in": [*OPERATIONS, _INVALIDATE]}}
    changed = {"operationType": {"$in": [*OPERATIONS]}}
    passed = {"operationType": {"$in": [*_UNFILTERED]}}
    return {"$or": [passed, {"$and": [changed, RawBSONDocument(where)]}]}


def _decoded(token: bytes) -> dict[str, Any]:
    with suppress(BSONError):
        found = bson.decode(token)
        # Of an empty one the driver would think that there is none.
        if isinstance(found.get("_data"), str):
            return found
    raise BadCursor("This is no position in a stream of changes.")


def _change(event: RawBSONDocument) -> Change:
    time: Timestamp = event["clusterTime"]
    document, key = event.get("fullDocument"), event.get("documentKey")
    return Change(
        token=bytes(event["_id"].raw),
        time=(time.time << 32) | time.inc,
        operation=OPERATIONS[event["operationType"]],
        key=None if key is None else bytes(key.raw),
        document=None if document is None else bytes(document.raw),
    )
