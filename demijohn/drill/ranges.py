"""Whole numbers kept as ranges: a million acknowledged markers are one pair of numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Pair = tuple[int, int]
"""First and last number of a range, both in it."""


class Ranges:
    """A set of whole numbers; cheap where they come nearly in order."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        """Take ranges that are in order and do not touch, as `pairs` gives them."""
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in pairs:
            self._first.append(first)
            self._last.append(last)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Ranges:
        """The set of these numbers."""
        made = cls()
        for number in numbers:
            made.add(number)
        return made

    def add(self, number: int) -> None:
        """Put a number in; one that is in already changes nothing."""
        at = bisect_right(self._first, number)
        if at and number <= self._last[at - 1]:
            return
        joins_before = at > 0 and self._last[at - 1] == number - 1
        joins_after = at < len(self._first) and self._first[at] == number + 1
        if joins_before and joins_after:
            self._last[at - 1] = self._last.pop(at)
            del self._first[at]
        elif joins_before:
            self._last[at - 1] = number
        elif joins_after:
            self._first[at] = number
        else:
            self._first.insert(at, number)
            self._last.insert(at, number)

    def overlaps(self, first: float, last: float) -> bool:
        """Whether any number of the set lies from `first` to `last`, both included."""
        return any(max(low, first) <= min(high, last) for low, high in self.pairs())

    def pairs(self) -> list[Pair]:
        """The ranges, in order."""
        return list(zip(self._first, self._last, strict=True))

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._first, number)
        return at > 0 and number <= self._last[at - 1]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.pairs():
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.pairs())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self.pairs() == other.pairs()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Ranges({self.pairs()})"

    def __str__(self) -> str:
        """For people: `0-41, 43`."""
        each = (str(low) if low == high else f"{low}-{high}" for low, high in self.pairs())
        return ", ".join(each) or "none"
