"""What a collection can be asked, one command each: with a session, inside its transaction.

Documents go in and out as raw BSON. `where` says which one is meant, as BSON too: a document that
has an `_id` alone is a filter as it stands, with the id's exact type, and the caller has seen to
it that no operator is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import Any, Protocol, TypeAlias, cast

import structlog
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne, ReturnDocument
from pymongo import errors as driver
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from demijohn.errors import Problem, WriteConflict
from demijohn.formats.batches import split
from demijohn.formats.bson_values import Value, close_node, elements, encode, first_member
from demijohn.store.failures import of_each, unfit_update, untaken
from demijohn.store.hold import EVERYTHING, Hold

Raw = Collection[RawBSONDocument]
Put: TypeAlias = tuple[bytes, bytes]
"""A document of the `_id` alone, and the fields that it is to have."""


class Stored(RawBSONDocument):
    """Bytes on their way to the database, as they are.

    The driver asks a replacement whether it is empty, and would decode all of it for an answer:
    at a price, and not at all where there is a date or a string that Python has no value for.
    """

    def __bool__(self) -> bool:
        """A document is one, even an empty one."""
        return True


_OTHER_INDEX = frozenset({85, 86})
"""IndexOptionsConflict, IndexKeySpecsConflict."""


Note = Callable[[Exception, Problem], None]
"""Counts and logs a problem that a command has met for a part of what it was to do."""


class Bounded(Protocol):
    """Bounds, times, counts and translates one operation (`Store`)."""

    def __call__(self, kind: str, *, writes: bool) -> AbstractContextManager[Note]:
        """Enter around a command; `writes` where its failure may leave a write behind."""
        ...


class Attempt(Protocol):
    """What can be done in one attempt at reading and writing as one (`store.transaction`).

    Every method raises Problems only, WriteConflict among them.
    """

    def find(self, collection: str, where: bytes) -> bytes | None:
        """The document, None where there is none."""
        ...

    def insert(self, collection: str, document: bytes) -> None:
        """Insert one document."""
        ...

    def insert_many(self, collection: str, documents: Sequence[bytes]) -> dict[int, Problem]:
        """Insert documents; the problem of each that could not be, by its place."""
        ...

    def present(self, collection: str, ids: Sequence[Value]) -> set[Value]:
        """Those of the ids, as they are stored, of which there are documents."""
        ...

    def replace(self, collection: str, where: bytes, document: bytes) -> None:
        """Replace the document that `find` has given."""
        ...

    def modify(self, collection: str, where: bytes, update: Mapping[str, Any]) -> bytes:
        """Apply update operators to the document that `find` has given; what it became."""
        ...

    def remove(self, collection: str, where: bytes) -> None:
        """Delete the document that `find` has given."""
        ...


class Commands:
    """Single commands: an Attempt inside a transaction. Every method raises Problems only."""

    def __init__(
        self,
        collection: Callable[[str], Raw],
        bounded: Bounded,
        session: ClientSession | None = None,
        hold: Hold = EVERYTHING,
    ) -> None:
        """Take how to find a collection, what goes around each command, and the transaction.

        They see and write no documents but those of the hold.
        """
        self._collection = collection
        self._bounded = bounded
        self._hold = hold
        self.session = session
        """The transaction that they are in, if any."""
        # Inside a transaction nothing is written before it is committed.
        self._writes = session is None

    def held_to(self, hold: Hold) -> Commands:
        """The same for what is held to."""
        return Commands(self._collection, self._bounded, self.session, hold)

    def is_held(self, collection: str) -> bool:
        """Whether there may be documents of it that they do not see."""
        return self._hold.of(collection) is not None

    def within(self, session: ClientSession) -> Commands:
        """The same in a transaction."""
        return Commands(self._collection, self._bounded, session, self._hold)

    def find(self, collection: str, where: bytes) -> bytes | None:
        """The document, None where there is none. Raises DatabaseUnavailable, DeadlineExceeded."""
        with self._bounded("find", writes=False):
            raw = self._collection(collection).find_one(
                RawBSONDocument(where), session=self.session
            )
        found = None if raw is None else bytes(raw.raw)
        return found if found is None or self._hold.sees(collection, found) else None

    def find_some(self, collection: str, ids: Iterable[Value]) -> tuple[dict[Value, bytes], bool]:
        """The documents of so many of these ids as fit into one answer, and if that is all.

        Raises DatabaseUnavailable, DeadlineExceeded.
        """
        where = encode({"_id": {"$in": close_node(list(ids))}})
        with self._bounded("findMany", writes=False):
            asked = self._collection(collection).find_raw_batches(
                self._hold.filter(collection, where), session=self.session
            )
            with closing(asked) as cursor:
                batch = cast("bytes", next(cursor, b""))
                is_all = not cursor.alive
        return {_id(each): each for each in split(memoryview(batch))}, is_all

    def insert(self, collection: str, document: bytes) -> None:
        """Insert one document.

        Raises DuplicateKey, InvalidDocument, TooLarge, DatabaseUnavailable, OutcomeUnknown, and
        in a transaction WriteConflict and DeadlineExceeded.
        """
        self._hold.check(collection, document)
        with self._bounded("insert", writes=self._writes), told(untaken):
            self._collection(collection).insert_one(Stored(document), session=self.session)

    def insert_many(self, collection: str, documents: Sequence[bytes]) -> dict[int, Problem]:
        """Insert documents, each tried by itself; the problem of each that failed, by its place.

        The others are acknowledged. In a transaction the first problem aborts all of it. Raises,
        for all of them, DatabaseUnavailable, OutcomeUnknown, in a transaction WriteConflict, and
        InvalidDocument where the database refuses the command for one of them, carried out nothing
        and does not say which.
        """
        return self._hold.insert(collection, documents, partial(self._insert_many, collection))

    def _insert_many(self, collection: str, documents: Sequence[bytes]) -> dict[int, Problem]:
        if not documents:
            return {}
        with self._bounded("insertMany", writes=self._writes) as note, told(untaken):
            try:
                self._collection(collection).insert_many(
                    [Stored(each) for each in documents], ordered=False, session=self.session
                )
            except driver.BulkWriteError as error:
                return self._failed(error, len(documents), note)
        return {}

    def _failed(self, error: driver.BulkWriteError, count: int, note: Note) -> dict[int, Problem]:
        """The problem of each that failed; each kind is noted once."""
        found = of_each(error, count, writes=self._writes)
        for problem in {type(each): each for each in found.values()}.values():
            note(error, problem)
        return found

    def present(self, collection: str, ids: Sequence[Value]) -> set[Value]:
        """Those of the ids, as they are stored, of which there are documents, whoever's they are.

        Nobody can insert under an id that is taken, which is thus no secret.
        """
        where = encode({"_id": {"$in": close_node(list(ids))}})
        with self._bounded("find", writes=False):
            found = self._collection(collection).find(
                RawBSONDocument(where), {"_id": True}, session=self.session
            )
            return {value for each in found for _, value in elements(bytes(each.raw))}

    def put(self, collection: str, where: bytes, fields: bytes) -> bool:
        """Replace the document of an id, or insert it; `fields` has no `_id`.

        Returns whether it was inserted. Raises what `insert` raises. It is for those who are held
        to nothing: an upsert takes no filter that asks for more than equality.
        """
        assert not self.is_held(collection)
        with self._bounded("put", writes=self._writes), told(untaken):
            done = self._collection(collection).replace_one(
                RawBSONDocument(where), Stored(fields), upsert=True, session=self.session
            )
        return done.matched_count == 0

    def put_many(self, collection: str, puts: Sequence[Put]) -> list[bool | Problem]:
        """The same of many, each tried by itself: whether it was inserted, or why it failed.

        Those of one id are carried out in their order. Raises, for all of them, what `insert_many`
        raises, and TooLarge where the driver takes none for one of them.
        """
        assert not self.is_held(collection)
        asked: list[ReplaceOne[RawBSONDocument]] = [
            ReplaceOne(RawBSONDocument(where), Stored(fields), upsert=True)
            for where, fields in puts
        ]
        failed: Mapping[int, Problem] = {}
        with self._bounded("putMany", writes=self._writes) as note, told(untaken):
            try:
                made = self._collection(collection).bulk_write(
                    asked, ordered=False, session=self.session
                )
                inserted = set(made.upserted_ids or ())
            except driver.BulkWriteError as error:
                failed = self._failed(error, len(puts), note)
                inserted = {each["index"] for each in (error.details or {}).get("upserted", ())}
        return [failed.get(at, at in inserted) for at in range(len(puts))]

    def replace(self, collection: str, where: bytes, document: bytes) -> None:
        """Replace the document. Raises WriteConflict for none, and what `insert` raises."""
        self._hold.check(collection, document)
        with self._bounded("replace", writes=self._writes), told(untaken):
            done = self._collection(collection).replace_one(
                self._hold.filter(collection, where), Stored(document), session=self.session
            )
        _require(done.matched_count)

    def modify(self, collection: str, where: bytes, update: Mapping[str, Any]) -> bytes:
        """Apply MongoDB's update operators to the document; what it became.

        Raises InvalidPatch where the document is not such that they can be applied, and what
        `replace` raises.
        """
        self._hold.check_update(collection, update)
        # Not by findAndModify: SecantusDB looks through the whole collection for it.
        with self._bounded("modify", writes=self._writes), told(unfit_update, untaken):
            done = self._collection(collection).update_one(
                self._hold.filter(collection, where), update, session=self.session
            )
        _require(done.matched_count)
        after = self.find(collection, where)
        if after is None:
            raise changed()
        return after

    def modify_alone(self, collection: str, where: bytes, update: Mapping[str, Any]) -> bytes:
        """As `modify`, in one command: what is returned is of this update, whatever follows it."""
        self._hold.check_update(collection, update)
        with self._bounded("modify", writes=self._writes), told(unfit_update, untaken):
            after = self._collection(collection).find_one_and_update(
                self._hold.filter(collection, where), update, return_document=ReturnDocument.AFTER
            )
        if after is None:
            raise changed()
        return bytes(after.raw)

    def remove(self, collection: str, where: bytes) -> None:
        """Delete the document; raises as `replace` does."""
        _require(self.discard(collection, where))

    def discard(self, collection: str, where: bytes) -> int:
        """Delete the document, if there is one; how many there were. Raises as `insert` does."""
        with self._bounded("remove", writes=self._writes):
            done = self._collection(collection).delete_one(
                self._hold.filter(collection, where), session=self.session
            )
        return done.deleted_count

    def expire(self, collection: str, field: str, seconds: int) -> None:
        """Have documents deleted so long after the date in `field` (a TTL index), if not yet so."""
        with self._bounded("createIndexes", writes=False):
            try:
                self._collection(collection).create_index(field, expireAfterSeconds=seconds)
            except driver.OperationFailure as error:
                if error.code not in _OTHER_INDEX:
                    raise
                # Of another version of the service, or of an operator who knows better.
                structlog.get_logger().warning("index is another", collection=collection)


@contextmanager
def told(*meanings: Callable[[int | None], Problem | None]) -> Iterator[None]:
    """Tell what the document or the update is to blame for from a failure of the database."""
    try:
        yield
    except driver.OperationFailure as error:
        for meaning in meanings:
            problem = meaning(error.code)
            if problem is not None:
                raise problem from error
        raise


def _id(document: bytes) -> Value:
    found = first_member(document, "_id")
    assert found is not None
    return found


def _require(matched: int) -> None:
    if not matched:
        raise changed()


def changed() -> WriteConflict:
    """The problem of a document that is not as it was read."""
    return WriteConflict("Another writer has changed the document in the meantime.")
