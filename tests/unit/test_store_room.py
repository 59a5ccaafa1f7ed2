"""Room for large batches: shared by all answers, given back by each, and no bar to one alone."""

from __future__ import annotations

import pytest

from demijohn.errors import Overloaded
from demijohn.store.room import SMALL, BatchRoom

LARGE = SMALL + 1


def test_what_is_held_is_bounded() -> None:
    """What would be too much is refused, and fits once another has left."""
    room = BatchRoom(2 * LARGE)
    room.take(LARGE)
    room.take(LARGE)
    with pytest.raises(Overloaded):
        room.take(LARGE)
    room.give_back(LARGE)
    room.take(LARGE)


def test_one_alone_always_fits() -> None:
    """However large it is: otherwise nobody could read such a collection."""
    room = BatchRoom(1)
    room.take(16 * LARGE)
    with pytest.raises(Overloaded):
        room.take(LARGE)


def test_small_ones_are_never_refused() -> None:
    """A full room is open to them, and they give nothing back that they did not take."""
    room = BatchRoom(LARGE)
    room.take(LARGE)
    room.take(SMALL)
    room.give_back(SMALL)
    with pytest.raises(Overloaded):
        room.take(LARGE)
