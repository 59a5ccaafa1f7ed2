"""Token buckets: what they let through over time, what they cost, what they say of waiting."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.auth.buckets import LOOKED_AT, Buckets, Rate

TICK = 1 / 1024
"""A step of the clock that binary fractions hold exactly."""


def test_a_burst_then_the_rate() -> None:
    """As many at once as the burst says, then one whenever a token has come."""
    buckets = Buckets(Rate(4, 3))
    assert [buckets.take("a", 0) for _ in range(5)] == [True, True, True, False, False]
    assert not buckets.take("a", 0.25 - TICK)
    assert buckets.take("a", 0.25)
    assert [buckets.take("a", 100) for _ in range(4)] == [True, True, True, False]


def test_each_has_a_bucket_of_its_own() -> None:
    """One who asks too often takes nothing from another."""
    buckets = Buckets(Rate(1, 1))
    assert [buckets.take(each, 0) for each in "abab"] == [True, True, False, False]


def test_looking_takes_nothing() -> None:
    """`has` says what `take` would."""
    buckets = Buckets(Rate(1, 1))
    assert buckets.has("a", 0)
    assert buckets.take("a", 0)
    assert not buckets.has("a", 0.5)
    assert buckets.has("a", 1)
    assert len(buckets) == 1


@given(
    st.floats(0.01, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_window_has_more_than_is_allowed(rate: float, burst: int, gaps: list[float]) -> None:
    """In any stretch of time: the burst, and the rate times its seconds; no more."""
    buckets = Buckets(Rate(rate, burst))
    now, taken = 0.0, []
    for gap in gaps:
        now += gap
        if buckets.take("a", now):
            taken.append(now)
    for begin in range(len(taken)):
        for end in range(begin, len(taken)):
            allowed = burst + rate * (taken[end] - taken[begin])
            assert end - begin + 1 <= allowed + 1e-5


@given(st.floats(0.01, 1000), st.integers(1, 8), st.lists(st.floats(0, 2), max_size=40))
def test_whoever_waits_as_told_gets_through(rate: float, processes: int, gaps: list[float]) -> None:
    """Whatever went before, and whichever process says so and is asked then."""
    several = [Buckets(Rate(rate, 3).share(processes)) for _ in range(processes)]
    now = 0.0
    for number, gap in enumerate(gaps):
        now += gap
        asked = several[number % processes]
        if not asked.take("a", now):
            later = now + asked.retry_after
            assert all(each.has("a", later) for each in several)


@pytest.mark.parametrize(("rate", "seconds"), [(100, 1), (1, 1), (0.9, 2), (0.5, 2), (0.3, 4)])
def test_the_wait_is_whole_seconds(rate: float, seconds: int) -> None:
    """`Retry-After` has no fractions (RFC 9110): it is rounded up, and never 0."""
    assert Buckets(Rate(rate, 1)).retry_after == seconds


def test_processes_share_a_quota() -> None:
    """Each allows its part; a burst of less than one token would let nobody in."""
    assert Rate(100, 200).share(4) == Rate(25, 50)
    assert Rate(1, 2).share(4) == Rate(0.25, 1)


def test_a_million_addresses_cost_bounded_memory() -> None:
    """Whoever comes from ever new addresses gets no more room than there is."""
    buckets = Buckets(Rate(1, 10), most=1_000)
    tracemalloc.start()
    try:
        for number in range(100_000):
            assert buckets.take(f"{number}", number / 1e6)
        assert len(buckets) == 1_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_full_buckets_are_forgotten_first() -> None:
    """One who is refused is not forgotten for the sake of others who come and go."""
    buckets = Buckets(Rate(1, 10), most=LOOKED_AT * 2)
    while buckets.take("greedy", 0):
        pass
    for number in range(10_000):
        assert buckets.take(f"{number}", number / 10_000)
        assert not buckets.has("greedy", 0.999)
    assert len(buckets) <= LOOKED_AT * 2
