"""What one process allows of the rates that the settings name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demijohn.auth.limits import Limits
from demijohn.errors import TooManyRequests
from demijohn.settings import load

MANY = 1_000


def limits(clock: Callable[[], float] = lambda: 0.0, **settings: object) -> Limits:
    """The limits of these settings."""
    given = {f"DEMIJOHN_{name.upper()}": str(value) for name, value in settings.items()}
    return Limits(load(given), clock)


def allowed(take: Callable[[str], None], whose: str) -> int:
    """How many are taken in a moment, at most MANY."""
    for number in range(MANY):
        try:
            take(whose)
        except TooManyRequests:
            return number
    return MANY


def test_by_default_only_failures_are_limited() -> None:
    """Nobody is held to a rate that was not asked for; guessing at keys is, everywhere."""
    default = limits()
    assert allowed(default.take_of_key, "k") == MANY
    assert allowed(default.take_of_address, "192.0.2.1") == MANY
    assert allowed(default.take_of_failures, "192.0.2.1") == 20


def test_zero_is_no_limit() -> None:
    """Of failures too."""
    assert allowed(limits(rate_failed_auth=0).take_of_failures, "192.0.2.1") == MANY


@pytest.mark.parametrize(
    ("rate", "burst"), [("10", 20), ("10,50", 50), ("0.25", 1), ("0.25,3", 3), ("2.5", 5)]
)
def test_a_rate_and_its_burst(rate: str, burst: int) -> None:
    """After the comma, how many at one time; without, those of two seconds."""
    assert allowed(limits(rate_per_key=rate).take_of_key, "k") == burst
    assert allowed(limits(rate_per_address=rate).take_of_address, "192.0.2.1") == burst


def test_each_process_allows_its_part() -> None:
    """Workers and replicas do not know of each other: together they allow the rate."""
    of_eight = limits(rate_per_key="80,160", workers=4, replicas=2)
    assert allowed(of_eight.take_of_key, "k") == 20


def test_a_request_without_a_key_takes_nothing_of_keys() -> None:
    """Those who need no key are not taken for one."""
    assert allowed(limits(rate_per_key="1,1").take_of_key, "") == MANY


def test_a_network_of_ipv6_is_one_address() -> None:
    """Whoever has a /64 has no more for it."""
    of_addresses = limits(rate_per_address="1,1")
    of_addresses.take_of_address("2001:db8::1")
    with pytest.raises(TooManyRequests):
        of_addresses.take_of_address("2001:db8::2")
    of_addresses.take_of_address("2001:db8:0:1::1")


@pytest.mark.parametrize("name", ["rate_per_key", "rate_per_address", "rate_failed_auth"])
def test_whoever_waits_as_told_gets_through(name: str) -> None:
    """`Retry-After` is true of each limit."""
    now = 0.0
    of_all = limits(lambda: now, **{name: "0.3,2", "workers": 2})
    take = {
        "rate_per_key": of_all.take_of_key,
        "rate_per_address": of_all.take_of_address,
        "rate_failed_auth": of_all.take_of_failures,
    }[name]
    take("192.0.2.1")
    with pytest.raises(TooManyRequests) as caught:
        take("192.0.2.1")
    assert caught.value.retry_after == 7
    now = 7.0
    take("192.0.2.1")


def test_failures_are_known_before_a_key_is_looked_up() -> None:
    """Who has no more of them is refused without a question to the database."""
    of_failures = limits(rate_failed_auth="1,1")
    of_failures.check_failures("192.0.2.1")
    of_failures.take_of_failures("192.0.2.1")
    with pytest.raises(TooManyRequests):
        of_failures.check_failures("192.0.2.1")
    of_failures.check_failures("192.0.2.2")
