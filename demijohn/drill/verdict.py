"""Did the promise hold? The rules, over the facts of a run; nothing here asks the cluster.

What is broken stays broken, however weak the test was. A run in which nothing broke, but which
missed a minimum, proves nothing: it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from math import inf

from demijohn.drill.account import Account
from demijohn.drill.cluster import Rescale
from demijohn.drill.load import LANES
from demijohn.drill.outcomes import LaneUse, StreamUse
from demijohn.drill.ranges import Ranges
from demijohn.drill.run import Ending, Run

LEAST_RATE = 200.0
"""Requests a second, offered and achieved."""
LEAST_USES = 100
"""Requests that each keep-alive lane carries over one and the same connection."""
ACROSS = 5.0
"""Seconds before and after a pod is told to end in which each lane must have been in use, and
that a stream open at that moment must last."""
MOST_LATE = 0.05
"""Share of the requests that the generator may send more than a second late."""
_UNTRUE = 0.999
"""The share of a rate below which it was not reached: the last request is due at the end."""
MOST_APART = 3.0
"""Seconds between two looks, within which a pod was told to end, for that to be dated at all."""


class Outcome(IntEnum):
    """The exit codes of the drills; docs/reference/drills.md lists them."""

    HELD = 0
    """The promise was put to the test and held."""
    BROKEN = 1
    """The promise did not hold, or the drill could not be carried out."""
    INCONCLUSIVE = 3
    """Nothing broke, but the promise was not really put to the test."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What broke and which minimum was missed, in words."""

    broken: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """What these come to."""
        if self.broken:
            return Outcome.BROKEN
        return Outcome.INCONCLUSIVE if self.missed else Outcome.HELD

    def and_also(self, other: Verdict) -> Verdict:
        """Both verdicts in one."""
        return Verdict(self.broken + other.broken, self.missed + other.missed)


@dataclass(frozen=True, slots=True)
class Scaling:
    """What the autoscaler was seen to do."""

    least: int
    most: int
    target: int
    peak_utilization: int
    peak_ready: int
    """Most pods that were ready at one time."""
    pressed: bool
    """Whether the CPU was above the target for all of the last minute before the load fell or the
    time was over: then it is not for want of load that replicas are missing."""
    back: bool
    """Whether the ready pods came back to the least."""
    had_time: bool
    """Whether what had not happened when the time was over had had as long as it needs."""
    sizes: tuple[int, ...]
    """By the autoscaler's own events since the load began, oldest first."""
    seconds_to_most: float | None = None
    """From the start of the load until the last of the most was ready."""


def judge_load(run: Run) -> Verdict:
    """What holds for every drill under load: no failure, no marker lost, enough load."""
    return Verdict(tuple(_broken_load(run)), tuple(_missed_load(run)))


def judge_endings(run: Run) -> Verdict:
    """Whether clients were really there when pods ended: lanes in use, streams open."""
    if not run.endings:
        return Verdict(missed=("no pod was told to end",))
    return Verdict(missed=(*_undated(run), *_idle_lanes(run), *_no_streams(run)))


def judge_rollouts(done: int, times: int, before: set[str], after: set[str]) -> Verdict:
    """Whether every rollout came to its end, with other pods than at the beginning."""
    broken = []
    if done < times:
        broken.append(f"{times - done} of {times} rollouts did not come to an end")
    elif before & after:
        broken.append(f"{len(before & after)} pods of before the rollout are still there")
    return Verdict(tuple(broken), () if before and after else ("no pods were seen",))


def judge_each(run: Run, begun: list[float]) -> Verdict:
    """Whether pods had streams in each of the rollouts that began then, by their own metrics."""
    missed = []
    for number, (begin, end) in enumerate(pairwise([*begun, inf]), start=1):
        if _had_none(each for each in run.endings if begin <= each.at < end):
            missed.append(f"in rollout {number} {_NO_STREAM}")
    return Verdict(missed=tuple(missed))


def judge_scaling(scaling: Scaling) -> Verdict:
    """Whether the autoscaler went from the least to the most and back, by its own events too."""
    missed, broken = [], []
    if scaling.peak_utilization <= scaling.target:
        missed.append(
            f"the load never made the CPU pass {scaling.target} % "
            f"(most: {scaling.peak_utilization} %): raise --max-rate"
        )
    elif scaling.peak_ready < scaling.most:
        reached = f"{scaling.peak_ready} of {scaling.most} replicas became ready"
        if not scaling.had_time:
            missed.append(f"{reached}, and the time was over soon after they were asked for")
        elif scaling.pressed or scaling.most in scaling.sizes:
            broken.append(reached)
        else:
            missed.append(f"{reached}, and the load never asked for more")
    elif not scaling.back:
        reached = f"the replicas did not come back to {scaling.least}"
        if scaling.had_time:
            broken.append(reached)
        else:
            missed.append(f"{reached} in less time than the autoscaler needs: raise --timeout")
    elif not is_way(scaling.sizes, scaling.least, scaling.most):
        way = " → ".join(map(str, (scaling.least, *scaling.sizes)))
        broken.append(f"by the autoscaler's events the way was {way}")
    return Verdict(tuple(broken), tuple(missed))


