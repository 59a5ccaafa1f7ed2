"""`drill autoscale`: the guide's scenario 1. Load; 2 → 5 replicas; no load; back to 2."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demijohn.drill.cluster import Hpa, Rescale, measures, read_hpa, read_rescales, since
from demijohn.drill.errors import DrillError
from demijohn.drill.kubectl import Kubectl, KubectlError
from demijohn.drill.load import GUIDE_CLIENTS, GUIDE_REQUESTS, Plan
from demijohn.drill.outcomes import Burst
from demijohn.drill.run import Run, Sample, Scene, Setup, ask_first, under_load
from demijohn.drill.verdict import Scaling, Verdict, judge_load, judge_scaling, sizes_of

STEP_EVERY = 15.0
"""Seconds between two steps up: how often the autoscaler looks, by Kubernetes' default."""
TOLERANCE = 1.1
"""The autoscaler does nothing within a tenth of its target (its default tolerance)."""
_METRICS_WITHIN = 120.0
LONGEST_WAIT = 3600.0
"""Seconds that the drill waits at most for an autoscaler to be at its least by itself."""
_POLL = 2.0
_TRIES = 10
_AFTER = 5.0
_A_MINUTE = 60.0
_READY_WITHIN = 120.0
"""Seconds that a pod which is asked for may take until it is ready."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """What the drill gave."""

    run: Run
    verdict: Verdict
    scaling: Scaling


@dataclass(slots=True)
class _Way:
    """How far the action came, and when."""

    to_most: float | None = None
    pressed: bool = False
    is_back: bool = False
    had_time: bool = True


def drill_autoscale(setup: Setup, plan: Plan, timeout: float) -> Scaled:
    """Have the autoscaler go to its most and back within `timeout` seconds of load.

    Raises DrillError at once where there is no autoscaler or no metrics API.
    """
    hpa = read_hpa(setup.kubectl)
    if hpa.least >= hpa.most:
        raise DrillError(f"The autoscaler has nothing to do: it goes from {hpa.least} to itself.")
    _wait_for_metrics(setup)
    if hpa.replicas != hpa.least:
        setup.view.say(f"Waiting until there are {hpa.least} replicas; there are {hpa.replicas}.")
        ask_first(setup, plan)
    _wait_for_least(setup, hpa, max(timeout, min(hpa.scale_down, LONGEST_WAIT)))
    before = read_rescales(setup.kubectl)
    way = _Way()
    run = under_load(setup, plan, _scaling(hpa, timeout, way))
    rescales = since(before, _events_after(setup.kubectl))
    scaling = _seen(hpa, run.samples, rescales, way)
    verdict = judge_load(run)
    if not run.is_cut:
        verdict = verdict.and_also(judge_scaling(scaling))
    return Scaled(run, verdict, scaling)


def _events_after(kubectl: Kubectl) -> list[Rescale]:
    """The events, with patience: a busy API server is no reason to throw the load's result away."""
    for _ in range(_TRIES):
        try:
            return read_rescales(kubectl)
        except KubectlError:
            time.sleep(_POLL)
    return read_rescales(kubectl)


def longest(timeout: float) -> float:
    """Seconds of load that the drill takes at most."""
    return timeout + _AFTER


def _wait_for_metrics(setup: Setup) -> None:
    if measures(setup.kubectl, setup.deployment.selector):
        return
    setup.view.say("Waiting until the metrics API has figures of the pods.")
    deadline = time.monotonic() + _METRICS_WITHIN
    while not measures(setup.kubectl, setup.deployment.selector):
        if time.monotonic() > deadline:
            raise DrillError(
                "The metrics API answers but has no figures of the pods; `kubectl top pods` "
                "shows when it does."
            )
        time.sleep(_POLL)


