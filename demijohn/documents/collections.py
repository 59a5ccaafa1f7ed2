"""How collections are configured: their schema, and whether changes need a condition.

A configuration lies in the service's own collection, beside the documents. Each process keeps what
it has read and looks again whether anything has changed once that is a second old, so that every
process of every replica goes by a new configuration within two seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bson
from bson import ObjectId

from demijohn.errors import (
    Fault,
    InternalError,
    InvalidPatch,
    NeedsReplicaSet,
    PreconditionRequired,
    Problem,
)
from demijohn.formats.batches import split
from demijohn.formats.bson_values import DOCUMENT, Value
from demijohn.formats.plain_out import plain_value
from demijohn.formats.spelling import Draft, read_draft
from demijohn.store.documents import Store
from demijohn.store.reading import Query
from demijohn.store.watched import Ages, Watched

if TYPE_CHECKING:
    from demijohn.schemas.schema import Schema

COLLECTION = "_collections"
FRESH = 1.0
"""Seconds for which nobody looks again."""
STALE = 2.0
"""Seconds after which nobody goes by it any more."""
MOST_KEPT = 1_000
"""Configurations that a process keeps compiled."""
_ID = "_id"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a collection demands of its documents and of those who change them."""

    schema: Schema | None = None
    require_if_match: bool = False

    def check(self, document: bytes) -> None:
        """Hold a document, or its fields alone, to the schema. Raises InvalidDocument."""
        if self.schema is not None:
            self.schema.check(_held(document))

    def fits(self, document: bytes) -> bool:
        """Whether `check` would raise nothing. It does not say what would be wrong, nor look."""
        return self.schema is None or self.schema.fits(_held(document))

    def is_quick(self, text: bytes) -> bool:
        """Whether `fits` takes next to no time for the document in a plain JSON text."""
        return self.schema is None or self.schema.is_quick(text)

    def read(self, body: bytes, *, extended: bool) -> Draft:
        """The document in a text, held to the schema. Raises as `read_draft` and `check` do."""
        draft = read_draft(body, extended=extended)
        self.check(draft.fields)
        return draft

    def check_operators(self, store: Store) -> None:
        """Raise NeedsReplicaSet for MongoDB's operators, where their outcome cannot be undone."""
        if self.schema is not None and not store.has_transactions:
            raise NeedsReplicaSet("Operators under a schema need a transaction.")

    def check_update_many(self) -> None:
        """Raise InvalidPatch for a change of many documents, which nobody holds to the schema."""
        if self.schema is not None:
            detail = "Under a schema documents are changed one by one, so that each is held to it."
            raise InvalidPatch(detail, faults=(Fault("", detail),))

    def check_condition(self, *, is_given: bool) -> None:
        """Raise PreconditionRequired for a change without a condition, where one is demanded."""
        if self.require_if_match and not is_given:
            raise PreconditionRequired(
                "This collection is changed under a condition alone: If-Match or If-None-Match."
            )


UNCONFIGURED = Configuration()


class Configurations:
    """The configurations of one process. Every method raises Problems only."""

    def __init__(
        self, store: Store, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the store, the seconds that one waits for another who looks, and a clock."""
        self._store = store
        self._versions: Watched[Mapping[str, ObjectId]] = Watched(
            self._read, {}, Ages(FRESH, STALE, patience), clock
        )
        self._found: dict[str, tuple[ObjectId, Configuration]] = {}

    def of(self, collection: str) -> Configuration:
        """A collection's configuration, at most two seconds old.

        Raises DatabaseUnavailable, DeadlineExceeded, InternalError for one that cannot be read.
        """
        version = self._versions.fresh().get(collection)
        return UNCONFIGURED if version is None else self._configuration(collection, version)

    def known(self, collection: str) -> Configuration | None:
        """The same where nobody has to be asked or waited for; else None. Raises nothing."""
        versions = self._versions.known()
        if versions is None:
            return None
        version = versions.get(collection)
        if version is None:
            return UNCONFIGURED
        found = self._found.get(collection)
        return None if found is None or found[0] != version else found[1]

    @property
    def is_due(self) -> bool:
        """Whether it is time to `refresh`, for those who ask by `known` alone."""
        return self._versions.is_due

    def refresh(self) -> None:
        """Look whether anything has changed, where nobody does. It takes its time, in a thread."""
        self._versions.refresh()

    def all(self) -> dict[str, Configuration]:
        """Every collection's that is configured. Raises as `of`."""
        versions = self._versions.fresh()
        return {name: self._configuration(name, each) for name, each in versions.items()}

    def versions(self) -> Mapping[str, ObjectId]:
        """What each configuration is known by; that of before while there is no database."""
        with suppress(Problem):
            return self._versions.fresh()
        return self._versions.last

    def put(self, collection: str, wanted: Configuration) -> None:
        """Configure a collection, which every process goes by within two seconds.

        Raises DatabaseUnavailable, OutcomeUnknown.
        """
        fields = {
            "version": ObjectId(),
            "require_if_match": wanted.require_if_match,
            **({} if wanted.schema is None else {"schema": wanted.schema.text}),
        }
        with self._versions.changing():
            self._store.single.put(COLLECTION, _where(collection), bson.encode(fields))

    def drop(self, collection: str) -> None:
        """Forget a collection's configuration. Raises as `put`."""
        with self._versions.changing():
            self._store.single.discard(COLLECTION, _where(collection))

    def _read(self) -> Mapping[str, ObjectId]:
        query = Query(COLLECTION, projection=bson.encode({"version": True}), of_primary=True)
        return {
            each[_ID]: each["version"]
            for batch in self._store.reading.find(query)
            for each in map(bson.decode, split(memoryview(batch)))
        }

    def _configuration(self, name: str, version: ObjectId) -> Configuration:
        """The configuration of this version, or of one that is newer still."""
        known = self._found.get(name)
        if known is not None and known[0] == version:
            return known[1]
        stored = self._store.single.find(COLLECTION, _where(name))
        if stored is None:
            return UNCONFIGURED
        found = _decoded(bson.decode(stored))
        if len(self._found) >= MOST_KEPT:
            self._found.clear()
        self._found[name] = found
        return found[1]


def _decoded(stored: Mapping[str, Any]) -> tuple[ObjectId, Configuration]:
    try:
        compiled = _compiled(stored.get("schema"))
    except Problem as problem:
        raise InternalError("The collection's configuration cannot be read.") from problem
    return stored["version"], Configuration(compiled, stored["require_if_match"])


def _compiled(schema: bytes | None) -> Schema | None:
    if schema is None:
        return None
    # Not above: with its engine it takes 3 MiB of a worker, and where no collection has one, none.
    from demijohn.schemas.schema import compile_schema  # noqa: PLC0415

    return compile_schema(schema)


def _held(document: bytes) -> dict[str, Any]:
    """What of a document is held to a schema: all but its id, in its plain spelling."""
    plain: dict[str, Any] = plain_value(Value(DOCUMENT, document))
    plain.pop(_ID, None)
    return plain


def _where(collection: str) -> bytes:
    return bson.encode({_ID: collection})
