"""The keys that hold at this time: those in the database, and those of a file.

A process looks into the database every second whether a key was made or revoked, and into the file
whether it was written anew, and goes by nothing that is older than STALE: so that a revoked key is
of no use anywhere after that many seconds. While the database can't be reached nobody can say who
is let in, and requests get the 503 that they would get anyway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bson
import orjson
import structlog
from bson import ObjectId

from demijohn.auth.caller import NOBODY, Caller
from demijohn.auth.keys import Key, Presented, from_record, parse, refusal, to_record
from demijohn.errors import BadParameter, NotFound, Problem
from demijohn.formats.batches import split
from demijohn.store.documents import Store
from demijohn.store.reading import Query
from demijohn.store.watched import Ages, Watched

COLLECTION = "_keys"
FRESH, STALE = 1.0, 5.0
"""Seconds: how often a process looks, and after which it goes by nothing that it has seen."""
MOST = 10_000
"""Keys in the database."""
MARK = b"\0"
"""The `_id` of the document whose `version` changes with every change of the keys."""
LARGEST_FILE = 4 * 1024 * 1024
Keys = Mapping[str, Key]


class Kept:
    """The keys in the database. Every method raises Problems only."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store

    def add(self, key: Key) -> None:
        """Keep a new key. Raises BadParameter where there are too many, and as the store does."""
        if len(self.all()) >= MOST:
            raise BadParameter(f"There are {MOST:,} keys already.")
        self._store.single.insert(COLLECTION, _stored(key))
        self._mark()

    def remove(self, id_: str) -> None:
        """Forget a key. Raises NotFound, and as the store does."""
        removed = self._store.single.discard(COLLECTION, bson.encode({"_id": id_}))
        # Marked in any case: one who was cut off between the two can try again.
        self._mark()
        if not removed:
            raise NotFound(f"There is no key {id_[:100]} in the database.")

    def all(self) -> dict[str, Key]:
        """Every key by its id; one that can't be read is logged, and is none."""
        found = {}
        query = Query(COLLECTION, of_primary=True)
        for batch in self._store.reading.find(query):
            for each in map(bson.decode, split(memoryview(batch))):
                if each["_id"] != MARK:
                    found.update(_read(each))
        return found

    def version(self) -> object:
        """What changes with every change of the keys."""
        marked = self._store.single.find(COLLECTION, bson.encode({"_id": MARK}))
        return None if marked is None else bson.decode(marked).get("version")

    def _mark(self) -> None:
        fields = bson.encode({"version": ObjectId()})
        self._store.single.put(COLLECTION, bson.encode({"_id": MARK}), fields)


class KeyFile:
    """Keys in a file: a JSON array of them, as a mounted Secret has it."""

    def __init__(self, path: Path) -> None:
        """Take its path; nothing is read yet."""
        self._path = path
        self._seen: object = None
        self._keys: Keys = {}

    def all(self) -> Keys:
        """Its keys by their ids. Raises BadParameter for a file that can't be read."""
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_ino, status.st_size
            if seen != self._seen:
                self._keys = read_file(self._path)
                self._seen = seen
        except OSError as error:
            raise BadParameter(f"{self._path}: it can't be read: {error.strerror}.") from None
        return self._keys

    def kept(self) -> Keys:
        """The same; of a file that can't be read now, the keys that it had."""
        try:
            return self.all()
        except BadParameter as problem:
            structlog.get_logger().error("the file of keys is not read", reason=problem.detail)
            return self._keys


class Keyring:
    """The keys of one process. Thread-safe. Every method raises Problems only."""

    def __init__(
        self,
        store: Store,
        file: KeyFile | None,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take where keys are, and the seconds that one waits for another who looks.

        `clock` is monotonic, `now` is seconds since 1970.
        """
        self._kept = Kept(store)
        self._file = file
        self._now = now
        self._version: object = self  # which no version is
        self._in_database: Keys = {}
        ages = Ages(FRESH, STALE, patience)
        self._keys: Watched[Keys] = Watched(self._read, {}, ages, clock)

    def caller(self, authorization: str | None) -> Caller:
        """Whose key it is; NOBODY without one. It may have to ask the database.

        Raises Unauthenticated, DatabaseUnavailable, DeadlineExceeded.
        """
        presented = parse(authorization)
        return NOBODY if presented is None else self._owner(self._keys.fresh(), presented)

    def known_caller(self, authorization: str | None) -> Caller | None:
        """The same where nobody has to be asked; else None. Raises Unauthenticated."""
        presented = parse(authorization)
        if presented is None:
            return NOBODY
        keys = self._keys.known()
        return None if keys is None else self._owner(keys, presented)

    def holds(self, caller: Caller) -> bool:
        """Whether a caller of before is still let in, by what is known, however old that is."""
        key = self._keys.last.get(caller.id)
        if key is None or key.caller != caller:
            return False
        return key.expires is None or self._now() < key.expires

    def watch(self, stopped: threading.Event) -> None:
        """Look once a second, until `stopped` is set, so that no request has to."""
        while not stopped.wait(FRESH):
            self._keys.refresh()

    def _owner(self, keys: Keys, presented: Presented) -> Caller:
        key = keys.get(presented.id)
        if key is None or not key.admits(presented, self._now()):
            raise refusal()
        return key.caller

    def _read(self) -> Keys:
        version = self._kept.version()
        if version != self._version:
            # Read after the version: what is newer than it is then only read once more.
            self._in_database = self._kept.all()
            self._version = version
        from_file = {} if self._file is None else self._file.kept()
        return {**from_file, **self._in_database}


def read_file(path: Path) -> dict[str, Key]:
    """The keys in a file by their ids. Raises OSError, BadParameter."""
    text = path.read_bytes()[: LARGEST_FILE + 1]
    try:
        keys = _parse(text)
    except orjson.JSONDecodeError as error:
        raise BadParameter(f"{path}: it is no JSON: line {error.lineno}.") from None
    except BadParameter as problem:
        raise BadParameter(f"{path}: {problem.detail}") from None
    return {key.caller.id: key for key in keys}


def _parse(text: bytes) -> list[Key]:
    if len(text) > LARGEST_FILE:
        raise BadParameter(f"It has more than {LARGEST_FILE:,} bytes.")
    records = orjson.loads(text)
    if not isinstance(records, list):
        raise BadParameter("It is no JSON array of keys.")
    keys = [from_record(each) for each in records]
    if len({key.caller.id for key in keys}) < len(keys):
        raise BadParameter("A key's id is in it twice.")
    return keys


def _stored(key: Key) -> bytes:
    # As text: the paths of a row filter may have dots, which is no name of a field's to many.
    record = to_record(key)
    return bson.encode({"_id": record.pop("id"), "record": orjson.dumps(record).decode()})


def _read(stored: Mapping[str, Any]) -> dict[str, Key]:
    try:
        record = {"id": stored["_id"], **orjson.loads(stored["record"])}
        key = from_record(record)
    except (KeyError, TypeError, orjson.JSONDecodeError, Problem) as error:
        structlog.get_logger().error(
            "a key can't be read", key=str(stored.get("_id"))[:100], reason=str(error)
        )
        return {}
    return {key.caller.id: key}
