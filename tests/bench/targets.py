"""What the service should reach in comparison, and whether it did in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from tests.bench.contenders import EVE, FASTAPI, FLOOR, GRANIAN, GUIDE, GUNICORN, OURS, TWO_WORKERS
from tests.bench.report import Spread, ratios, spread, table
from tests.bench.rounds import Rounds
from tests.bench.tables import NONE, Figure, Results, cpu, megabytes, over, p50, rate

TITLE = "Targets"
POSTS, GETS = "`POST /data`", "`GET` by id"
"""The two questions that are asked of one worker and of two."""
_NOT_PEERS = (OURS.name, FLOOR.name)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and where it should be: at least `bound`, or at most where `is_most`."""

    text: str
    bound: float
    figure: Callable[[Results], Spread | None]
    """None where the run did not measure it."""
    is_most: bool = False

    def is_met(self, found: Spread) -> bool:
        """Whether the median of the rounds is where it should be."""
        return found.median <= self.bound if self.is_most else found.median >= self.bound


def rows(results: Results) -> list[list[str]]:
    """The table's rows."""
    return [_row(target, target.figure(results)) for target in TARGETS]


def verdicts(results: Results) -> str:
    """The table: each target, what came out, and whether it is met."""
    return table(("ratio of the service to", "target", "measured", "met"), rows(results))


def _row(target: Target, found: Spread | None) -> list[str]:
    bound = f"{'≤' if target.is_most else '≥'} {target.bound:g}"
    if found is None:
        return [target.text, bound, NONE, NONE]
    return [target.text, bound, found.text(2), "yes" if target.is_met(found) else "no"]


def _over(rounds: Rounds | None, figure: Figure, other: str, one: str = OURS.name) -> Spread | None:
    if rounds is None or one not in rounds or other not in rounds:
        return None
    return over(figure, rounds[one], rounds[other])


def _post(connections: int, figure: Figure, other: str, results: Results) -> Spread | None:
    return _over(results.post.get(connections), figure, other)


def _get(connections: int, other: str, results: Results) -> Spread | None:
    return _over(results.get.get(connections), rate, other)


def _scale(question: str, results: Results) -> Spread | None:
    return _over(results.scale.get(question), rate, OURS.name, TWO_WORKERS.name)


def _fastest(results: Results) -> Spread | None:
    speeds: Mapping[str, list[float]] = {
        name: list(map(megabytes, each.answers)) for name, each in results.listing.items()
    }
    peers = [each for name, each in speeds.items() if name not in _NOT_PEERS]
    if OURS.name not in speeds or not peers:
        return None
    return ratios(speeds[OURS.name], max(peers, key=lambda each: spread(each).median))


def _first_byte(results: Results) -> Spread | None:
    ours = results.listing.get(OURS.name)
    return None if ours is None else spread(each.first_ms for each in ours.answers)


TARGETS = (
    Target("`POST`/s, 16 connections: guide, flask run", 8, partial(_post, 16, rate, GUIDE.name)),
    Target("… guide, gunicorn", 4, partial(_post, 16, rate, GUNICORN.name)),
    Target("… guide, Granian", 3, partial(_post, 16, rate, GRANIAN.name)),
    Target("… FastAPI", 3.5, partial(_post, 16, rate, FASTAPI.name)),
    Target("… the floor", 0.8, partial(_post, 16, rate, FLOOR.name)),
    Target("`POST`/s, 64 connections: FastAPI", 4, partial(_post, 64, rate, FASTAPI.name)),
    Target("… the floor", 0.8, partial(_post, 64, rate, FLOOR.name)),
    Target(
        "CPU for each `POST`, 16 connections: guide, gunicorn",
        0.2,
        partial(_post, 16, cpu, GUNICORN.name),
        is_most=True,
    ),
    Target("… FastAPI", 0.25, partial(_post, 16, cpu, FASTAPI.name), is_most=True),
    Target(
        "median latency of `POST`, 1 connection: guide, Granian",
        1,
        partial(_post, 1, p50, GRANIAN.name),
        is_most=True,
    ),
    Target("`GET` by id/s, 16 connections: FastAPI", 2, partial(_get, 16, FASTAPI.name)),
    Target("… Eve", 3, partial(_get, 16, EVE.name)),
    Target("… the floor", 0.8, partial(_get, 16, FLOOR.name)),
    Target("whole collection out, MB/s: the fastest peer", 1.2, _fastest),
    Target("… ms to the first byte (no ratio)", 5, _first_byte, is_most=True),
    Target("two workers, `POST`/s: one worker", 1.8, partial(_scale, POSTS)),
    Target("two workers, `GET` by id/s: one worker", 1.8, partial(_scale, GETS)),
)
