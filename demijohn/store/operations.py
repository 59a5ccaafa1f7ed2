"""What a collection can be asked, one command each: with a session, inside its transaction.

Documents go in and out as raw BSON. `head` says which one is meant: BSON of a document that has
its `_id` alone. It is a filter as it stands, with the id's exact type, and the caller has seen to
it that no operator is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import ReturnDocument
from pymongo import errors as driver
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from demijohn.errors import DuplicateKey, TooLarge, WriteConflict
from demijohn.store.failures import unfit_update

Raw = Collection[RawBSONDocument]
MIB = 1024 * 1024
LARGEST_COMPARED = 7 * MIB
"""Bytes: the old document and the new one have to fit one command."""


class Bounded(Protocol):
    """Bounds, times, counts and translates one operation (`Store`)."""

    def __call__(self, kind: str, *, writes: bool) -> AbstractContextManager[None]:
        """Enter around a command; `writes` where its failure may leave a write behind."""
        ...


class Operations:
    """Single commands. Every method raises Problems only."""

    def __init__(
        self,
        collection: Callable[[str], Raw],
        bounded: Bounded,
        session: ClientSession | None = None,
    ) -> None:
        """Take how to find a collection, what goes around each command, and the transaction."""
        self._collection = collection
        self._bounded = bounded
        self._session = session
        # Inside a transaction nothing is written before it is committed.
        self._writes = session is None

    def find(self, collection: str, head: bytes) -> bytes | None:
        """The document of that id, None where there is none.

        Raises DatabaseUnavailable, DeadlineExceeded.
        """
        with self._bounded("find", writes=False):
            found = self._collection(collection).find_one(
                RawBSONDocument(head), session=self._session
            )
        return None if found is None else bytes(found.raw)

    def insert(self, collection: str, document: bytes) -> None:
        """Insert one document.

        Raises DuplicateKey, InvalidDocument, TooLarge, DatabaseUnavailable, OutcomeUnknown.
        """
        with self._bounded("insert", writes=self._writes):
            self._collection(collection).insert_one(
                RawBSONDocument(document), session=self._session
            )

    def put(self, collection: str, head: bytes, fields: bytes) -> bool:
        """Replace the document of that id, or insert it; `fields` has no `_id`.

        Returns whether it was inserted. Raises what `insert` raises.
        """
        with self._bounded("put", writes=self._writes):
            done = self._collection(collection).replace_one(
                RawBSONDocument(head), RawBSONDocument(fields), upsert=True, session=self._session
            )
        return done.matched_count == 0

    def replace(self, collection: str, head: bytes, document: bytes) -> None:
        """Replace the document that `find` has given; raises what `insert` raises."""
        with self._bounded("replace", writes=self._writes):
            done = self._collection(collection).replace_one(
                self._filter(collection, head, document),
                RawBSONDocument(document),
                session=self._session,
            )
        _require(done.matched_count)

    def modify(self, collection: str, head: bytes, update: Mapping[str, Any]) -> bytes:
        """Apply MongoDB's update operators to the document that `find` has given; what it became.

        Raises InvalidPatch where the document is not such that they can be applied, and what
        `insert` raises.
        """
        # Not by findAndModify: SecantusDB looks through the whole collection for it.
        with self._bounded("modify", writes=self._writes), _unfit():
            done = self._collection(collection).update_one(
                RawBSONDocument(head), update, session=self._session
            )
        _require(done.matched_count)
        after = self.find(collection, head)
        if after is None:
            raise _changed()
        return after

    def remove(self, collection: str, head: bytes) -> bool:
        """Delete the document of that id; whether there was one. Raises as `insert` does."""
        with self._bounded("remove", writes=self._writes):
            done = self._collection(collection).delete_one(
                self._filter(collection, head, b""), session=self._session
            )
        return done.deleted_count > 0

    def expire(self, collection: str, field: str, seconds: int) -> None:
        """Have documents deleted so long after the date in `field` (a TTL index), if not yet so."""
        with self._bounded("createIndexes", writes=False):
            self._collection(collection).create_index(field, expireAfterSeconds=seconds)

    def _filter(self, collection: str, head: bytes, _new: bytes) -> Mapping[str, Any]:
        """What the document to be written must match."""
        del collection
        return RawBSONDocument(head)


class ByValue(Operations):
    """For a standalone mongod, which has no transactions: what was read must still be equal.

    Weaker than a transaction: MongoDB compares values, so that a document in which another
    writer has changed 1 to 1.0 passes for unchanged; and it is for one write only.
    """

    def __init__(self, collection: Callable[[str], Raw], bounded: Bounded) -> None:
        """Take what Operations takes, without a session."""
        super().__init__(collection, bounded)
        self._read: dict[str, bytes | None] = {}

    def find(self, collection: str, head: bytes) -> bytes | None:
        """As Operations.find; a write that follows demands that nothing has changed since."""
        found = super().find(collection, head)
        self._read[collection] = found
        return found

    def insert(self, collection: str, document: bytes) -> None:
        """As Operations.insert; raises WriteConflict where `find` saw no document of that id."""
        try:
            super().insert(collection, document)
        except DuplicateKey as problem:
            if collection in self._read and problem.extra.get("fields") == ["_id"]:
                raise _changed() from problem
            raise

    def modify(self, collection: str, head: bytes, update: Mapping[str, Any]) -> bytes:
        """As Operations.modify; the result is what this update has made, whatever follows it."""
        condition = self._filter(collection, head, bson.encode(update))
        with self._bounded("modify", writes=self._writes), _unfit():
            after = self._collection(collection).find_one_and_update(
                condition, update, return_document=ReturnDocument.AFTER
            )
        if after is None:
            raise _changed()
        return bytes(after.raw)

    def remove(self, collection: str, head: bytes) -> bool:
        """As Operations.remove; raises WriteConflict where it is not as `find` saw it."""
        _require(super().remove(collection, head))
        return True

    def _filter(self, collection: str, head: bytes, new: bytes) -> Mapping[str, Any]:
        before = self._read.get(collection)
        if before is None:
            raise _changed()
        if max(len(before), len(new)) > LARGEST_COMPARED:
            raise TooLarge(
                "On a standalone mongod a document of more than 7 MiB cannot be changed "
                "conditionally: it is compared by value, and both have to fit one command."
            )
        unchanged = {"$eq": ["$$ROOT", {"$literal": RawBSONDocument(before)}]}
        return {"$and": [RawBSONDocument(head), {"$expr": unchanged}]}


@contextmanager
def _unfit() -> Iterator[None]:
    """Tell an update that the document does not take from a failure of the database."""
    try:
        yield
    except driver.OperationFailure as error:
        problem = unfit_update(error.code)
        if problem is None:
            raise
        raise problem from error


def _require(matched: int | bool) -> None:  # noqa: FBT001 — a count or a yes
    if not matched:
        raise _changed()


def _changed() -> WriteConflict:
    return WriteConflict("Another writer has changed the document in the meantime.")