def _wait_for_least(setup: Setup, hpa: Hpa, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    replicas = hpa.replicas
    while replicas != hpa.least:
        if time.monotonic() > deadline:
            raise DrillError(f"There are still {replicas} replicas; the drill begins at the least.")
        time.sleep(_POLL)
        replicas = read_hpa(setup.kubectl).replicas


def _scaling(hpa: Hpa, timeout: float, way: _Way) -> Callable[[Scene], None]:
    def action(scene: Scene) -> None:
        deadline = time.monotonic() + timeout

        def left() -> float:
            return max(deadline - time.monotonic(), 0)

        _tell_of_burst(scene)
        scene.mark("load begins")
        climb = _Climb(scene, hpa)
        if not scene.wait_until(climb.is_at_top, left()):
            scene.mark(f"{hpa.most} replicas were not reached in time")
            way.pressed = was_pressed(hpa, scene.watch.samples)
            way.had_time = had_time_to_start(hpa, scene.watch.samples)
            return
        way.to_most = scene.generator.clock()
        scene.mark(f"{hpa.most} replicas are ready; the load falls")
        scene.generator.fall()
        way.had_time = left() >= hpa.scale_down
        way.is_back = scene.wait_until(lambda: is_at(scene.now, hpa.least), left())
        scene.mark(f"back to {hpa.least}" if way.is_back else "not back in time")
        scene.wait(_AFTER)

    return action


def is_at(sample: Sample, replicas: int) -> bool:
    """Whether there are so many pods, all ready, by the autoscaler's word too."""
    hpa = sample.hpa
    said = hpa is not None and hpa.replicas == replicas
    return said and sample.ready == len(sample.pods) == replicas


class _Climb:
    """Raises the load step by step while the CPU is below the target."""

    def __init__(self, scene: Scene, hpa: Hpa) -> None:
        self._scene = scene
        self._hpa = hpa
        self._stepped = time.monotonic()

    def is_at_top(self) -> bool:
        """Whether all replicas are ready; if not, ask for more load where that is wanted."""
        sample = self._scene.now
        if sample.ready >= self._hpa.most:
            return True
        waited = time.monotonic() - self._stepped
        if waited >= STEP_EVERY and wants_more(self._hpa, sample.hpa):
            self._stepped = time.monotonic()
            self._scene.generator.step_up()
        return False


def wants_more(limits: Hpa, now: Hpa | None) -> bool:
    """Whether the autoscaler sees too little load to add replicas; not while it sees nothing."""
    known = now is not None and now.utilization is not None
    return known and not is_pressing(limits, now)


def is_pressing(limits: Hpa, now: Hpa | None) -> bool:
    """Whether the autoscaler sees enough load to add replicas."""
    return now is not None and (now.utilization or 0) > limits.target * TOLERANCE


def was_pressed(limits: Hpa, samples: Sequence[Sample]) -> bool:
    """Whether the autoscaler had reason to add replicas for all of the last minute."""
    begin = samples[-1].at - _A_MINUTE
    last = [each for each in samples if each.at > begin]
    return samples[0].at <= begin and all(is_pressing(limits, each.hpa) for each in last)


def had_time_to_start(limits: Hpa, samples: Sequence[Sample]) -> bool:
    """False where all pods were there, but not for so long that each must have become ready."""
    there = [each.at for each in samples if each.wanted >= limits.most]
    return not there or samples[-1].at - there[0] >= _READY_WITHIN


def _tell_of_burst(scene: Scene) -> None:
    if scene.generator.burst is not None:
        scene.setup.view.say(burst_remark(scene.generator.burst))


def burst_remark(burst: Burst) -> str:
    """What the guide's own load test took; and why it scales nothing, where it is so short."""
    took = (
        f"The guide's `hey -n {GUIDE_REQUESTS} -c {GUIDE_CLIENTS}`: {burst.requests} requests by "
        f"{burst.clients} clients were over in {burst.seconds:.2f} s."
    )
    if burst.seconds >= STEP_EVERY:
        return took
    return (
        f"{took} The autoscaler looks each {STEP_EVERY:.0f} s, at CPU figures that are averages "
        f"of {STEP_EVERY:.0f} s and more: it never sees so short a load."
    )


def _seen(hpa: Hpa, samples: list[Sample], rescales: list[Rescale], way: _Way) -> Scaling:
    utilizations = [each.hpa.utilization or 0 for each in samples if each.hpa]
    return Scaling(
        least=hpa.least,
        most=hpa.most,
        target=hpa.target,
        peak_utilization=max(utilizations, default=0),
        peak_ready=max(each.ready for each in samples),
        pressed=way.pressed,
        back=way.is_back,
        had_time=way.had_time,
        sizes=sizes_of(rescales),
        seconds_to_most=way.to_most,
    )
