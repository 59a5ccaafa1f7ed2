"""Changing all documents that a filter meets, in one command each.

MongoDB changes them one by one: a command that fails half-way has changed those before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import errors as driver

from demijohn.store.commands import Bounded, Raw, told
from demijohn.store.failures import refused_write, unfit_condition, unfit_update, untaken


class Bulk:
    """Filter-wide writes. Every method raises Problems only."""

    def __init__(self, collection: Callable[[str], Raw], bounded: Bounded, seconds: float) -> None:
        """Take how to find a collection, what goes around each command, and its deadline."""
        self._collection = collection
        self._bounded = bounded
        # The server gives up a little before the driver does, so that it gets to say so.
        self._milliseconds = int(seconds * 900)

    def update_many(
        self, collection: str, where: bytes, update: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Apply update operators to each document; how many were met, and how many changed.

        Raises InvalidPatch where one of them is not such that they can be applied, DuplicateKey,
        InvalidDocument, TooLarge, InvalidFilter, OutcomeUnknown (documents before may have been
        changed), DatabaseUnavailable.
        """
        each = {"q": RawBSONDocument(where), "u": update, "multi": True}
        with self._writing("updateMany"), told(unfit_update, untaken):
            done = self._command(collection, {"update": collection, "updates": [each]})
        return done["n"], done["nModified"]

    def delete_many(self, collection: str, where: bytes) -> int:
        """Delete each document; how many.

        Raises InvalidFilter, OutcomeUnknown (some may have been deleted), DatabaseUnavailable.
        """
        each = {"q": RawBSONDocument(where), "limit": 0}
        with self._writing("deleteMany"):
            done = self._command(collection, {"delete": collection, "deletes": [each]})
        deleted: int = done["n"]
        return deleted

    def _command(self, name: str, command: Mapping[str, Any]) -> RawBSONDocument:
        # Not by the driver's own methods: they cannot say how long the server may take.
        made = self._collection(name)
        answer: RawBSONDocument = made.database.command(
            {
                **command,
                "maxTimeMS": self._milliseconds,
                "writeConcern": made.write_concern.document,
            },
            codec_options=made.codec_options,
        )
        for each in answer.get("writeErrors", ()):
            raise refused_write(each)
        concern = answer.get("writeConcernError")
        if concern is not None:
            raise driver.WriteConcernError("", concern["code"])
        return answer

    @contextmanager
    def _writing(self, kind: str) -> Iterator[None]:
        with self._bounded(kind, writes=True):
            try:
                yield
            except driver.OperationFailure as error:
                problem = unfit_condition(error)
                if problem is None:
                    raise
                raise problem from error
