"""Inserting many documents: each is tried, and one that is refused stops no other.

They go in batch by batch, each in one command, unordered. A batch that the database fails ends it:
what would have followed is not tried. Where the request has a key, see `documents.bulk_once`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bson import ObjectId

from demijohn.documents.insert import insertion, sent_twice
from demijohn.errors import DatabaseUnavailable, Overloaded, Problem
from demijohn.formats.bson_values import Value
from demijohn.formats.spelling import Draft
from demijohn.store.documents import Store
from demijohn.store.inserts import LARGEST_BATCH

MOST_IN_BATCH = 1_000
"""Documents that make a batch full, as LARGEST_BATCH bytes do, with which the last one may pass."""

Read = Callable[[bytes], Draft]
"""The document in a text. Raises the problem that speaks against it."""
NewId = Callable[[], ObjectId]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of documents, by their numbers: the ids of some, the problems of the others."""

    ids: dict[int, Value] = field(default_factory=dict)
    problems: dict[int, Problem] = field(default_factory=dict)


class Batch:
    """Documents that are inserted together."""

    def __init__(self, collection: str, new_id: NewId) -> None:
        """Take where they go, and what makes the ids of those that have none."""
        self.documents: list[bytes] = []
        self.ids: dict[int, Value] = {}
        """By number, in the order of the documents."""
        self.made: set[int] = set()
        """The numbers of those whose id the service has made."""
        self._collection = collection
        self._new_id = new_id
        self._size = 0

    @property
    def is_full(self) -> bool:
        """Whether it is time to insert them."""
        return self._size >= LARGEST_BATCH or len(self.documents) >= MOST_IN_BATCH

    def add(self, number: int, draft: Draft) -> None:
        """Take a document. Raises TooLarge."""
        new = insertion(self._collection, draft, self._new_id)
        document = new.document
        self.documents.append(document)
        self.ids[number] = new.id
        self._size += len(document)
        if draft.id is None:
            self.made.add(number)

    def insert(self, store: Store) -> Tried:
        """Insert them, and be empty; what became of each. Raises nothing."""
        documents, ids, made = self.documents, self.ids, self.made
        self.documents, self.ids, self.made, self._size = [], {}, set(), 0
        if not documents:
            return Tried()
        numbers = list(ids)
        failed = _insert(store, self._collection, documents)
        problems = {numbers[at]: problem for at, problem in failed.items()}
        for number in made & problems.keys():
            problems[number] = sent_twice(problems[number]) or problems[number]
        return Tried({at: each for at, each in ids.items() if at not in problems}, problems)


def insert_all(
    store: Store, collection: str, texts: Iterable[bytes], read: Read, new_id: NewId
) -> Tried:
    """Insert the documents in these texts; what became of each, by its place. Raises nothing."""
    tried = Tried()
    numbered = enumerate(texts)
    for batch in _batches(collection, numbered, read, new_id, tried.problems):
        done = batch.insert(store)
        tried.ids.update(done.ids)
        tried.problems.update(done.problems)
        if failure_in(done.problems):
            break
    not_tried = DatabaseUnavailable("It was not tried, since the database failed before.")
    tried.problems.update({number: not_tried for number, _ in numbered})
    return tried


def _insert(store: Store, collection: str, documents: Sequence[bytes]) -> dict[int, Problem]:
    """Insert documents; the problem of each that was not, by its place."""
    try:
        return store.inserts.insert_many(collection, documents)
    except Overloaded as problem:
        return dict.fromkeys(range(len(documents)), problem)


def failure_in(problems: Mapping[int, Problem]) -> Problem | None:
    """The first problem that is no document's own: the database failed."""
    return next((each for each in problems.values() if each.is_failure), None)


def _batches(
    collection: str,
    numbered: Iterator[tuple[int, bytes]],
    read: Read,
    new_id: NewId,
    problems: dict[int, Problem],
) -> Iterator[Batch]:
    """The documents in batches; the problems of those that are none go into `problems`."""
    batch = Batch(collection, new_id)
    for number, text in numbered:
        try:
            batch.add(number, read(text))
        except Problem as problem:
            problems[number] = problem
            if problem.is_failure:
                break
        if batch.is_full:
            yield batch
    yield batch
