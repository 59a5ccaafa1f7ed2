"""The controls of the storm: four builds that break one promise each, and must be found.

They run as the right one does in test_storm.py, under traffic that consists of what they do wrong.
"""

from __future__ import annotations

from tests.chaos.conftest import Weather
from tests.support import faults
from tests.support.chaos.driver import Size
from tests.support.chaos.history import Effect

INSERTS = {Effect.INSERT: 3, Effect.READ: 1}
CHANGES = {Effect.CREATE: 1, Effect.PUT: 2, Effect.PUSH: 2, Effect.MERGE: 1}
HALF_CUT = "link half-cut there"
LOSING = ("kill worker", "kill database", HALF_CUT, "kill service", HALF_CUT, "kill database")
"""What the link held at the second half-cut is gone."""


def test_an_early_acknowledgement_is_found(weather: Weather) -> None:
    """A build that acknowledges what it is about to write has lost some of it at a kill."""
    size = Size(LOSING, keyed=0, unkeyed=24, weights=INSERTS, least=8)
    found = weather(size, faults.environ(faults.ACKNOWLEDGED_EARLY))
    assert found.report.lost


def test_writes_that_nobody_acknowledged_are_found(weather: Weather) -> None:
    """A build that writes with `w: 0` has lost some of it when its database was killed."""
    size = Size(LOSING, keyed=0, unkeyed=24, weights=INSERTS, least=8)
    found = weather(size, faults.environ(faults.UNACKNOWLEDGED))
    assert found.report.lost


def test_a_lost_update_is_found(weather: Weather) -> None:
    """A build that judges If-Match outside of the transaction lets two pass under one tag."""
    # Some four are found each time, but now and then none: six times, and it is certain.
    size = Size(("link slow",) * 6, keyed=0, unkeyed=24, weights=CHANGES, matching=1.0)
    found = weather(size, faults.environ(faults.CONDITION_APART))
    assert found.report.unexplained
    assert found.violations > 0


def test_a_double_insert_is_found(weather: Weather) -> None:
    """A build that takes no notice of a key on a retry has two documents of one insert."""
    size = Size(("kill worker", "link cut"), keyed=24, unkeyed=0, weights=INSERTS, least=8)
    found = weather(size, faults.environ(faults.KEY_IGNORED))
    assert found.report.doubled
