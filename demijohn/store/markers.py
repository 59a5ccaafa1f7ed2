"""A drill's own documents in the database itself, read past the service."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import pymongo
from pymongo import errors as driver

COLLECTION = "data"
_SELECTION_MS, _SOCKET_MS = 5_000, 120_000


class MarkersError(Exception):
    """The database can't be read; the text says why, without its address or a credential."""


class Markers:
    """The documents of drills in `database`, by a client of its own.

    They are known by a `member`, which holds the run that they are of.
    """

    def __init__(self, uri: str, database: str, member: str) -> None:
        """Prepare to connect. Raises MarkersError where the URI can't be used."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                self._client = pymongo.MongoClient[dict[str, Any]](
                    uri,
                    appname="demijohn-drill",
                    serverSelectionTimeoutMS=_SELECTION_MS,
                    socketTimeoutMS=_SOCKET_MS,
                )
        except (driver.PyMongoError, ValueError, TypeError, UserWarning):
            # The driver's words may quote the part of the URI that holds the password.
            raise MarkersError("its URI can't be used") from None
        self._member = member
        self._documents = self._client[database][COLLECTION]

    def __enter__(self) -> Self:
        """Give the markers themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self._client.close()

    def check(self) -> None:
        """Read something. Raises MarkersError where that does not succeed."""
        with _translated():
            self._documents.find_one({self._member: ""}, {"_id": True})

    def has(self, run: str) -> bool:
        """Whether there is any document of a run. Raises MarkersError."""
        with _translated():
            return self._documents.find_one({self._member: run}, {"_id": True}) is not None

    def numbers(self, run: str) -> Iterator[int]:
        """The `n` of every marker of a run, as often as it is there. Raises MarkersError."""
        with _translated():
            found = self._documents.find(
                {self._member: run, "n": {"$gte": 0}}, {"_id": False, "n": True}
            )
            for each in found:
                yield int(each["n"])

    def documents(self, run: str) -> list[dict[str, Any]]:
        """Every document of a run, without its `_id`. Raises MarkersError."""
        with _translated():
            return list(self._documents.find({self._member: run}, {"_id": False}))

    def delete(self, run: str) -> int:
        """Delete the documents of a run; how many there were. Raises MarkersError."""
        with _translated():
            return self._documents.delete_many({self._member: run}).deleted_count


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except driver.OperationFailure as error:
        raise MarkersError(f"it refuses: code {error.code}, {_name(error)}") from None
    except driver.PyMongoError as error:
        raise MarkersError(f"it can't be reached ({type(error).__name__})") from None


def _name(error: driver.OperationFailure) -> str:
    details = error.details or {}
    return str(details.get("codeName") or type(error).__name__)
