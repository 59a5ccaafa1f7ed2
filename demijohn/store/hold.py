"""What of the collections a caller is held to: all of it, or the documents of a row filter.

It is applied at the commands themselves, so that no operation above can forget it; for what rides
together at its queue's door, behind which nobody knows whose a document is. A document that its id
finds is judged here and not by the database: with a second condition SecantusDB, for one, looks
through the whole collection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import bson
from bson import Int64
from bson.raw_bson import RawBSONDocument

from demijohn.errors import Problem
from demijohn.formats.bson_values import DOCUMENT, Node, Value, encode

MOST = Int64(2**63 - 1)
"""A limit that limits nothing."""
InsertMany = Callable[[Sequence[bytes]], dict[int, Problem]]
"""Inserts documents; the problem of each that failed, by its place."""


class RowFilter(Protocol):
    """Which documents they are (`query.rows`)."""

    @property
    def bson(self) -> bytes:
        """The filter that finds them."""
        ...

    def guarded(self, where: bytes) -> bytes:
        """The same filter, such that it cannot fail at a document that is none of them."""
        ...

    def holds(self, document: bytes) -> bool:
        """Whether a document is one of them, as the filter that finds them has it."""
        ...

    def check(self, document: bytes) -> None:
        """Raise Forbidden for a document that is none of them."""
        ...

    def check_update(self, update: Mapping[str, Any]) -> None:
        """Raise Forbidden for operators that could make another document of one of them."""
        ...


@dataclass(frozen=True, slots=True)
class Hold:
    """Without a filter it holds to nothing. The service's own collections are never held."""

    rows: RowFilter | None = None

    def of(self, collection: str) -> RowFilter | None:
        """What a collection is held to, if to anything."""
        return None if collection.startswith("_") else self.rows

    def narrowed(self, collection: str, where: bytes) -> bytes:
        """The filter that finds what `where` does, of the documents that may be seen."""
        rows = self.of(collection)
        if rows is None:
            return where
        both: list[Node] = [Value(DOCUMENT, rows.bson), Value(DOCUMENT, rows.guarded(where))]
        return encode({"$and": both})

    def filter(self, collection: str, where: bytes) -> RawBSONDocument:
        """The same, for the driver."""
        return RawBSONDocument(self.narrowed(collection, where))

    def stages(self, collection: str, pipeline: Sequence[bytes]) -> list[bytes]:
        """The pipeline, of the documents that may be seen."""
        rows = self.of(collection)
        if rows is None:
            return list(pipeline)
        first = [encode({"$match": Value(DOCUMENT, rows.bson)})]
        if any(b"$expr\0" in stage for stage in pipeline):
            # Two filters become one, which is judged in any order; none passes by a limit.
            first.append(bson.encode({"$limit": MOST}))
        return [*first, *pipeline]

    def sees(self, collection: str, document: bytes) -> bool:
        """Whether a document may be seen."""
        rows = self.of(collection)
        return rows is None or rows.holds(document)

    def check(self, collection: str, document: bytes) -> None:
        """Raise Forbidden for a document that may not be written."""
        rows = self.of(collection)
        if rows is not None:
            rows.check(document)

    def check_update(self, collection: str, update: Mapping[str, RawBSONDocument]) -> None:
        """Raise Forbidden for operators that may not be applied."""
        rows = self.of(collection)
        if rows is not None:
            rows.check_update(update)

    def insert(
        self, collection: str, documents: Sequence[bytes], insert: InsertMany
    ) -> dict[int, Problem]:
        """Insert those of the documents that may be written, each tried by itself.

        The problem of each that was not inserted, by its place. Raises what `insert` raises.
        """
        refused = self._refused(collection, documents)
        if not refused:
            return insert(documents)
        places = [at for at in range(len(documents)) if at not in refused]
        failed = insert([documents[at] for at in places]) if places else {}
        return refused | {places[at]: problem for at, problem in failed.items()}

    def _refused(self, collection: str, documents: Sequence[bytes]) -> dict[int, Problem]:
        """The documents that may not be written, by their places."""
        rows = self.of(collection)
        found: dict[int, Problem] = {}
        if rows is None:
            return found
        for place, document in enumerate(documents):
            try:
                rows.check(document)
            except Problem as problem:
                found[place] = problem
        return found


EVERYTHING = Hold()
