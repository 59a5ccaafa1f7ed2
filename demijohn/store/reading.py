"""Reading many documents: each question one command, or one cursor of raw batches.

Which documents are meant, in which order and with which fields comes as BSON that has been checked
above (`demijohn.query`). What the database refuses all the same is the question's fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self, cast

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import errors as driver
from pymongo.cursor import RawBatchCursor
from pymongo.read_preferences import ReadPreference

from demijohn.errors import DeadlineExceeded, InvalidFilter, InvalidPipeline, Problem
from demijohn.formats.batches import count
from demijohn.formats.bson_values import CODEC, Value, elements
from demijohn.store.commands import Bounded, Raw
from demijohn.store.failures import unfit_question
from demijohn.store.hold import EVERYTHING, Hold
from demijohn.store.room import BatchRoom

FIRST_BATCH = 101
"""Documents of the first batch, MongoDB's own number: few, for the first byte soon."""
FIRST_OF_LIMITED = 1_000
"""The same where a limit says how many there can be: then that they come in one batch counts."""
MOST_IN_BATCH = 4_000
BATCH_BYTES = 256 * 1024
"""What further batches are to have, by the size of those before: a batch is held several times
over while it is read, decoded, spelt and sent."""
NOTHING = bson.encode({})
_LENIENT = CODEC.with_options(document_class=RawBSONDocument)
"""For the filters that the driver looks into: Python has no value for some dates and texts."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which documents of a collection, in which order; `filter` and `projection` as BSON.

    `limit` 0 is all of them, and then the deadline is per batch. What has to be as it is now is
    asked of the primary, whichever members the URI prefers.
    """

    collection: str
    filter: bytes = NOTHING
    sort: tuple[tuple[str, int], ...] = ()
    projection: bytes | None = None
    limit: int = 0
    of_primary: bool = False


class _Cursor(Protocol):
    def __next__(self) -> object: ...
    def batch_size(self, batch_size: int) -> object: ...


class _Find(RawBatchCursor[RawBSONDocument]):
    """The driver's cursor; how large its batches are may be said between any two of them."""

    _batch_size: int

    def batch_size(self, batch_size: int) -> Self:
        """Have so many documents a batch from now on."""
        # The driver's own refuses that after the first batch, though it is true of its cursors
        # of other commands, and of the server's, that each batch is asked for with its size.
        self._batch_size = batch_size
        return self


class Batches:
    """The raw batches of one cursor; each is held (`store.room`) until the next is asked for.

    Who is done before the end lets go of it, and the driver closes the server's cursor, from a
    thread of its own, a second later. It is no generator, since what one does at its end it may do
    for the garbage collector: in any thread, at any line, perhaps with a lock of the driver's,
    where to ask the database something is to wait for oneself for ever.
    """

    def __init__(
        self,
        cursor: _Cursor,
        asking: Callable[[], AbstractContextManager[None]],
        room: BatchRoom,
        size: int,
    ) -> None:
        """Take the cursor, what goes around asking it, and how many documents come first."""
        self._room = room
        self._held = 0
        self._cursor: _Cursor | None = cursor
        self._asking = asking
        self._size = size

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> bytes:
        """The next one. Raises as `Reading.find` says, and that is the end."""
        self._give_back()
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            raise StopIteration
        with self._asking():
            batch = next(cursor, None)
        if batch is None:
            raise StopIteration
        # The driver's types know only decoded documents here.
        raw = cast("bytes", batch)
        self._size = _next_size(self._size, raw)
        cursor.batch_size(self._size)
        self._room.take(len(raw))
        self._held = len(raw)
        self._cursor = cursor
        return raw

    def __del__(self) -> None:
        """Hold nothing any more."""
        self._give_back()

    def _give_back(self) -> None:
        held, self._held = self._held, 0
        self._room.give_back(held)


