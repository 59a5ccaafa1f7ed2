"""Interleaved rounds: each contender in turn, again and again, so that a noisy minute hits all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tests.bench.counting import Count, count
from tests.bench.database import Documents, settled_count
from tests.bench.entrants import Entrant
from tests.bench.load import Load

Result = TypeVar("Result")


class Named(Protocol):
    """What has a turn."""

    @property
    def name(self) -> str:
        """By which its results are known."""


AnyNamed = TypeVar("AnyNamed", bound=Named)


@dataclass(frozen=True, slots=True)
class Round:
    """One entrant's turn under load."""

    load: Load
    count: Count
    cpu_us: float
    """CPU time of the entrant's own processes for each answer, in microseconds."""


Rounds = Mapping[str, Sequence[Round]]
"""All turns, by the entrant's name; the n-th of each are of one round."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to load: on so many connections, so often, for so many seconds each time."""

    connections: int
    rounds: int
    seconds: int
    warm_up: int = 1
    """Seconds of load before each round that nothing is taken from."""
    is_emptied: bool = True
    """Whether each round begins with an empty collection."""


def interleaved(
    entrants: Sequence[AnyNamed], rounds: int, turn: Callable[[AnyNamed], Result]
) -> dict[str, list[Result]]:
    """Give each its turn, `rounds` times; the results by name."""
    results: dict[str, list[Result]] = {each.name: [] for each in entrants}
    for _ in range(rounds):
        for each in entrants:
            results[each.name].append(turn(each))
    return results


def post_all(
    entrants: Sequence[Entrant], documents: Documents, plan: Plan
) -> dict[str, list[Round]]:
    """Have each in turn take documents."""
    return interleaved(entrants, plan.rounds, lambda each: _post(each, documents, plan))


def get_all(
    entrants: Sequence[Entrant], documents: Documents, plan: Plan
) -> dict[str, list[Round]]:
    """Have each in turn give single documents of a collection that is filled already."""
    return interleaved(entrants, plan.rounds, lambda each: _get(each, documents, plan))


def all_right(rounds: Iterable[Round]) -> bool:
    """Whether every acknowledged document of these rounds was found, once."""
    return all(each.count.is_right for each in rounds)


def _post(entrant: Entrant, documents: Documents, plan: Plan) -> Round:
    kept = documents.database[entrant.collection]
    if plan.is_emptied:
        kept.drop()
    entrant.check()
    before = kept.count_documents({})
    if plan.warm_up:
        entrant.load(plan.connections, plan.warm_up)
        before = settled_count(kept, before)
    load, cpu = _loaded(entrant, plan)
    # At once: what is acknowledged is there already, or the acknowledgement came too early.
    at_once = kept.count_documents({})
    after = settled_count(kept, at_once)
    earlier = bool(plan.warm_up) + plan.is_emptied  # what is emptied, another's load has filled
    return Round(load, count(before, after, load, at_once, earlier), cpu)


def _get(entrant: Entrant, documents: Documents, plan: Plan) -> Round:
    kept = documents.database[entrant.collection]
    entrant.check()
    if plan.warm_up:
        entrant.load(plan.connections, plan.warm_up)
    before = kept.count_documents({})
    load, cpu = _loaded(entrant, plan)
    if load.refused:
        raise RuntimeError(f"{entrant.name} does not give {load.refused} documents that it has")
    return Round(load, Count(kept.count_documents({}) - before, 0, 0), cpu)


def _loaded(entrant: Entrant, plan: Plan) -> tuple[Load, float]:
    """What load brought, and the microseconds of CPU time for each answer."""
    before = entrant.cpu()
    load = entrant.load(plan.connections, plan.seconds)
    return load, (entrant.cpu() - before) * 1e6 / max(load.answers, 1)
