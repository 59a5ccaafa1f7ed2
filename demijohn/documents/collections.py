"""How collections are configured: their schema, and whether changes need a condition.

A configuration lies in the service's own collection, beside the documents. Each process keeps what
it has read and looks again whether anything has changed once that is a second old, so that every
process of every replica goes by a new configuration within two seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bson
from bson import ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion

from demijohn.documents.kept import Kept, Living
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
MIB = 1024 * 1024
MOST_KEPT = 48 * MIB
"""Bytes of memory that the configurations may take that a process keeps compiled."""
MOST_ALIVE = 96 * MIB
"""The same of all schemas that anybody has at one time, kept or not."""
PATIENCE = 1.0
"""Seconds that one who needs another waits for somebody to be done with his."""
_LEAST = 1_024
"""Bytes of a configuration without a schema."""
_UNREADABLE = "The collection's configuration cannot be read: put it anew, or drop the collection."
_NO_VERSION = ObjectId(bytes(12))
_ANYTHING: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_ID = "_id"
_SCHEMED = bson.encode({"schema": {"$exists": True}})


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
        self._kept: Kept[Configuration] = Kept(MOST_KEPT)
        self._living = Living(MOST_ALIVE, PATIENCE)
        self._compiling = threading.Lock()

    def of(self, collection: str) -> Configuration:
        """A collection's configuration, at most two seconds old.

        Raises DatabaseUnavailable, DeadlineExceeded, InternalError for one that cannot be read,
        Overloaded where too many large schemas are in use.
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
        return self._kept.find(collection, version)

    @property
    def is_due(self) -> bool:
        """Whether it is time to `refresh`, for those who ask by `known` alone."""
        return self._versions.is_due

    def refresh(self) -> None:
        """Look whether anything has changed, where nobody does. It takes its time, in a thread."""
        self._versions.refresh()

    def with_schema(self) -> frozenset[str]:
        """The names of the collections that have one, read anew. Raises as `of`."""
        query = Query(COLLECTION, _SCHEMED, projection=bson.encode({_ID: True}), of_primary=True)
        return frozenset(each[_ID] for each in self._find(query) if isinstance(each[_ID], str))

    def texts(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """The schemas that these collections have, in the order of names, read anew.

        They are JSON where this service has put them. Not all have to be taken. Raises as `of`.
        """
        where = bson.encode({_ID: {"$in": list(names)}, **bson.decode(_SCHEMED)})
        shown = bson.encode({"schema": True})
        query = Query(COLLECTION, where, ((_ID, 1),), shown, of_primary=True)
        found = ((each[_ID], each["schema"]) for each in self._find(query))
        return ((name, text) for name, text in found if isinstance(text, bytes))

    def has(self, collection: str) -> bool:
        """Whether there is one of the collection, whatever it is. Raises as `of`."""
        return collection in self._versions.fresh()

    def versions(self) -> Mapping[str, ObjectId]:
        """What each configuration is known by; that of before while there is no database."""
        with suppress(Problem):
            return self._versions.fresh()
        return self._versions.last

    def schema(self, value: Any, place: tuple[str | int, ...] = ()) -> Schema:  # noqa: ANN401 - any JSON value
        """The schema that a JSON value is, to be put.

        Raises as `schemas.schema.read_schema`, and Overloaded where too many are in use.
        """
        from demijohn.schemas.schema import read_schema  # noqa: PLC0415 - see `_compiled`

        with self._compiling:
            return self._weighed(read_schema(value, place))

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
        found = self._find(query)
        return {each[_ID]: _version(each) for each in found if isinstance(each[_ID], str)}

    def _find(self, query: Query) -> Iterator[dict[str, Any]]:
        for batch in self._store.reading.find(query):
            yield from map(_decoded, split(memoryview(batch)))

    def _configuration(self, name: str, version: ObjectId) -> Configuration:
        """The configuration of this version, or of one that is newer still."""
        known = self._kept.find(name, version)
        if known is not None:
            return known
        stored = self._store.single.find(COLLECTION, _where(name))
        return UNCONFIGURED if stored is None else self._made(name, _decoded(stored))

    def _made(self, name: str, stored: Mapping[str, Any]) -> Configuration:
        version = _version(stored)
        # One at a time: it takes more memory meanwhile, and others may want the same.
        with self._compiling:
            known = self._kept.find(name, version)
            if known is None:
                schema = _compiled(_checked(stored).get("schema"))
                weight = _LEAST if schema is None else self._weighed(schema).footprint
                known = Configuration(schema, stored["require_if_match"])
                self._kept.keep(name, version, known, weight)
            return known

    def _weighed(self, schema: Schema) -> Schema:
        self._living.take(schema, schema.footprint)
        return schema


def _decoded(stored: bytes) -> dict[str, Any]:
    """What lies there, whatever somebody else has put into it: any date, text that is no UTF-8."""
    found: dict[str, Any] = bson.decode(stored, _ANYTHING)
    return found


def _version(stored: Mapping[str, Any]) -> ObjectId:
    """What a configuration is known by. One that somebody else has made may have nothing."""
    version = stored.get("version")
    return version if isinstance(version, ObjectId) else _NO_VERSION


def _checked(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same. Raises InternalError for what this service has not put like that."""
    is_ours = (
        _version(stored) != _NO_VERSION
        and isinstance(stored.get("require_if_match"), bool)
        and isinstance(stored.get("schema"), bytes | None)
    )
    if not is_ours:
        raise InternalError(_UNREADABLE)
    return stored


def _compiled(schema: bytes | None) -> Schema | None:
    if schema is None:
        return None
    # Not above: with its engine it takes 3 MiB of a worker, and where no collection has one, none.
    from demijohn.schemas.schema import compile_schema  # noqa: PLC0415

    try:
        return compile_schema(schema)
    except Problem as problem:
        raise InternalError(_UNREADABLE) from problem


def _held(document: bytes) -> dict[str, Any]:
    """What of a document is held to a schema: all but its id, in its plain spelling."""
    plain: dict[str, Any] = plain_value(Value(DOCUMENT, document))
    plain.pop(_ID, None)
    return plain


def _where(collection: str) -> bytes:
    return bson.encode({_ID: collection})