class Reading:
    """Questions about many documents. Every method raises Problems only."""

    def __init__(
        self,
        collection: Callable[[str], Raw],
        bounded: Bounded,
        seconds: float,
        hold: Hold = EVERYTHING,
        room: BatchRoom | None = None,
    ) -> None:
        """Take how to find a collection, what goes around each command, and its deadline.

        They see no documents but those of the hold, and share the room for batches.
        """
        self._room = room or BatchRoom()
        self._collection = collection
        self._bounded = bounded
        self._seconds = seconds
        self._milliseconds = int(seconds * 1000)
        self._hold = hold

    def held_to(self, hold: Hold) -> Reading:
        """The same for what is held to."""
        return Reading(self._collection, self._bounded, self._seconds, hold, self._room)

    def deadline(self) -> float:
        """When an operation that begins now has to be over, by the monotonic clock, in seconds."""
        return time.monotonic() + self._milliseconds / 1000

    def find(self, query: Query, until: float | None = None) -> Batches:
        """The documents, as raw batches of BSON.

        `until` is the deadline of several queries together, of those that have a limit. The
        iterator may be advanced by one thread after another. It raises InvalidFilter,
        DatabaseUnavailable, DeadlineExceeded, and Overloaded where too many large batches are held.
        """
        kind = "find" if query.limit else "scan"
        size = FIRST_OF_LIMITED if query.limit else FIRST_BATCH
        return self._batches(kind, self._open(query, size, until), InvalidFilter, size)

    def count(self, collection: str, where: bytes) -> int:
        """How many documents a filter meets. Raises as `find` does."""
        with self._asking("count", InvalidFilter):
            return self._collection(collection).count_documents(
                self._hold.filter(collection, where), maxTimeMS=self._milliseconds
            )

    def estimate(self, collection: str) -> int:
        """About how many documents there are, from the collection's statistics.

        Those know nothing of a row filter, under which it is counted.
        """
        if self._hold.of(collection) is not None:
            return self.count(collection, NOTHING)
        with self._asking("count", InvalidFilter):
            return self._collection(collection).estimated_document_count(
                maxTimeMS=self._milliseconds
            )

    def distinct(self, collection: str, path: str, where: bytes) -> Value:
        """The different values at a path, as an array; those of an array one by one.

        Raises TooLarge where they exceed MongoDB's 16 MiB, and as `find` does.
        """
        command = {
            "distinct": collection,
            "key": path,
            "query": self._hold.filter(collection, where),
            "maxTimeMS": self._milliseconds,
        }
        answer = self._command("distinct", collection, command)
        return dict(elements(answer))["values"]

    def aggregate(self, collection: str, pipeline: Sequence[bytes]) -> Batches:
        """What a pipeline makes, as `find` gives it, under one deadline for all of it.

        Raises InvalidPipeline, DatabaseUnavailable, DeadlineExceeded.
        """
        stages = [RawBSONDocument(stage) for stage in self._hold.stages(collection, pipeline)]
        with self._asking("aggregate", InvalidPipeline):
            cursor = self._collection(collection).aggregate_raw_batches(
                stages,
                maxTimeMS=self._milliseconds,
                batchSize=FIRST_BATCH,
            )
        return self._batches("aggregate", cursor, InvalidPipeline, FIRST_BATCH)

    def explain(self, query: Query) -> dict[str, Any]:
        """How the database answers a query, with what it examined (MongoDB manual, "explain")."""
        command: dict[str, Any] = {
            "find": query.collection,
            "filter": self._hold.filter(query.collection, query.filter),
            "limit": query.limit,
        }
        if query.sort:
            command["sort"] = bson.SON(query.sort)
        if query.projection is not None:
            command["projection"] = RawBSONDocument(query.projection)
        answer = self._command(
            "explain", query.collection, {"explain": command, "verbosity": "executionStats"}
        )
        return bson.decode(answer)

    def _open(self, query: Query, size: int, until: float | None) -> _Cursor:
        # maxTimeMS bounds all batches of a cursor together (MongoDB manual, "cursor.maxTimeMS()"),
        # and a long collection takes as long as it takes.
        asked = self._collection(query.collection)
        if query.of_primary:
            asked = asked.with_options(read_preference=ReadPreference.PRIMARY)
        return _Find(
            asked,
            RawBSONDocument(self._hold.narrowed(query.collection, query.filter), _LENIENT),
            None if query.projection is None else RawBSONDocument(query.projection),
            sort=list(query.sort) or None,
            limit=query.limit,
            batch_size=size,
            max_time_ms=self._left(until) if query.limit else None,
        )

    def _left(self, until: float | None) -> int:
        if until is None:
            return self._milliseconds
        left = int((until - time.monotonic()) * 1000)
        if left <= 0:
            raise DeadlineExceeded("The database did not finish in time.")
        return left

    def _command(self, kind: str, collection: str, command: dict[str, Any]) -> bytes:
        asked = self._collection(collection)
        with self._asking(kind, InvalidFilter):
            answer = asked.database.command(
                command, read_preference=asked.read_preference, codec_options=asked.codec_options
            )
        return bytes(answer.raw)

    def _batches(self, kind: str, cursor: _Cursor, unfit: type[Problem], size: int) -> Batches:
        """The batches; `size` is how many documents the first one was asked for with."""
        return Batches(cursor, partial(self._asking, kind, unfit), self._room, size)

    @contextmanager
    def _asking(self, kind: str, unfit: type[Problem]) -> Iterator[None]:
        with self._bounded(kind, writes=False):
            try:
                yield
            except driver.OperationFailure as error:
                problem = unfit_question(error.code, unfit)
                if problem is None:
                    raise
                raise problem from error


def _next_size(size: int, batch: bytes) -> int:
    """Documents to ask for after this batch, which was to have `size` of them."""
    if len(batch) > 2 * BATCH_BYTES:
        # It may have been cut short for its bytes. To count each would cost a tenth of the reading.
        size = count(memoryview(batch))
    return min(max(size * BATCH_BYTES // len(batch), 2), MOST_IN_BATCH)
