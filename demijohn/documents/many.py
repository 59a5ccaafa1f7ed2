"""Changing or deleting all documents that a filter meets, without looking at them one by one.

The database does it document by document: what ends half-way has changed those before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bson.raw_bson import RawBSONDocument

from demijohn.errors import (
    BadParameter,
    DuplicateKey,
    InvalidDocument,
    InvalidFilter,
    InvalidPatch,
    OutcomeUnknown,
    TooLarge,
)
from demijohn.formats.extended_in import parse_extended_value
from demijohn.patches import operators
from demijohn.query.parameters import ALL, FILTER, Asked
from demijohn.store.documents import Store

PARAMETERS = frozenset((FILTER, ALL))
"""Reserved names of parameters that say which documents are meant."""


def meant(asked: Asked) -> bytes:
    """The filter of the documents that are meant. Raises BadParameter where all are, unsaid."""
    if asked.filter.is_empty and not asked.is_all:
        raise BadParameter("Without a filter it is every document: say all=true if that is meant.")
    return asked.filter.bson


def read_update(body: bytes) -> Mapping[str, RawBSONDocument]:
    """MongoDB's update operators, as for one document.

    Raises MalformedJson, InvalidDocument, InvalidPatch, ForbiddenOperator.
    """
    return operators.check(parse_extended_value(body, operators=True))


def update_many(
    store: Store, collection: str, where: bytes, update: Mapping[str, RawBSONDocument]
) -> tuple[int, int]:
    """Apply the operators to each document; how many were met, and how many changed.

    Raises InvalidPatch, InvalidDocument, InvalidFilter, DuplicateKey, TooLarge, for one document
    that cannot be changed so, OutcomeUnknown, WriteConflict, DatabaseUnavailable.
    """
    with _half_way():
        return store.bulk.update_many(collection, where, update)


def delete_many(store: Store, collection: str, where: bytes) -> int:
    """Delete each document; how many.

    Raises InvalidFilter, OutcomeUnknown, WriteConflict, DatabaseUnavailable.
    """
    with _half_way():
        return store.bulk.delete_many(collection, where)


@contextmanager
def _half_way() -> Iterator[None]:
    """Say of what the database refuses at one document that others may be changed already."""
    try:
        yield
    except (DuplicateKey, InvalidDocument, InvalidFilter, InvalidPatch, TooLarge) as problem:
        # Its pointers are into a document, which is none of the request's.
        raise type(problem)(
            f"{problem.detail} The database ended there; documents before may be changed already.",
            extra={**problem.extra, "partial": True},
        ) from problem
    except OutcomeUnknown as problem:
        raise OutcomeUnknown(
            f"{problem.detail} None, some or all of the documents may be changed."
        ) from problem
