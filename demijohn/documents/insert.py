"""Inserting one document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from demijohn.formats.plain_in import ParsedDocument, encode
from demijohn.store.documents import Store


@dataclass(frozen=True, slots=True)
class Inserted:
    """A document that the database has acknowledged, by its id."""

    id: Any


def insert_one(
    store: Store,
    collection: str,
    document: ParsedDocument,
    new_id: Callable[[], ObjectId],
) -> Inserted:
    """Insert a document under its own `_id`, or a new ObjectId where it has none.

    Returns after a majority has acknowledged it from its journals.
    Raises TooLarge, InvalidDocument, DuplicateKey, DatabaseUnavailable, OutcomeUnknown.
    """
    identity = new_id() if document.id is None else document.id
    store.insert(collection, encode(document, identity))
    return Inserted(identity)
