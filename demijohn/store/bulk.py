"""Changing all documents that a filter meets, in one command each.

MongoDB changes them one by one: a command that fails half-way has changed those before. For the
embedded database each is a transaction: where such a command meets a transaction, SecantusDB
0.7.0b3 hangs for good (it waits for the transaction with the collection locked, and the next
statement of that, or of another one, waits for the lock).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import errors as driver
from pymongo.client_session import ClientSession

from demijohn.store.commands import Attempt, Bounded, Commands, Raw, told
from demijohn.store.failures import refused_write, unfit_condition, unfit_update, untaken
from demijohn.store.hold import EVERYTHING, Hold

_Write = Callable[[ClientSession | None], RawBSONDocument]
Transact = Callable[[Callable[[Attempt], RawBSONDocument]], RawBSONDocument]


class Bulk:
    """Filter-wide writes. Every method raises Problems only."""

    def __init__(
        self,
        collection: Callable[[str], Raw],
        bounded: Bounded,
        seconds: float,
        transact: Callable[[], Transact | None],
        hold: Hold = EVERYTHING,
    ) -> None:
        """Take how to find a collection, what goes around each command, and its deadline.

        `transact` gives what runs each as a transaction, where that has to be. They meet no
        documents but those of the hold.
        """
        self._seconds = seconds
        self._hold = hold
        self._collection = collection
        self._bounded = bounded
        # The server gives up a little before the driver does, so that it gets to say so.
        self._milliseconds = int(seconds * 900)
        self._transact = transact

    def held_to(self, hold: Hold) -> Bulk:
        """The same for what is held to."""
        return Bulk(self._collection, self._bounded, self._seconds, self._transact, hold)

    def update_many(
        self, collection: str, where: bytes, update: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Apply update operators to each document; how many were met, and how many changed.

        Raises InvalidPatch where one of them is not such that they can be applied, DuplicateKey,
        InvalidDocument, TooLarge, InvalidFilter, OutcomeUnknown (documents before may have been
        changed), WriteConflict, DatabaseUnavailable.
        """
        self._hold.check_update(collection, update)
        each = {"q": self._hold.filter(collection, where), "u": update, "multi": True}
        command = {"update": collection, "updates": [each]}

        def write(session: ClientSession | None) -> RawBSONDocument:
            with self._writing("updateMany", session), told(unfit_update, untaken):
                return self._command(collection, command, session)

        done = self._carry_out(write)
        return done["n"], done["nModified"]

    def delete_many(self, collection: str, where: bytes) -> int:
        """Delete each document; how many.

        Raises InvalidFilter, OutcomeUnknown (some may have been deleted), WriteConflict,
        DatabaseUnavailable.
        """
        each = {"q": self._hold.filter(collection, where), "limit": 0}
        command = {"delete": collection, "deletes": [each]}

        def write(session: ClientSession | None) -> RawBSONDocument:
            with self._writing("deleteMany", session):
                return self._command(collection, command, session)

        deleted: int = self._carry_out(write)["n"]
        return deleted

    def _carry_out(self, write: _Write) -> RawBSONDocument:
        transact = self._transact()
        if transact is None:
            return write(None)

        def work(attempt: Attempt) -> RawBSONDocument:
            assert isinstance(attempt, Commands)
            return write(attempt.session)

        return transact(work)

    def _command(
        self, name: str, command: Mapping[str, Any], session: ClientSession | None
    ) -> RawBSONDocument:
        # Not by the driver's own methods: they cannot say how long the server may take.
        made = self._collection(name)
        concern = {} if session else {"writeConcern": made.write_concern.document}
        answer: RawBSONDocument = made.database.command(
            {**command, "maxTimeMS": self._milliseconds, **concern},
            codec_options=made.codec_options,
            session=session,
        )
        for each in answer.get("writeErrors", ()):
            raise refused_write(each)
        unsure = answer.get("writeConcernError")
        if unsure is not None:
            raise driver.WriteConcernError("", unsure["code"])
        return answer

    @contextmanager
    def _writing(self, kind: str, session: ClientSession | None) -> Iterator[None]:
        with self._bounded(kind, writes=session is None):
            try:
                yield
            except driver.OperationFailure as error:
                problem = unfit_condition(error)
                if problem is None:
                    raise
                raise problem from error
