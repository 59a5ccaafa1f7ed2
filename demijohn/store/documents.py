"""The store that operations call: one database, its documents in and out as raw BSON."""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import structlog
from pymongo.read_preferences import ReadPreference

from demijohn.errors import DatabaseUnavailable, Problem
from demijohn.settings import Settings
from demijohn.store import connection, failures
from demijohn.store.bulk import Bulk, Transact
from demijohn.store.catalog import Catalog
from demijohn.store.changes import Changes
from demijohn.store.commands import Commands, Note, Raw
from demijohn.store.finds import Finds
from demijohn.store.hold import Hold, RowFilter
from demijohn.store.inserts import Inserts
from demijohn.store.puts import Puts
from demijohn.store.reading import Reading
from demijohn.store.status import Status
from demijohn.store.transaction import Transactions, Work
from demijohn.telemetry.metrics import Metrics

T = TypeVar("T")

EMBEDDED = "secantus"
"""The name of the replica set that SecantusDB says it is."""
MOST_HELD = 1_000
"""Row filters whose stores are kept."""
PROBED = "data"
"""The collection that a ping looks into."""
_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
"""Seconds between two looks at the database's status, and most between two refused logins."""


class Store:
    """One database of one MongoDB. Every method raises Problems only.

    `database_timeout` bounds each wait for an answer. The driver's client side operation timeout
    would bound the operation as a whole, but it also makes the operation wait for a lost
    database for all that time, where our clients are promised their 503 within two seconds.
    """

    def __init__(self, uri: str, settings: Settings, metrics: Metrics) -> None:
        """Prepare to connect; raises SettingsError where the URI can't be used."""
        self._metrics = metrics
        self._settings = settings
        self._pool = connection.Pool(metrics)
        clients = partial(connection.open_client, uri, settings, self._pool)
        self._client = clients(settings.threads + 2 * connection.LEADERS)
        self._write_concern = connection.write_concern(settings)
        self.status = Status(self._is_writable)
        self._collections: dict[str, Raw] = {}
        self._expiring: set[str] = set()
        self.single = Commands(self._collection, self._operation)
        """Commands on their own, each acknowledged by a majority from its journals."""
        self.is_held = False
        """Whether it is one that `held_to` has given."""
        patience = settings.queue_timeout
        self.inserts = Inserts(self.single, patience, metrics.insert_batch.observe)
        """Inserts, in one command with others that come at the same time."""
        self.puts = Puts(self.single, patience)
        """Documents that replace others or are inserted, likewise."""
        self.finds = Finds(self.single, patience)
        """Reads by id, in one command with others that come at the same time."""
        self._gather()
        self.reading = Reading(self._read_from, self._operation, settings.database_timeout)
        """Questions about many documents, asked of the members that the URI prefers."""
        self.bulk = Bulk(
            self._collection, self._operation, settings.database_timeout, self._for_embedded
        )
        """Filter-wide writes."""
        self.catalog = Catalog(self._client[settings.database], self._collection, self._operation)
        """Collections and indexes."""
        self.changes = Changes(
            lambda: clients(settings.max_change_streams + settings.threads),
            settings.database,
            self._operation,
        )
        """What happens to collections, as it happens."""
        self._held: OrderedDict[RowFilter, Store] = OrderedDict()

    def _gather(self) -> None:
        """Make what single commands are made into."""
        self._transactions = Transactions(
            self._client, self.single, self._operation, self._write_concern
        )

    def held_to(self, rows: RowFilter) -> Store:
        """The same store, in which there are only the documents of a row filter (`store.hold`).

        Collections, indexes and changes are as they are: those are not for who is held.
        """
        held = self._held.get(rows)
        if held is None:
            hold = Hold(rows)
            held = copy.copy(self)
            held.is_held = True
            held.single = self.single.held_to(hold)
            held.inserts = self.inserts.held_to(hold)
            # Not to be used: what is there has to be read first. Who does so is told by it.
            held.puts = Puts(held.single, self._settings.queue_timeout)
            held.finds = self.finds.held_to(hold)
            held.reading = self.reading.held_to(hold)
            held.bulk = self.bulk.held_to(hold)
            held._gather()  # noqa: SLF001 - it is one of ours
            self._held[rows] = held
            if len(self._held) > MOST_HELD:
                # The oldest. Requests that have it go on with it.
                self._held.popitem(last=False)
        return held

    @property
    def has_transactions(self) -> bool:
        """Whether the database is no standalone mongod. Raises DatabaseUnavailable."""
        return self._transactions.are_supported

    @property
    def surely_has_transactions(self) -> bool:
        """The same as far as it is known; nobody is asked or waited for, and nothing raised."""
        return self._transactions.are_certain

    def transact(self, work: Work[T]) -> T:
        """Have the work read and write in one transaction (see `store.transaction`); its result.

        Raises what the work raises, NeedsReplicaSet, WriteConflict, DatabaseUnavailable,
        DeadlineExceeded, OutcomeUnknown.
        """
        return self._transactions.run(work, self._metrics.conflicts.inc, by_value=False)

    def as_one(self, work: Work[T]) -> T:
        """The same for work of one write, which on a standalone mongod is done by value.

        Raises what the work raises, WriteConflict, DatabaseUnavailable, DeadlineExceeded,
        OutcomeUnknown.
        """
        return self._transactions.run(work, self._metrics.conflicts.inc, by_value=True)

    def expire(self, collection: str, field: str, seconds: int) -> None:
        """Have the database delete documents so long after the date in `field`.

        Asked once a process. Raises DatabaseUnavailable, DeadlineExceeded.
        """
        if collection not in self._expiring:
            self.single.expire(collection, field, seconds)
            self._expiring.add(collection)

    def ping(self) -> None:
        """Have the database answer something that needs the service's rights in it."""
        target = self._collection(PROBED)
        with self._operation("ping", writes=False):
            target.find_one({"_id": None}, {"_id": True})

    def watch(self, stopped: threading.Event) -> None:
        """Try until the database has answered once, then log when it goes and comes back.

        Ends when `stopped` is set. Requests find out by themselves.
        """
        pause = _PAUSE
        while not self.status.reached and not stopped.wait(pause):
            # Ever more seldom: too many failed logins lock an account.
            pause = min(2 * pause, _LONGEST_PAUSE) if self._is_writable() else _PAUSE
            with suppress(Problem):  # logged where it was translated
                self.ping()
                self._log_kind()
        was_up = True
        while not stopped.wait(_PAUSE):
            is_up = self.status.up
            if was_up != is_up:
                structlog.get_logger().warning("database is back" if is_up else "database is lost")
            was_up = is_up

    def close(self) -> None:
        """Close every connection."""
        self.changes.close()
        self._client.close()

    def _for_embedded(self) -> Transact | None:
        """What runs filter-wide writes, where the server needs them to be transactions."""
        is_embedded = self._client.topology_description.replica_set_name == EMBEDDED
        return self.transact if is_embedded else None

    def _is_writable(self) -> bool:
        return self._client.topology_description.has_writable_server()

    def _collection(self, name: str) -> Raw:
        found = self._collections.get(name)
        if found is None:
            # What is read may decide a write; a list follows the URI.
            found = self._client[self._settings.database].get_collection(
                name,
                read_preference=ReadPreference.PRIMARY,
                write_concern=self._write_concern,
            )
            self._collections[name] = found
        return found

    def _read_from(self, name: str) -> Raw:
        return self._collection(name).with_options(read_preference=self._client.read_preference)

    @contextmanager
    def _operation(self, kind: str, *, writes: bool) -> Iterator[Note]:
        """Bound, time and count one operation, and fail at once while the database is lost."""
        began = time.perf_counter()
        try:
            if kind != "ping" and self.status.is_lost():
                raise DatabaseUnavailable("The database cannot be reached.")
            handed_out = self._pool.handed_out
            with failures.translated(
                kind, writes=writes, is_sent=lambda: self._pool.handed_out > handed_out
            ):
                yield partial(self._note, kind)
            self.status.answered()
        except Problem as problem:
            self._count(kind, problem)
            raise
        finally:
            self._metrics.database_seconds.labels(kind).observe(time.perf_counter() - began)

    def _note(self, kind: str, error: Exception, problem: Problem) -> None:
        failures.log(kind, error, problem)
        self._count(kind, problem)

    def _count(self, kind: str, problem: Problem) -> None:
        self._metrics.database_errors.labels(kind, problem.code).inc()

    def _log_kind(self) -> None:
        kind = self._client.topology_description.topology_type_name
        log = structlog.get_logger()
        log.info("database reached", kind=kind, database=self._settings.database)
        if not self.has_transactions:
            log.warning(
                "database is a standalone",
                hint="start mongod with --replSet: transactions and change streams need it",
            )