def is_way(sizes: tuple[int, ...], least: int, most: int) -> bool:
    """Whether the sizes lead to the most and from there to the least."""
    return most in sizes and sizes[-1] == least


def sizes_of(rescales: list[Rescale]) -> tuple[int, ...]:
    """The sizes that these events name, in their order."""
    return tuple(each.size for each in rescales)


def _broken_load(run: Run) -> Iterator[str]:
    for lane, ways in run.result.charged().items():
        for how, count in ways.items():
            yield f"{count} {lane} requests failed: {how}"
    if run.burst is not None and run.burst.failed:
        yield f"{run.burst.failed} requests of the guide's burst failed"
    if run.account is not None:
        yield from _broken_account(run.account)


def _broken_account(account: Account) -> Iterator[str]:
    if lost := len(account.lost):
        yield f"{lost} acknowledged documents are lost: {account.lost}"
    if doubled := len(account.doubled):
        yield f"{doubled} documents are in the database more than once: {account.doubled}"
    if unexplained := len(account.unexplained):
        yield f"{unexplained} documents are there that no answer speaks of: {account.unexplained}"


def _missed_load(run: Run) -> Iterator[str]:
    result = run.result
    yield from _turned_away(run)
    span = result.full_load or 1
    rates: tuple[tuple[str, float], ...] = (
        ("offered", result.offered_at_full / span),
        ("achieved", (result.done_at_full + result.failed) / span),
    )
    for word, rate in rates:
        if rate < LEAST_RATE * _UNTRUE:
            yield f"{rate:.1f} requests a second were {word}, of {LEAST_RATE:.0f} at least"
    late = result.late + result.unsent
    if late > MOST_LATE * result.offered:
        yield f"the generator fell behind: it sent {late} of {result.offered} requests late"
    if run.account is None:
        yield "the markers could not be read in the database"
    if len(result.lanes) < LANES:
        yield f"{len(result.lanes)} keep-alive lanes, of {LANES} at least"
    uses = [lane.longest for lane in result.lanes if lane.longest < LEAST_USES]
    if uses:
        yield (
            f"{len(uses)} lanes carried fewer than {LEAST_USES} requests over one connection "
            f"(least: {min(uses)})"
        )


def _turned_away(run: Run) -> Iterator[str]:
    """What was answered as it is told to, or not sent: it says nothing of how well it serves."""
    result = run.result
    if result.denied_from is not None:
        yield (
            f"from second {result.denied_from:.0f} on the service did not take the key any more "
            "(revoked, expired, or not known to the pods that came)"
        )
    elif run.is_cut:
        yield f"the load ended by itself after {result.seconds:.0f} s"
    for lack, count in result.exhausted.items():
        yield f"{count} requests could not be sent, for want of what this machine has: {lack}"
    if limited := result.limited:
        yield (
            f"{limited} requests were more than the service's own limits let through (429): "
            "DEMIJOHN_RATE_PER_KEY, DEMIJOHN_RATE_PER_ADDRESS"
        )


def _undated(run: Run) -> Iterator[str]:
    for ending in run.endings:
        apart = ending.at - ending.since
        if apart > MOST_APART:
            when = f"it is not known when {ending.name} was told to end"
            yield f"{when}: looks were {apart:.1f} s apart"


def _idle_lanes(run: Run) -> Iterator[str]:
    """In use across a pod's end: kept connections got answers shortly before and after."""
    for ending in run.endings:
        idle = sum(not _in_use_across(lane, ending) for lane in run.result.lanes)
        if idle:
            yield f"{idle} lanes were not in use across the end of {ending.name}"


def _in_use_across(lane: LaneUse, ending: Ending) -> bool:
    used = Ranges(lane.seconds)
    was_used = used.overlaps(ending.since - ACROSS, ending.since)
    return was_used and used.overlaps(ending.at, ending.at + ACROSS)


def _no_streams(run: Run) -> Iterator[str]:
    for ending in run.endings:
        if not any(was_open(stream, ending) for stream in run.result.streams):
            yield f"no stream was open when {ending.name} was told to end"
    if _had_none(run.endings):
        yield _NO_STREAM


_NO_STREAM = "no pod had a stream under way, by its own metrics, when it was told to end"


def _had_none(endings: Iterable[Ending]) -> bool:
    known = [ending.streams for ending in endings if ending.streams is not None]
    return bool(known) and not any(known)


def was_open(stream: StreamUse, ending: Ending) -> bool:
    """Whether a stream was being read slowly then, which leaves most of it still to come."""
    lasts = stream.ended - stream.began > ACROSS
    return lasts and stream.began < ending.since and ending.at < stream.fast


Rule = Callable[[Run], Verdict]


def judge(run: Run, rules: tuple[Rule, ...] = (judge_load, judge_endings)) -> Verdict:
    """What all of the rules say of a run."""
    verdict = Verdict()
    for rule in rules:
        verdict = verdict.and_also(rule(run))
    return verdict
