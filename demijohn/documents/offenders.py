"""Documents that were there before a schema and do not fit it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from demijohn.documents.collections import Configuration
from demijohn.documents.ids import id_of
from demijohn.errors import InvalidDocument
from demijohn.formats.batches import split
from demijohn.formats.bson_values import Value
from demijohn.store.documents import Store
from demijohn.store.reading import Query

MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Offender:
    """A document's id, and why it does not fit."""

    id: Value
    problem: InvalidDocument


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at, whether that was all, and what did not fit."""

    checked: int
    is_complete: bool
    refused: int
    examples: tuple[Offender, ...]


def look(store: Store, collection: str, configuration: Configuration, seconds: float) -> Looked:
    """Hold the documents of a collection to its schema, for so long at most.

    Raises DatabaseUnavailable, DeadlineExceeded.
    """
    deadline = time.monotonic() + seconds
    checked = refused = 0
    examples: list[Offender] = []
    for batch in store.reading.find(Query(collection)):
        for document in split(memoryview(batch)):
            if time.monotonic() > deadline:
                return Looked(checked, False, refused, tuple(examples))
            checked += 1
            try:
                configuration.check(document)
            except InvalidDocument as problem:
                refused += 1
                if len(examples) < MOST_EXAMPLES:
                    examples.append(Offender(id_of(document), problem))
    return Looked(checked, True, refused, tuple(examples))
