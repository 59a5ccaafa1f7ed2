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

    @property
    def missing(self) -> int:
        """Documents that were acknowledged and are not there."""
        return max(self.acknowledged - self.new, 0)

    @property
    def unexplained(self) -> int:
        """Documents that nobody can have sent: something was kept twice."""
        return max(self.new - self.acknowledged - self.may_be_more, 0)

    @property
    def is_right(self) -> bool:
        """Whether every acknowledged document is there, once."""
        return self.missing == 0 and self.unexplained == 0


def count(before: int, after: int, load: Load) -> Count:
    """Hold the documents before and after a load against what wrk saw."""
    in_flight = load.connections + load.broken + load.refused
    return Count(after - before, load.acknowledged, in_flight)
