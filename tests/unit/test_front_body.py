"""How many bytes of bodies are held at one time, and by whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ByteSize

from demijohn.errors import Overloaded
from demijohn.front.body import SMALL, BodyReader
from demijohn.settings import Settings

LARGEST = 4 * SMALL


def _read(reader: BodyReader, size: int) -> int:
    """Have a body of so many bytes read that has come with its head; its length."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * size, "more_body": False}

    return len(asyncio.run(reader.read(receive, size)))


def _reader(held: int) -> BodyReader:
    return BodyReader(Settings(max_body=ByteSize(LARGEST), max_bodies=ByteSize(held)))


@pytest.mark.parametrize("held", [1, LARGEST, LARGEST + 1])
def test_one_body_of_the_largest_size_always_fits(held: int) -> None:
    """However little memory there is: what is taken at all is not refused for ever."""
    reader = _reader(held)
    for _ in range(3):
        assert _read(reader, LARGEST) == LARGEST
        reader.held.give_back(LARGEST)


def test_large_bodies_leave_room_for_small_ones() -> None:
    """Past three quarters only small bodies are taken, and past the limit none."""
    reader = _reader(4 * LARGEST)
    for _ in range(3):
        _read(reader, LARGEST)
    with pytest.raises(Overloaded):
        _read(reader, LARGEST)
    for _ in range(LARGEST // SMALL):
        assert _read(reader, SMALL) == SMALL
    with pytest.raises(Overloaded):
        _read(reader, 1)
