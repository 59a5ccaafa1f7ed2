"""What the batches of a cursor hold, and until when, whatever becomes of who reads them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator, Sequence
from contextlib import nullcontext

import bson
import pytest

from demijohn.errors import DatabaseUnavailable, Overloaded
from demijohn.store.reading import Batches
from demijohn.store.room import SMALL, BatchRoom
from tests.support.processes import LONG

LARGE = bson.encode({"x": "x" * SMALL})


class _Cursor:
    """Gives batches, and then fails if it is to."""

    def __init__(self, batches: Sequence[bytes], error: Exception | None = None) -> None:
        self._batches = iter(batches)
        self._error = error

    def __next__(self) -> bytes:
        for batch in self._batches:
            return batch
        raise self._error or StopIteration

    def batch_size(self, batch_size: int) -> None:
        """Of no interest."""


@pytest.fixture
def room() -> BatchRoom:
    """Room for one large batch beside the first."""
    return BatchRoom(2 * len(LARGE))


def _read(room: BatchRoom, cursor: _Cursor) -> Batches:
    return Batches(cursor, nullcontext, room, 2)


def _is_free(room: BatchRoom) -> bool:
    """Whether nothing is held, so that as much fits as there is room for."""
    try:
        for _ in range(2):
            room.take(len(LARGE))
    except Overloaded:
        return False
    return True


def test_a_batch_is_held_until_the_next(room: BatchRoom) -> None:
    """So that one answer never has two of them."""
    batches = _read(room, _Cursor([LARGE, LARGE, LARGE, bson.encode({})]))
    for _ in range(3):
        next(batches)
    room.take(len(LARGE))
    with pytest.raises(Overloaded):
        room.take(len(LARGE))
    room.give_back(len(LARGE))
    next(batches)
    assert _is_free(room)


def test_the_end_holds_nothing_and_stays_the_end(room: BatchRoom) -> None:
    """Whether it is that of the documents, of the database, or of the room."""
    batches = _read(room, _Cursor([LARGE]))
    assert list(batches) == [LARGE]
    assert list(batches) == []
    failing = _read(room, _Cursor([LARGE], DatabaseUnavailable("lost")))
    next(failing)
    with pytest.raises(DatabaseUnavailable):
        next(failing)
    assert list(failing) == []
    held = [_read(room, _Cursor([LARGE])) for _ in range(2)]
    for each in held:
        next(each)
    refused = _read(room, _Cursor([LARGE, LARGE]))
    with pytest.raises(Overloaded):
        next(refused)
    assert list(refused) == []
    held.clear()
    del each
    assert _is_free(room)


def test_what_is_forgotten_holds_nothing(room: BatchRoom) -> None:
    """By one who leaves, and by one whose failure still refers to it: then the collector finds it.

    It may come in the thread that is taking room, or giving some back.
    """

    def documents() -> Generator[bytes]:
        yield from _read(room, _Cursor([LARGE, LARGE]))

    left = documents()
    next(left)
    left.close()
    collecting = threading.Thread(target=_collect, args=(room,), daemon=True)
    collecting.start()
    collecting.join(LONG)
    assert not collecting.is_alive()
    assert _is_free(room)


def _collect(room: BatchRoom) -> None:
    gc.disable()  # or it might come before
    try:
        batches = _read(room, _Cursor([LARGE, LARGE]))
        next(batches)
        circle: list[object] = [batches]
        circle.append(circle)
        del batches, circle
        with room._lock:
            assert gc.collect()
    finally:
        gc.enable()
