"""How long a service stands still beside what is being tested: that is no fault of a promise."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from tests.support.api import Api
from tests.support.together import beside

_PAUSE = 0.02
"""Seconds between two questions."""


@dataclass(slots=True)
class Lag:
    """The longest that `/livez`, which needs nothing but the process, was waited for so far."""

    seconds: float = 0.0


@contextmanager
def lagging(url: str) -> Iterator[Lag]:
    """Ask `/livez` of the service again and again in this block.

    What this process, the service or the machine stands still shows there as in every other answer.
    At the end of the block the lag is complete.
    """
    lag = Lag()

    def look(is_over: threading.Event) -> None:
        with closing(Api(url)) as api:
            while not is_over.is_set():
                began = time.monotonic()
                assert api.get("/livez").status == 200
                is_over.wait(_PAUSE)
                lag.seconds = max(lag.seconds, time.monotonic() - began - _PAUSE)

    with beside(look):
        yield lag
