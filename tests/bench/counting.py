"""Whether the database holds what was acknowledged: a fast service that loses is no service."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.load import Load


@dataclass(frozen=True, slots=True)
class Count:
    """New documents in the database beside those that were acknowledged."""

    new: int
    acknowledged: int
    may_be_more: int
    """Requests whose answer nobody saw, or saw as an error: each may have been kept."""
    at_once: int | None = None
    """New documents directly after the last answer; None where nobody looked then."""

    @property
    def missing(self) -> int:
        """Documents that were acknowledged and were not there, then or later."""
        there = self.new if self.at_once is None else min(self.new, self.at_once)
        return max(self.acknowledged - there, 0)

    @property
    def unexplained(self) -> int:
        """Documents that nobody can have sent: something was kept twice."""
        return max(self.new - self.acknowledged - self.may_be_more, 0)

    @property
    def is_right(self) -> bool:
        """Whether every acknowledged document is there, once."""
        return self.missing == 0 and self.unexplained == 0


def count(
    before: int, after: int, load: Load, at_once: int | None = None, earlier: int = 0
) -> Count:
    """Hold the documents before and after a load against what its clients saw.

    `at_once` are those directly after the last answer, `after` those when no more came. `earlier`
    are the loads before it on this collection, which too were cut with requests in flight: when
    those land is the database's affair.
    """
    in_flight = load.connections * (1 + earlier) + load.broken + load.refused
    early = None if at_once is None else at_once - before
    return Count(after - before, load.acknowledged, in_flight, early)
