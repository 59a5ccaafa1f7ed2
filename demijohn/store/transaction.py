"""Reading and writing as one: work that is done whole or not at all, again where others interfere.

On a replica set or a sharded cluster `transact` runs its work in a transaction (MongoDB manual,
"Transactions"): one snapshot is read, and of two that write the same document the second gets a
write conflict at once. Nothing is written before the commit, so that a failure until then is
certain; after the commit has been sent, only its acknowledgement says what happened, and work
whose commit may have succeeded is never begun again here.

On a standalone `mongod` there are no transactions: `ByValue` does what can be done.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.server_type import SERVER_TYPE
from pymongo.write_concern import WriteConcern

from demijohn.errors import (
    DatabaseUnavailable,
    IdempotencyInProgress,
    NeedsReplicaSet,
    WriteConflict,
)
from demijohn.store.by_value import ByValue
from demijohn.store.commands import Attempt, Bounded, Commands

T = TypeVar("T")
Work = Callable[[Attempt], T]
Client = MongoClient[RawBSONDocument]

ATTEMPTS = 12
PATIENCE = 5.0
"""Seconds after which no further attempt is begun."""
_PAUSE, _LONGEST_PAUSE = 0.002, 0.25
"""Seconds before the second attempt, and the longest between two; doubled each time, by chance
less: so that writers who met once do not meet again."""
_ABORT = 0.5
"""Seconds for a transaction to be aborted; else the database does it itself, later."""
AGAIN = (WriteConflict, IdempotencyInProgress)
"""What another attempt may well not meet: the other writer is done by then."""


class Transactions:
    """Runs work for one client of the database."""

    def __init__(
        self,
        client: Client,
        single: Commands,
        bounded: Bounded,
        write_concern: WriteConcern,
    ) -> None:
        """Take the client, single commands, and what a commit has to be acknowledged by.

        `bounded` is what goes around each command.
        """
        self._client = client
        self._single = single
        self._bounded = bounded
        self._write_concern = write_concern

    @property
    def are_certain(self) -> bool:
        """Whether it is known, without asking it, that the database has transactions."""
        known = self._server_types()
        return bool(known) and SERVER_TYPE.Standalone not in known

    @property
    def are_supported(self) -> bool:
        """Whether the database has transactions: whether it is no standalone mongod.

        Raises DatabaseUnavailable where no server is known.
        """
        known = self._server_types()
        if not known:
            with self._bounded("hello", writes=False):
                self._client.admin.command("hello")
            known = self._server_types()
        if not known:
            raise DatabaseUnavailable("The database was lost again.")
        return SERVER_TYPE.Standalone not in known

    def run(self, work: Work[T], conflict: Callable[[], None], *, by_value: bool) -> T:
        """The work's result, once it is written; `conflict` is called before each new attempt.

        Without transactions the work is done `by_value`, or raises NeedsReplicaSet where that
        won't do. Whatever the work raises undoes it. Raises what the last of several attempts
        met, a WriteConflict mostly; DatabaseUnavailable, DeadlineExceeded, OutcomeUnknown.
        """
        is_supported = self.are_supported
        if not is_supported and not by_value:
            raise NeedsReplicaSet("This needs a transaction.")
        attempt = self._attempt if is_supported else self._attempt_by_value
        began = time.monotonic()
        number = 1
        while True:
            try:
                return attempt(work)
            except AGAIN:
                if number == ATTEMPTS or time.monotonic() - began > PATIENCE:
                    raise
            conflict()
            longest = min(_LONGEST_PAUSE, _PAUSE * 2**number)
            time.sleep(random.uniform(0, longest))  # noqa: S311 — no secret
            number += 1

    def _attempt(self, work: Work[T]) -> T:
        session = self._client.start_session(causal_consistency=False)
        try:
            session.start_transaction(
                ReadConcern("snapshot"), self._write_concern, ReadPreference.PRIMARY
            )
            result = work(self._single.within(session))
            with self._bounded("commit", writes=True):
                session.commit_transaction()
            return result
        finally:
            # An open transaction is aborted. A database that hangs is not waited for once more.
            with pymongo.timeout(_ABORT):
                session.end_session()

    def _attempt_by_value(self, work: Work[T]) -> T:
        return work(ByValue(self._single))

    def _server_types(self) -> set[int]:
        servers = self._client.topology_description.server_descriptions().values()
        return {server.server_type for server in servers if server.is_server_type_known}
