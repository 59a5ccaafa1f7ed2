"""Reading a whole collection, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator

from demijohn.formats.plain_out import render_array
from demijohn.store.documents import Store


def read_all(store: Store, collection: str) -> Iterator[bytes]:
    """Every document without `_id`, as the text of a JSON array in chunks.

    The first batch is read before this returns, so that a database that can't be reached is an
    answer of its own and not a broken stream. Raises
    DatabaseUnavailable, DeadlineExceeded; the iterator may raise them too, later.
    """
    # Not by a projection: some servers apply one to everything before the first batch.
    chunks = render_array(store.reading.scan(collection), without_id=True)
    return _resume(next(chunks), chunks)


def _resume(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
