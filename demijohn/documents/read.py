"""Reading one document."""

from __future__ import annotations

from demijohn.documents.change import Target
from demijohn.errors import NotFound
from demijohn.store.documents import Store


def read_one(store: Store, target: Target) -> bytes:
    """The stored bytes of a document. Raises NotFound, DatabaseUnavailable, DeadlineExceeded."""
    return require(store.single.find(target.collection, target.where))


def require(document: bytes | None) -> bytes:
    """The document, where there is one. Raises NotFound."""
    if document is None:
        raise NotFound("There is no document of that id.")
    return document
