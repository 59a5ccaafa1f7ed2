"""Changing all documents that a filter meets, in one command each.

MongoDB changes them one by one: a command that fails half-way has changed those before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument

from demijohn.store.commands import Bounded, Raw, told
from demijohn.store.failures import unfit_update, untaken


class Bulk:
    """Filter-wide writes. Every method raises Problems only."""

    def __init__(self, collection: Callable[[str], Raw], bounded: Bounded) -> None:
        """Take how to find a collection, and what goes around each command."""
        self._collection = collection
        self._bounded = bounded

    def update_many(
        self, collection: str, where: bytes, update: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Apply update operators to each document; how many were met, and how many changed.

        Raises InvalidPatch where one of them is not such that they can be applied, DuplicateKey,
        InvalidDocument, TooLarge (documents before that one may have been changed),
        DatabaseUnavailable, OutcomeUnknown.
        """
        with self._bounded("updateMany", writes=True), told(unfit_update, untaken):
            done = self._collection(collection).update_many(RawBSONDocument(where), update)
        return done.matched_count, done.modified_count

    def delete_many(self, collection: str, where: bytes) -> int:
        """Delete each document; how many. Raises DatabaseUnavailable, OutcomeUnknown."""
        with self._bounded("deleteMany", writes=True):
            return self._collection(collection).delete_many(RawBSONDocument(where)).deleted_count
