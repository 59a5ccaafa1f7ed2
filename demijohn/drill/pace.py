"""When requests are due: by the clock alone, however the service answers (an open loop)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

GROWTH = 1.5
"""What one step up or down multiplies or divides the rate by."""
STRAINED = 0.5
"""Seconds of lateness past which the generator takes no step up."""
OVERDONE = 1.0
"""Seconds of lateness past which a rate that has been raised comes down by a step."""


@dataclass(slots=True)
class Pace:
    """A rate in requests a second, between `rate` as first given and `highest`, or at `lowest`."""

    rate: float
    highest: float
    lowest: float
    is_low: bool = False
    _base: float = field(init=False)
    _late: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._base = self.rate

    def due(self, start: float, now: float) -> Iterator[float]:
        """The moments from `start` to `now` at which a request is due; the last is for next time.

        A change of the rate holds from the next one on.
        """
        while start <= now:
            yield start
            start += 1 / self.rate
        yield start

    def step_up(self, late: float) -> None:
        """Ask more of the service, unless the generator is `late` by too many seconds already."""
        if not self.is_low and late < STRAINED:
            self.rate = min(self.rate * GROWTH, self.highest)

    def relieve(self, late: float) -> None:
        """Ask less where a rate above the first cannot be held; the first is never given up.

        Lateness that shrinks is what is left of a rate that has come down already.
        """
        grows, self._late = late > self._late, late
        if grows and not self.is_low and late > OVERDONE and self.rate > self._base:
            self.rate = max(self.rate / GROWTH, self._base)

    def fall(self) -> None:
        """Go to the lowest rate for good."""
        self.is_low = True
        self.rate = self.lowest
