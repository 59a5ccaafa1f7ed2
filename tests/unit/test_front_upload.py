"""How long an upload's client is waited for."""

from __future__ import annotations

import pytest

from demijohn.front.body import LONGEST_PAUSE, SLOW_START
from demijohn.front.upload import Pace, is_upload


def test_a_client_that_keeps_the_rate_is_waited_for() -> None:
    """However long it takes, at the rate that is asked for nobody is cut."""
    pace = Pace(1_000, 60)
    for _ in range(10_000):
        assert pace.patience > 4
        pace.note(4_000, 4)


def test_a_client_below_the_rate_is_cut() -> None:
    """What is missing is missing for good, beyond a few seconds that everybody gets."""
    pace = Pace(1_000, 60)
    steps = 0
    while pace.patience > 1:
        pace.note(900, 1)
        steps += 1
    assert 30 < steps < 60


def test_no_pause_is_longer_than_the_longest() -> None:
    """Whoever was fast has saved up seconds, but not for one pause, nor without bound."""
    pace = Pace(1_000, 60)
    pace.note(10**12, 1)
    assert pace.patience == LONGEST_PAUSE
    waited = 0
    while pace.patience > 0:
        pace.note(1, 9)
        waited += 9
    assert waited <= 60 + 9


def test_without_a_rate_only_pauses_count() -> None:
    """`DEMIJOHN_BODY_MIN_RATE=0`."""
    pace = Pace(0, 60)
    for _ in range(100):
        pace.note(1, 9)
    assert pace.patience == LONGEST_PAUSE


def test_everybody_gets_a_few_seconds() -> None:
    """Before anything has come."""
    assert Pace(10**9, 1).patience == SLOW_START


@pytest.mark.parametrize(
    ("method", "kind", "expected"),
    [
        ("POST", b"application/x-ndjson", True),
        ("POST", b"Application/X-NDJSON ; mode=relaxed", True),
        ("PUT", b"application/x-ndjson", False),
        ("POST", b"application/json", False),
        ("POST", b"", False),
    ],
)
def test_what_may_be_an_upload(method: str, kind: bytes, *, expected: bool) -> None:
    """POST of NDJSON, whatever its parameters."""
    assert is_upload(method, kind) == expected
