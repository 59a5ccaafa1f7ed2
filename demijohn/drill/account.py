"""The markers that were acknowledged against those that are in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from demijohn.drill.ranges import Ranges


@dataclass(frozen=True, slots=True)
class Account:
    """What came of the markers of a run."""

    acknowledged: int
    found: int
    """Different markers in the database."""
    lost: Ranges
    """Acknowledged, and not there."""
    doubled: Ranges
    """There more than once."""
    unknown_found: Ranges
    """Of requests that failed, and there all the same: their outcome was never known."""
    unexplained: Ranges
    """There, though no request for them ended in any way."""

    @property
    def holds(self) -> bool:
        """Whether what was acknowledged is there, once each, and nothing else but the unknown."""
        return not (len(self.lost) or len(self.doubled) or len(self.unexplained))


def settle(acknowledged: Ranges, unknown: Ranges, found: Iterable[int]) -> Account:
    """Compare the two; `found` names a marker as often as it is in the database."""
    times = Counter(found)
    others = [number for number in sorted(times) if number not in acknowledged]
    return Account(
        acknowledged=len(acknowledged),
        found=len(times),
        lost=Ranges.of(number for number in acknowledged if number not in times),
        doubled=Ranges.of(sorted(number for number, count in times.items() if count > 1)),
        unknown_found=Ranges.of(number for number in others if number in unknown),
        unexplained=Ranges.of(number for number in others if number not in unknown),
    )
