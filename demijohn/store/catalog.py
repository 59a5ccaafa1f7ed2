"""Which collections and indexes there are; making and dropping them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import errors as driver
from pymongo.database import Database

from demijohn.errors import IndexConflict, InvalidIndex, NotFound
from demijohn.store.commands import Bounded, Raw, told
from demijohn.store.failures import unfit_index

_NO_COLLECTION, _NO_INDEX, _EXISTS = 26, 27, 48
_OTHER_INDEX = frozenset({85, 86})
"""IndexOptionsConflict, IndexKeySpecsConflict."""


class Catalog:
    """The database's collections and their indexes. Every method raises Problems only."""

    def __init__(
        self,
        database: Database[RawBSONDocument],
        collection: Callable[[str], Raw],
        bounded: Bounded,
    ) -> None:
        """Take the database, how to find a collection, and what goes around each command."""
        self._database = database
        self._collection = collection
        self._bounded = bounded

    def collections(self) -> list[str]:
        """The names of all collections, the service's own too."""
        with self._bounded("listCollections", writes=False):
            return self._database.list_collection_names()

    def exists(self, name: str) -> bool:
        """Whether there is a collection of this name."""
        with self._bounded("listCollections", writes=False):
            return bool(self._database.list_collection_names(filter={"name": name}))

    def create(self, name: str) -> None:
        """Make a collection, if there is none."""
        with self._bounded("create", writes=True):
            try:
                self._command(name, {"create": name})
            except driver.OperationFailure as error:
                if error.code != _EXISTS:  # which only older servers say
                    raise

    def drop(self, name: str) -> None:
        """Drop a collection, if there is one, and its indexes."""
        with self._bounded("drop", writes=True):
            self._collection(name).drop()

    def indexes(self, name: str) -> list[bytes]:
        """The indexes of a collection as MongoDB describes them; none where there is none."""
        with self._bounded("listIndexes", writes=False):
            return [bson.encode(each) for each in self._collection(name).list_indexes()]

    def create_index(self, name: str, index: bytes) -> bool:
        """Make an index (MongoDB manual, "createIndexes"), and the collection too.

        False where there is the same index already. Raises IndexConflict, DuplicateKey where
        documents violate a unique one, InvalidIndex, DatabaseUnavailable; OutcomeUnknown where
        it takes longer than an operation may: the database then goes on with it.
        """
        command = {"createIndexes": name, "indexes": [RawBSONDocument(index)]}
        with self._bounded("createIndexes", writes=True), told(_conflict, unfit_index):
            answer = self._command(name, command)
        return bool(answer["numIndexesAfter"] > answer["numIndexesBefore"])

    def drop_index(self, name: str, index: str) -> None:
        """Drop an index by its name. Raises NotFound, InvalidIndex for that of `_id`."""
        with self._bounded("dropIndexes", writes=True), told(_no_index, unfit_index):
            self._command(name, {"dropIndexes": name, "index": index})

    def _command(self, name: str, command: dict[str, Any]) -> RawBSONDocument:
        made = self._collection(name)
        answer: RawBSONDocument = self._database.command(
            {**command, "writeConcern": made.write_concern.document},
            codec_options=made.codec_options,
        )
        return answer


def _conflict(code: int | None) -> IndexConflict | None:
    if code not in _OTHER_INDEX:
        return None
    return IndexConflict("There is another index of that name, or of that key.")


def _no_index(code: int | None) -> NotFound | InvalidIndex | None:
    if code in (_NO_COLLECTION, _NO_INDEX):
        return NotFound("There is no index of that name.")
    return None
