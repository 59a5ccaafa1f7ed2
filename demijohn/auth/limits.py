"""How often one key and one address may ask: what the entrance goes by."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from demijohn.auth.address import subject
from demijohn.auth.buckets import Buckets, Rate
from demijohn.errors import TooManyRequests
from demijohn.settings import Settings


class Limits:
    """The limits of one process, which allows its part of what all of them do. Thread-safe."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the rates from the settings; the clock is monotonic, in seconds."""
        processes = (settings.workers or 1) * settings.replicas
        self._keys = _buckets(settings.rate_per_key, processes)
        self._addresses = _buckets(settings.rate_per_address, processes)
        self._failures = _buckets(settings.rate_failed_auth, processes)
        self._clock = clock
        self._lock = threading.Lock()

    def take_of_address(self, address: str | None) -> None:
        """Count a request from an address. Raises TooManyRequests."""
        if self._addresses is not None:
            self._take(self._addresses, subject(address), "This address has asked too often.")

    def take_of_key(self, id_: str) -> None:
        """Count a request with a key, empty for one without. Raises TooManyRequests."""
        if self._keys is not None and id_:
            self._take(self._keys, id_, "This key was used too often.")

    def take_of_failures(self, address: str | None) -> None:
        """Count a request whose key is not valid. Raises TooManyRequests."""
        if self._failures is not None:
            self._take(self._failures, subject(address), _FAILED)

    def check_failures(self, address: str | None) -> None:
        """Raise TooManyRequests where an address may have no more of them.

        So that a key that nobody knows yet is not looked up in the database.
        """
        buckets = self._failures
        if buckets is not None and not buckets.has(subject(address), self._clock()):
            raise TooManyRequests(_FAILED, retry_after=buckets.retry_after)

    def _take(self, buckets: Buckets, whose: str, detail: str) -> None:
        with self._lock:
            has_token = buckets.take(whose, self._clock())
        if not has_token:
            raise TooManyRequests(detail, retry_after=buckets.retry_after)


_FAILED = "From this address came too many keys that are not valid."


def _buckets(rate: str, processes: int) -> Buckets | None:
    """The buckets of a rate as settings spell it; None for no limit."""
    number, _, burst = rate.partition(",")
    per_second = float(number)
    if not per_second:
        return None
    return Buckets(Rate(per_second, float(burst or 2 * per_second)).share(processes))
