"""Token buckets: how often somebody may do something, in bounded memory.

A bucket is the moment at which it will be full again (the "generic cell rate algorithm" of ATM):
what is taken moves that moment on by the time that a token needs to come. So one number is all
that is kept of a bucket, and a full one need not be kept.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import NamedTuple

MOST = 20_000
"""Buckets that are kept at one time: some 4 MB."""
LOOKED_AT = 16
"""Buckets among which one is found to be forgotten, where there is no room."""


class Rate(NamedTuple):
    """How much is allowed: tokens a second, and how many at one time."""

    per_second: float
    burst: float

    def share(self, processes: int) -> Rate:
        """What one of so many processes, which do not know of each other, allows of it."""
        return Rate(self.per_second / processes, max(1.0, self.burst / processes))


class Buckets:
    """One bucket for each of those who are limited. Not for several threads at one time."""

    def __init__(self, rate: Rate, most: int = MOST) -> None:
        """Take what each is allowed, and how many buckets are kept."""
        self._token = 1 / rate.per_second
        # And a millionth, for what adding fractions loses.
        self._most_ahead = (rate.burst - 1 + 1e-6) * self._token
        self._most = most
        # When each is full again; whoever has asked last comes last.
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        """Buckets that are kept."""
        return len(self._full_at)

    @property
    def retry_after(self) -> int:
        """Whole seconds after which whoever was refused has a token, here and in processes alike.

        They are those of a whole token, for another process may have refused a moment later.
        """
        return math.ceil(self._token)

    def has(self, whose: str, now: float) -> bool:
        """Whether there is a token. `now` is of a monotonic clock, in seconds."""
        return self._full_at.get(whose, now) - now <= self._most_ahead

    def take(self, whose: str, now: float) -> bool:
        """Take a token, if there is one; whether there was."""
        full_at = max(self._full_at.pop(whose, now), now)
        has_token = full_at - now <= self._most_ahead
        if len(self._full_at) >= self._most:
            self._forget(now)
        self._full_at[whose] = full_at + self._token if has_token else full_at
        return has_token

    def _forget(self, now: float) -> None:
        """Make room: by what is full, or else by what is the nearest to it of the oldest few."""
        oldest = list(islice(self._full_at, LOOKED_AT))
        full = [each for each in oldest if self._full_at[each] <= now]
        for each in full or [min(oldest, key=self._full_at.__getitem__)]:
            del self._full_at[each]
