"""Documents that were there before a schema and do not fit it."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass

from demijohn.documents.collections import Configuration
from demijohn.documents.ids import id_of
from demijohn.errors import Fault, Problem
from demijohn.formats.batches import split
from demijohn.formats.bson_values import Value
from demijohn.store.documents import Store
from demijohn.store.reading import Query

MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Offender:
    """A document's id, and why it does not fit."""

    id: Value
    fault: Fault


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at, whether that was all, and what did not fit."""

    checked: int
    is_complete: bool
    refused: int
    examples: tuple[Offender, ...]


def look(store: Store, collection: str, configuration: Configuration, seconds: float) -> Looked:
    """Hold the documents of a collection to its schema, for so long at most.

    A database that fails meanwhile ends it too. Raises nothing.
    """
    deadline = time.monotonic() + seconds
    checked = refused = 0
    examples: list[Offender] = []
    is_complete = False
    with suppress(Problem), closing(_documents(store, collection)) as documents:
        for document in documents:
            if time.monotonic() > deadline:
                break
            checked += 1
            try:
                configuration.check(document)
            except Problem as problem:  # one that cannot even be read does not fit either
                refused += 1
                if len(examples) < MOST_EXAMPLES:
                    fault = problem.faults[0] if problem.faults else Fault("", problem.detail)
                    examples.append(Offender(id_of(document), fault))
        else:
            is_complete = True
    return Looked(checked, is_complete, refused, tuple(examples))


def _documents(store: Store, collection: str) -> Generator[bytes, None, None]:
    for batch in store.reading.find(Query(collection, of_primary=True)):
        yield from split(memoryview(batch))
