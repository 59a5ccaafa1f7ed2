"""Every fault in turn under load: nothing acknowledged is lost, doubled, or beyond explanation.

What is sent, harmed and demanded is told in `tests.support.chaos`; what breaks, in
`tests.support.chaos.storm`.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.support.chaos import storm
from tests.support.chaos.driver import Size, account
from tests.support.chaos.storm import Storm

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(2**32))
"""Of what is sent and harmed. The instants are the scheduler's own."""
SCALE = float(os.environ.get("SCALE", "1"))
"""Times as many rounds, in soak."""
LEAST = 8
"""Writes in flight without which nothing is killed."""
ROUNDS = 1
"""Each has every fault once."""
SOAK = max(1, round(40 * SCALE))


def faults(rounds: int, seed: int) -> list[str]:
    """So many rounds, each in an order of its own.

    The last fault is a killed database: a transaction that a killed worker has left open holds its
    documents for a minute, and with it a client that waits for its answer.
    """
    chooser = random.Random(seed)
    each = [chooser.sample(storm.ALL, len(storm.ALL)) for _ in range(rounds)]
    return [what for of_round in each for what in of_round] + ["kill database"]


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "rounds", [pytest.param(ROUNDS, id="ci"), pytest.param(SOAK, id="soak", marks=pytest.mark.soak)]
)
def test_nothing_is_lost_doubled_or_unexplained(tmp_path: Path, rounds: int) -> None:
    """Killed, stopped, cut off, or without room: what was acknowledged stands, once, in order."""
    size = Size(faults(rounds, SEED), keyed=16, unkeyed=16, pause=0.5, least=LEAST)
    stage = Storm(tmp_path, {}, SEED)
    try:
        stage.start()
        found = account(stage, size, SEED)
    finally:
        stage.close()
    print(f"\nseed {SEED}\n{found.table()}\n{found.report.table()}")
    for kind, findings in found.report.faults().items():
        print(f"{kind}:", *findings[:5], sep="\n  ")
    assert found.report.faults() == {}
    assert len(found.report.blows) == len(size.kills)
    assert min(each.in_flight for each in found.report.blows) >= LEAST
