"""Reading many documents: a page of a list, or all of it as a stream, in constant memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from demijohn.errors import BadParameter
from demijohn.formats import batches
from demijohn.query.cursor import (
    Position,
    check_place,
    position_of,
    read_cursor,
    write_cursor,
)
from demijohn.query.fields import Fields
from demijohn.query.filters import Filter, all_of
from demijohn.query.keyset import after
from demijohn.query.parameters import Asked, Count
from demijohn.query.sort import BY_ID, Sort
from demijohn.store.documents import Store
from demijohn.store.reading import Query

LIMIT = 100
"""Documents of a page where nothing is said."""
LARGEST_PAGE = 4 * 1024 * 1024
"""Bytes of BSON after which a page ends early."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Which documents of a collection, in which order, from where, and what of them."""

    collection: str
    filter: Filter
    sort: Sort | None = None
    fields: Fields | None = None
    position: Position | None = None
    limit: int | None = None

    @property
    def order(self) -> Sort:
        """The sort, that by `_id` where none is asked for."""
        return self.sort or BY_ID


@dataclass(frozen=True, slots=True)
class Page:
    """Documents, and the cursor of what follows; None where nothing does."""

    documents: tuple[bytes, ...]
    after: str | None


def listing(collection: str, asked: Asked) -> Listing:
    """The list that is asked for. Raises BadCursor."""
    position = None
    if asked.after is not None:
        position = read_cursor(asked.after, collection, asked.filter, asked.sort or BY_ID)
    return Listing(collection, asked.filter, asked.sort, asked.fields, position, asked.limit)


def page(store: Store, wanted: Listing) -> Page:
    """The next documents, as many as asked for or as fit into 4 MiB, but at least one.

    Raises Unsortable, InvalidFilter, DatabaseUnavailable, DeadlineExceeded.
    """
    limit = wanted.limit or LIMIT
    needed = _needed(wanted)
    with closing(_documents(store, replace(wanted, fields=needed), limit + 1)) as documents:
        found, has_more = _take(documents, limit)
    # Every document is looked at: one with an array along the sort stands in several places.
    for each in found:
        check_place(each, wanted.order)
    cursor = None
    if has_more:
        place = position_of(found[-1], wanted.order)
        cursor = write_cursor(place, wanted.collection, wanted.filter, wanted.order)
    return Page(tuple(_shown(found, wanted, needed)), cursor)


def stream(store: Store, wanted: Listing) -> Iterator[bytes]:
    """All that follows, or as many as asked for, in raw batches of BSON.

    Raises nothing; the iterator raises InvalidFilter, DatabaseUnavailable, DeadlineExceeded, and
    after a cursor Unsortable.
    """
    return _batches(store, wanted) if wanted.position is None else _placed(store, wanted)


def count(store: Store, wanted: Listing, how: Count) -> int:
    """How many documents the filter meets, wherever the page begins.

    Raises BadParameter for an estimate under a filter, of which the database's statistics know
    nothing; DatabaseUnavailable, DeadlineExceeded.
    """
    if how == "exact":
        return store.reading.count(wanted.collection, wanted.filter.bson)
    if not wanted.filter.is_empty:
        raise BadParameter("count=estimated is of the whole collection, without a filter.")
    return store.reading.estimate(wanted.collection)


def _needed(wanted: Listing) -> Fields | None:
    """The fields that are shown, and those that say where a document stands."""
    return None if wanted.fields is None else wanted.fields.widened(wanted.order.paths)


def _shown(documents: list[bytes], wanted: Listing, read: Fields | None) -> list[bytes]:
    """The documents with no more than was asked for, given what was read of them."""
    fields = wanted.fields
    if fields is None or fields == read:
        return documents
    return [fields.apply(each) for each in documents]


def _take(documents: Iterator[bytes], limit: int) -> tuple[list[bytes], bool]:
    """The documents of a page, and whether there are more."""
    found: list[bytes] = []
    size = 0
    for each in documents:
        if len(found) == limit or (found and size + len(each) > LARGEST_PAGE):
            return found, True
        found.append(each)
        size += len(each)
    return found, False


def _documents(store: Store, wanted: Listing, most: int) -> Generator[bytes, None, None]:
    """The documents that follow, one by one; a further range is asked for when one is read.

    All ranges have one deadline.
    """
    found, until = 0, store.reading.deadline()
    for range_ in _ranges(wanted):
        query = Query(
            wanted.collection,
            range_.bson,
            wanted.order.keys,
            None if wanted.fields is None else wanted.fields.projection(),
            most - found,
        )
        for batch in store.reading.find(query, until):
            for each in batches.split(memoryview(batch)):
                yield each
                found += 1
        if found >= most:
            return


def _batches(store: Store, wanted: Listing) -> Iterator[bytes]:
    left = wanted.limit
    is_sorted = wanted.sort is not None or wanted.position is not None
    for range_ in _ranges(wanted):
        query = Query(
            wanted.collection,
            range_.bson,
            # As they lie is quicker, where no order is asked for.
            wanted.order.keys if is_sorted else (),
            None if wanted.fields is None else wanted.fields.projection(),
            left or 0,
        )
        for batch in store.reading.find(query):
            yield batch
            left = None if left is None else left - batches.count(memoryview(batch))
        if left == 0:
            return


def _placed(store: Store, wanted: Listing) -> Iterator[bytes]:
    """As `_batches`, of several ranges, in which a document without one place might be twice."""
    needed = _needed(wanted)
    for batch in _batches(store, replace(wanted, fields=needed)):
        found = list(batches.split(memoryview(batch)))
        for each in found:
            check_place(each, wanted.order)
        yield b"".join(_shown(found, wanted, needed))


def _ranges(wanted: Listing) -> Iterator[Filter]:
    if wanted.position is None:
        yield wanted.filter
        return
    for each in after(wanted.position, wanted.order):
        yield all_of(wanted.filter, each)
