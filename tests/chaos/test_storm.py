"""Every fault in turn under load: nothing acknowledged is lost, doubled, or beyond explanation.

What is sent, harmed and demanded is told in `tests.support.chaos`; what breaks, in
`tests.support.chaos.storm`.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.chaos.conftest import Weather
from tests.support.chaos import storm
from tests.support.chaos.driver import Size

LEAST = 8
"""Writes in flight without which nothing is killed."""
ROUNDS = 4
"""Each has every fault once."""
SOAK = max(1, round(40 * float(os.environ.get("SCALE", "1"))))


def _faults(rounds: int, seed: int) -> list[str]:
    """So many rounds, each in an order of its own.

    The last fault is a killed database: a transaction that a killed worker has left open holds its
    documents for a minute, and with it a client that waits for its answer.
    """
    chooser = random.Random(seed)
    orders = [chooser.sample(storm.ALL, len(storm.ALL)) for _ in range(rounds)]
    return [what for order in orders for what in order] + ["kill database"]


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(ROUNDS, id="ci", marks=pytest.mark.timeout(900)),
        pytest.param(SOAK, id="soak", marks=[pytest.mark.soak, pytest.mark.timeout(0)]),
    ],
)
def test_nothing_is_lost_doubled_or_unexplained(weather: Weather, seed: int, rounds: int) -> None:
    """Killed, stopped, cut off, without room: what was acknowledged stands, once and in order."""
    size = Size(_faults(rounds, seed), keyed=16, unkeyed=16, least=LEAST)
    found = weather(size, {})
    assert found.report.faults() == {}
    assert len(found.report.blows) == len(size.kills)
    assert min(found.report.in_flight) >= LEAST
    assert found.report.replays > 0
    assert found.report.codes["database-unavailable"] > 0
    assert found.report.codes["outcome-unknown"] > 0
