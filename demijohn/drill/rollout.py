"""`drill rollout`: a rolling restart under load loses no request and no document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from demijohn.drill.load import Plan
from demijohn.drill.run import Run, Scene, Setup, under_load
from demijohn.drill.verdict import Verdict, judge, judge_each, judge_load, judge_rollouts

BEFORE, AFTER = 12.0, 12.0
"""Seconds of load before the first restart and after the last: streams get going, and at the least
rate each lane's connection carries the requests that the verdict asks for."""
_GONE_WITHIN = 120.0
_SLOWER = 10.0
"""Seconds that kubectl gets to say that a rollout took too long."""


@dataclass(slots=True)
class Rolled:
    """How far the rollouts came."""

    done: int = 0
    begun: list[float] = field(default_factory=list)
    """When each began, by the load's clock."""


def drill_rollout(setup: Setup, plan: Plan, times: int, timeout: float) -> tuple[Run, Verdict]:
    """Restart the Deployment so many times under load, each within `timeout` seconds."""
    rolled = Rolled()
    run = under_load(setup, plan, rolling(times, timeout, rolled))
    if run.is_cut:
        return run, judge_load(run)
    ended = judge_rollouts(rolled.done, times, run.uids_before, run.uids_after)
    return run, judge(run).and_also(ended).and_also(judge_each(run, rolled.begun))


def longest(times: int, timeout: float) -> float:
    """Seconds of load that so many rollouts take at most."""
    return BEFORE + times * (timeout + _SLOWER + _GONE_WITHIN) + AFTER


def rolling(times: int, timeout: float, rolled: Rolled) -> Callable[[Scene], None]:
    """The action: the restarts, one after another; it ends early where one does not come through.

    `rolled` counts those that did.
    """

    def action(scene: Scene) -> None:
        scene.wait(BEFORE)
        for number in range(1, times + 1):
            scene.mark(f"rollout {number} of {times} begins")
            rolled.begun.append(scene.generator.clock())
            if not _roll(scene, timeout):
                scene.mark(f"rollout {number} did not come to an end within {timeout:.0f} s")
                break
            rolled.done += 1
            scene.mark(f"rollout {number} is done, and its old pods are gone")
        scene.wait(AFTER)

    return action


def _roll(scene: Scene, timeout: float) -> bool:
    kubectl = scene.setup.kubectl
    name = f"deployment/{scene.setup.deployment.name}"
    old = {pod.uid for pod in scene.now.pods}
    kubectl.run("rollout", "restart", name)
    status = kubectl.start("rollout", "status", name, f"--timeout={timeout:.0f}s")
    try:
        scene.wait_until(lambda: status.poll() is not None, timeout + _SLOWER)
    finally:
        status.kill()
        status.communicate()
    if status.returncode != 0:
        return False
    return scene.wait_until(lambda: not _still_there(scene, old), _GONE_WITHIN)


def _still_there(scene: Scene, uids: set[str]) -> set[str]:
    return {pod.uid for pod in scene.now.pods} & uids
