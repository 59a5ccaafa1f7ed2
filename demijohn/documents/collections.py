"""How collections are configured: their schema, and whether changes need a condition.

A configuration lies in the service's own collection, beside the documents. Each process keeps what
it has read and looks again whether anything has changed once that is a second old, so that every
process of every replica goes by a new configuration within two seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

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
from demijohn.schemas.schema import Schema, compile_schema
from demijohn.store.documents import Store
from demijohn.store.reading import Query

COLLECTION = "_collections"
FRESH = 1.0
"""Seconds for which nobody looks again."""
STALE = 2.0
"""Seconds after which nobody goes by it any more."""
_ID = "_id"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a collection demands of its documents and of those who change them."""

    schema: Schema | None = None
    require_if_match: bool = False

    def check(self, document: bytes) -> None:
        """Hold a document, or its fields alone, to the schema. Raises InvalidDocument."""
        if self.schema is not None:
            plain = plain_value(Value(DOCUMENT, document))
            plain.pop(_ID, None)
            self.schema.check(plain)

    def read(self, body: bytes, *, extended: bool) -> Draft:
        """The document in a text, held to the schema. Raises as `read_draft` and `check` do."""
        draft = read_draft(body, extended=extended)
        self.check(draft.fields)
        return draft

    def reader(self, *, extended: bool) -> Callable[[bytes], Draft]:
        """What reads many documents one by one."""
        return partial(self.read, extended=extended)

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


@dataclass(frozen=True, slots=True)
class Known:
    """All configurations as they were at one time, by the name of their collection."""

    at: float
    versions: Mapping[str, ObjectId] = field(default_factory=lambda: MappingProxyType({}))
    found: Mapping[str, Configuration] = field(default_factory=lambda: MappingProxyType({}))


class Configurations:
    """The configurations of one process. Every method raises Problems only."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the store, and a clock in seconds."""
        self._store = store
        self._clock = clock
        self.known = Known(-STALE)
        """What was read last."""
        self._reading = threading.Lock()

    def of(self, collection: str) -> Configuration:
        """A collection's configuration, at most two seconds old.

        Raises DatabaseUnavailable, DeadlineExceeded.
        """
        return self.all().found.get(collection, UNCONFIGURED)

    def all(self) -> Known:
        """Every collection's. Raises as `of`."""
        age = self._clock() - self.known.at
        if age < FRESH:
            return self.known
        # One looks; the others go on with what there is, while that is good enough.
        if self._reading.acquire(blocking=age >= STALE):
            try:
                if self._clock() - self.known.at >= FRESH:
                    self.known = self._read(self.known)
            finally:
                self._reading.release()
        return self.known

    def put(self, collection: str, wanted: Configuration) -> None:
        """Configure a collection, which every process goes by within two seconds.

        Raises DatabaseUnavailable, OutcomeUnknown.
        """
        fields = {
            "version": ObjectId(),
            "require_if_match": wanted.require_if_match,
            **({} if wanted.schema is None else {"schema": wanted.schema.text}),
        }
        self._store.single.put(COLLECTION, _where(collection), bson.encode(fields))
        self._forget()

    def drop(self, collection: str) -> None:
        """Forget a collection's configuration. Raises as `put`."""
        self._store.single.discard(COLLECTION, _where(collection))
        self._forget()

    def _forget(self) -> None:
        self.known = Known(-STALE, self.known.versions, self.known.found)

    def _read(self, before: Known) -> Known:
        began = self._clock()
        query = Query(COLLECTION, projection=bson.encode({"version": True}))
        versions = {
            each[_ID]: each["version"]
            for batch in self._store.reading.find(query)
            for each in map(bson.decode, split(memoryview(batch)))
        }
        found = {
            name: before.found[name]
            if name in before.found and before.versions.get(name) == version
            else self._read_one(name)
            for name, version in versions.items()
        }
        return Known(began, MappingProxyType(versions), MappingProxyType(found))

    def _read_one(self, name: str) -> Configuration:
        stored = self._store.single.find(COLLECTION, _where(name))
        if stored is None:
            return UNCONFIGURED
        given = bson.decode(stored)
        schema = given.get("schema")
        try:
            compiled = None if schema is None else compile_schema(schema)
        except Problem as problem:
            raise InternalError("A collection's configuration cannot be read.") from problem
        return Configuration(compiled, given["require_if_match"])


def _where(collection: str) -> bytes:
    return bson.encode({_ID: collection})
