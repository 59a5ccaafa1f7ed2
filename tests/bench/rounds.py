"""Interleaved rounds: each contender in turn, again and again, so that a noisy minute hits all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import urllib3

from tests.bench.contenders import Running
from tests.bench.counting import Count, count
from tests.bench.database import Documents, settled_count
from tests.bench.load import Load, post
from tests.bench.usage import cpu_seconds

Result = TypeVar("Result")
WARM_UP = 1
"""Seconds of load before each round that nothing is taken from."""


@dataclass(frozen=True, slots=True)
class Round:
    """One contender's turn under load."""

    load: Load
    count: Count
    cpu_us: float
    """CPU time of the contender's own processes for each answer, in microseconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to load: on so many connections, so often, for so many seconds each time."""

    connections: int
    rounds: int
    seconds: int


def interleaved(
    contenders: Sequence[Running], rounds: int, turn: Callable[[Running], Result]
) -> dict[str, list[Result]]:
    """Give each contender its turn, `rounds` times; the results by name."""
    results: dict[str, list[Result]] = {each.name: [] for each in contenders}
    for _ in range(rounds):
        for each in contenders:
            results[each.name].append(turn(each))
    return results


def load_all(
    contenders: Sequence[Running], documents: Documents, plan: Plan
) -> dict[str, list[Round]]:
    """Load each contender in turn with `POST /data`, each time on an empty collection."""
    return interleaved(contenders, plan.rounds, lambda each: _turn(each, documents, plan))


def all_right(rounds: Iterable[Round]) -> bool:
    """Whether every acknowledged document of these rounds was found, once."""
    return all(each.count.is_right for each in rounds)


def _turn(contender: Running, documents: Documents, plan: Plan) -> Round:
    documents.drop()
    _require_201(contender)
    post(contender.url, plan.connections, WARM_UP)
    before, cpu_before = settled_count(documents), cpu_seconds(contender.pid)
    load = post(contender.url, plan.connections, plan.seconds)
    cpu = cpu_seconds(contender.pid) - cpu_before
    return Round(
        load=load,
        count=count(before, settled_count(documents), load),
        cpu_us=cpu * 1e6 / max(load.answers, 1),
    )


def _require_201(contender: Running) -> None:
    """One document by hand: wrk tells answers apart by 400 and above only."""
    answer = urllib3.request("POST", f"{contender.url}/data", json={}, retries=False)
    if answer.status != 201:
        raise RuntimeError(f"{contender.name} answers {answer.status}: {answer.data!r}")
