"""For a standalone mongod, which has no transactions: what was read must still be equal.

Weaker than a transaction: MongoDB compares values, so that a document in which another writer has
changed 1 to 1.0 passes for unchanged; and each write is by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from demijohn.errors import DuplicateKey, Problem, TooLarge
from demijohn.formats.bson_values import Value
from demijohn.store.commands import Commands, changed

LARGEST_COMPARED = 7 * 1024 * 1024
"""Bytes: the old document and the new one have to fit one command."""


class ByValue:
    """An Attempt whose writes demand that the document is as `find` has given it."""

    def __init__(self, commands: Commands) -> None:
        """Take the commands, without a session."""
        self._commands = commands
        self._read: dict[tuple[str, bytes], bytes | None] = {}

    def find(self, collection: str, where: bytes) -> bytes | None:
        """The document, None where there is none."""
        found = self._commands.find(collection, where)
        self._read[collection, where] = found
        return found

    def insert(self, collection: str, document: bytes) -> None:
        """Insert one document; raises WriteConflict where `find` saw none of that id."""
        try:
            self._commands.insert(collection, document)
        except DuplicateKey as problem:
            if problem.extra.get("fields") == ["_id"] and self._has_appeared(collection):
                raise changed() from problem
            raise

    def insert_many(self, collection: str, documents: Sequence[bytes]) -> dict[int, Problem]:
        """Insert documents, each by itself; the problem of each that failed, by its place."""
        return self._commands.insert_many(collection, documents)

    def present(self, collection: str, ids: Sequence[Value]) -> set[Value]:
        """Those of the ids of which there are documents."""
        return self._commands.present(collection, ids)

    def replace(self, collection: str, where: bytes, document: bytes) -> None:
        """Replace the document. Raises TooLarge past 7 MiB."""
        self._commands.replace(collection, self._unchanged(collection, where, document), document)

    def modify(self, collection: str, where: bytes, update: Mapping[str, Any]) -> bytes:
        """Apply update operators to the document; what it became."""
        unchanged = self._unchanged(collection, where, bson.encode(update))
        return self._commands.modify_alone(collection, unchanged, update)

    def remove(self, collection: str, where: bytes) -> None:
        """Delete the document."""
        self._commands.remove(collection, self._unchanged(collection, where, b""))

    def _has_appeared(self, collection: str) -> bool:
        """Whether what `find` saw none of is there by now, so that another attempt sees it."""
        looked_for = [where for name, where in self._read if name == collection]
        if not self._commands.is_held(collection):
            return bool(looked_for)
        # Of a document that is another's none will ever be seen.
        return any(self._commands.find(collection, where) is not None for where in looked_for)

    def _unchanged(self, collection: str, where: bytes, new: bytes) -> bytes:
        before = self._read.get((collection, where))
        if before is None:
            raise changed()
        if max(len(before), len(new)) > LARGEST_COMPARED:
            raise TooLarge(
                "On a standalone mongod a document of more than 7 MiB cannot be changed "
                "conditionally: it is compared by value, and both have to fit one command."
            )
        equal = {"$eq": ["$$ROOT", {"$literal": RawBSONDocument(before)}]}
        return bson.encode({"$and": [RawBSONDocument(where), {"$expr": equal}]})
