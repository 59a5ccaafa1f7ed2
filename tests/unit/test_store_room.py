"""Room for large batches: shared by all answers, given back by each, and no bar to one alone."""

from __future__ import annotations

import pytest

from demijohn.errors import Overloaded
from demijohn.store.room import SMALL, BatchRoom

LARGE = SMALL + 1


def test_what_is_held_is_bounded() -> None:
    """What would be too much is refused, and fits once another has left."""
    room = BatchRoom(2 * LARGE)
    with room.holding(LARGE):
        with room.holding(LARGE), pytest.raises(Overloaded), room.holding(LARGE):
            pass
        with room.holding(LARGE):
            pass


def test_one_alone_always_fits() -> None:
    """However large it is: otherwise nobody could read such a collection."""
    with BatchRoom(1).holding(16 * LARGE):
        pass


def test_small_ones_are_never_refused() -> None:
    """A full room is open to them."""
    room = BatchRoom(LARGE)
    with room.holding(LARGE), room.holding(SMALL), room.holding(SMALL):
        pass


def test_a_failure_gives_back_what_was_held() -> None:
    """An answer that breaks off, or a client that leaves, holds nothing any more."""
    room = BatchRoom(LARGE)
    with pytest.raises(ValueError, match="left"), room.holding(LARGE):
        raise ValueError("left")
    with room.holding(LARGE):
        pass
