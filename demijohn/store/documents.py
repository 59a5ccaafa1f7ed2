"""Documents in and out of collections, as raw BSON: the store that operations call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pymongo
import structlog
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from demijohn.errors import DatabaseUnavailable, Problem
from demijohn.settings import Settings
from demijohn.store import connection
from demijohn.store.failures import translated
from demijohn.store.status import Status
from demijohn.telemetry.metrics import Metrics

BATCH = 1_000
"""Documents a batch of a scan; MongoDB bounds its bytes at 16 MiB."""
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 1.0


class Store:
    """One database of one MongoDB. Every method raises Problems only.

    Timeouts are in seconds and bound the whole operation, waiting for a connection included
    (the driver's client side operation timeout, which also sets maxTimeMS on the server).
    """

    def __init__(self, uri: str, settings: Settings, metrics: Metrics) -> None:
        """Prepare to connect; raises SettingsError where the URI can't be used."""
        self._metrics = metrics
        self._settings = settings
        self.status = Status(lambda up: metrics.database_up.set(int(up)))
        self._client = connection.open_client(uri, settings, self.status, metrics)
        self._collections: dict[str, Collection[connection.Document]] = {}

    def insert(self, collection: str, document: bytes, timeout: float) -> None:
        """Insert one BSON document, acknowledged by a majority from its journals.

        Raises DuplicateKey, InvalidDocument, TooLarge, DatabaseUnavailable, OutcomeUnknown.
        """
        target = self._collection(collection)
        with self._operation("insert", timeout, writes=True):
            target.insert_one(RawBSONDocument(document))

    def scan(self, collection: str, *, without_id: bool, timeout: float) -> Iterator[bytes]:
        """Every document of a collection in natural order, as raw batches of BSON.

        The timeout is per batch. The iterator may be advanced by one thread after another, and
        closing it closes the server's cursor. Raises DatabaseUnavailable, DeadlineExceeded.
        """
        projection = {"_id": False} if without_id else None
        cursor = self._collection(collection).find_raw_batches(
            {}, projection=projection, batch_size=BATCH
        )
        try:
            while True:
                with self._operation("scan", timeout, writes=False):
                    batch = next(cursor, None)
                if batch is None:
                    return
                # The driver's types know only decoded documents here.
                yield cast("bytes", batch)
        finally:
            with translated("scan", writes=False), pymongo.timeout(timeout):
                cursor.close()

    def ping(self, timeout: float) -> None:
        """Ask the database for an answer, with the service's own credentials."""
        with self._operation("ping", timeout, writes=False):
            self._client.admin.command("ping")

    def reach(self, stopped: threading.Event) -> None:
        """Try until the database has answered once, or `stopped` is set; logs what it found."""
        pause = _FIRST_PAUSE
        while not stopped.wait(pause):
            pause = min(pause * 2, _LAST_PAUSE)
            try:
                self.ping(self._settings.database_timeout)
            except Problem:
                continue  # logged where it was translated
            self._log_kind()
            return

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _collection(self, name: str) -> Collection[connection.Document]:
        found = self._collections.get(name)
        if found is None:
            found = connection.collection(
                self._client, self._settings.database, name, self._settings
            )
            self._collections[name] = found
        return found

    @contextmanager
    def _operation(self, kind: str, timeout: float, *, writes: bool) -> Iterator[None]:
        """Bound, time and count one operation, and fail at once while the database is lost."""
        began = time.perf_counter()
        try:
            if kind != "ping" and self.status.is_lost():
                raise DatabaseUnavailable("The database cannot be reached.")
            with translated(kind, writes=writes), pymongo.timeout(timeout):
                yield
            self.status.answered()
        except Problem as problem:
            self._metrics.database_errors.labels(kind, problem.code).inc()
            raise
        finally:
            self._metrics.database_seconds.labels(kind).observe(time.perf_counter() - began)

    def _log_kind(self) -> None:
        kind = self.status.kind
        log = structlog.get_logger()
        log.info("database reached", kind=kind, database=self._settings.database)
        if kind == "Single":
            log.warning(
                "database is a standalone",
                hint="start mongod with --replSet: transactions and change streams need it",
            )
