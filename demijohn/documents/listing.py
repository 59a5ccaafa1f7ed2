"""Reading many documents: a page of a list, or all of it as a stream, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from demijohn.errors import BadParameter
from demijohn.formats.batches import split
from demijohn.query.cursor import Position, position_of, read_cursor, write_cursor
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
    shown = wanted.fields
    needed = None if shown is None else shown.widened(wanted.order.paths)
    found, has_more = _take(_documents(store, replace(wanted, fields=needed), limit + 1), limit)
    cursor = None
    # Every document is looked at: one with an array along the sort stands in several places.
    places = [position_of(each, wanted.order) for each in found]
    if has_more:
        cursor = write_cursor(places[-1], wanted.collection, wanted.filter, wanted.order)
    if shown is not None and needed != shown:
        found = [shown.apply(each) for each in found]
    return Page(tuple(found), cursor)


def stream(store: Store, wanted: Listing) -> Iterator[bytes]:
    """All that follows, or as many as asked for, in raw batches of BSON.

    The first batch is read before this returns, so that a database that can't be reached is an
    answer of its own and not a broken stream. Raises InvalidFilter, DatabaseUnavailable,
    DeadlineExceeded; the iterator may raise them too, later.
    """
    batches = _batches(store, wanted)
    first = next(batches, None)
    return batches if first is None else _resume(first, batches)


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


def _documents(store: Store, wanted: Listing, most: int) -> Iterator[bytes]:
    """The documents that follow, one by one; a further range is asked for when one is read."""
    found = 0
    for range_ in _ranges(wanted):
        query = Query(
            wanted.collection,
            range_.bson,
            wanted.order.keys,
            None if wanted.fields is None else wanted.fields.projection(),
            most - found,
        )
        for batch in store.reading.find(query):
            for each in split(memoryview(batch)):
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
            left = None if left is None else left - sum(1 for _ in split(memoryview(batch)))
        if left == 0:
            return


def _ranges(wanted: Listing) -> Iterator[Filter]:
    if wanted.position is None:
        yield wanted.filter
        return
    for each in after(wanted.position, wanted.order):
        yield all_of(wanted.filter, each)


def _resume(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
