"""No request fails when pods come and go as told; and the drills see it where one does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from demijohn.drill.run import Scene
from demijohn.drill.verdict import Outcome, judge, judge_load
from tests.support.cluster import APP, Cluster
from tests.support.drills import BROKEN, HELD, conclusive_drill, drill, loaded
from tests.support.processes import wait_until

KILL_WORKER = (
    "import os, signal, pathlib\n"
    "for each in pathlib.Path('/proc').glob('[0-9]*'):\n"
    "    if b'demijohn.launcher.worker' in (each / 'cmdline').read_bytes().split(b'\\0'):\n"
    "        os.kill(int(each.name), signal.SIGKILL)\n"
)


def _rollouts(service: Cluster, directory: Path, times: int) -> None:
    ended = conclusive_drill(service, directory, "rollout", "--times", str(times))
    assert ended.code == HELD, ended.said


def _scale_downs(service: Cluster, times: int) -> None:
    """From five replicas to two and up again, under load with streams open."""

    def up_and_down(scene: Scene) -> None:
        for _ in range(times):
            service.scale_limits(5, 5)
            assert scene.wait_until(lambda: scene.now.ready == 5, 120)
            scene.wait(8)
            scene.mark("down")
            service.scale_limits(2, 2)
            assert scene.wait_until(lambda: scene.now.ready == 2 and len(scene.now.pods) == 2, 180)
        scene.wait(6)

    run = loaded(service, up_and_down)
    verdict = judge(run)
    if verdict.outcome is Outcome.INCONCLUSIVE:  # as in conclusive_drill
        print(verdict)
        run = loaded(service, up_and_down)
        verdict = judge(run)
    print(run.result.charged(), run.result.latency, len(run.endings), verdict)
    assert verdict.outcome is Outcome.HELD, verdict
    assert len(run.endings) == 3 * times


@pytest.mark.timeout(900)
def test_two_rollouts(service: Cluster, tmp_path: Path) -> None:
    """`drill rollout` holds twice in a row, by its own way of counting."""
    _rollouts(service, tmp_path, 2)


@pytest.mark.timeout(900)
def test_two_scale_downs(service: Cluster) -> None:
    """Five replicas become two, twice, and no client notices."""
    _scale_downs(service, 2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_rollouts(service: Cluster, tmp_path: Path) -> None:
    """The same, ten times."""
    _rollouts(service, tmp_path, 10)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_scale_downs(service: Cluster) -> None:
    """The same, ten times."""
    _scale_downs(service, 10)


def test_the_load_from_inside(service: Cluster, tmp_path: Path) -> None:
    """`--in-cluster`: the load is a Job of our image, and the Job is gone afterwards."""
    ended = conclusive_drill(
        service, tmp_path, "rollout", "--in-cluster", "--url", "http://flask-service:5000"
    )

    assert ended.code == HELD, ended.said
    assert service.get("jobs")["items"] == []


# Controls: each takes away one thing that the promise rests on, and must be caught.


@pytest.fixture
def changed(service: Cluster) -> Iterator[Callable[..., None]]:
    """Change the Deployment by a patch, as a control needs it; the next test has it as shipped."""

    def change(*operations: dict[str, object]) -> None:
        service.recreate(changed=json.dumps(operations))
        # Whatever its probes say: a drill has to begin well.
        wait_until(lambda: all(map(listens, service.ready(APP))), "every pod listens")

    def listens(pod: Mapping[str, Any]) -> bool:
        return '"listening"' in service.run("logs", f"pod/{pod['metadata']['name']}")

    yield change
    # `apply` leaves alone what the manifest never named: take the whole Deployment anew.
    service.run("delete", "deployment/flask-deployment", "--wait=true")


def _variable(name: str, value: str) -> dict[str, object]:
    path = f"{CONTAINER}/env/-"
    return {"op": "add", "path": path, "value": {"name": name, "value": value}}


def test_control_without_the_drain(
    service: Cluster, changed: Callable[..., None], tmp_path: Path
) -> None:
    """With no drain delay a rollout fails requests, and the drill says so."""
    changed(_variable("DEMIJOHN_DRAIN_DELAY", "0"))

    ended = drill(service, tmp_path, "rollout")

    assert ended.code == BROKEN
    assert "requests failed" in ended.said


CONTAINER = "/spec/template/spec/containers/0"
SLOW_START: dict[str, object] = {
    "op": "add",
    "path": f"{CONTAINER}/command",
    "value": ["sh", "-c", "sleep 4; exec demijohn serve"],
}


@pytest.mark.soak
def test_pods_that_are_slow_to_start(
    service: Cluster, changed: Callable[..., None], tmp_path: Path
) -> None:
    """With the probes as shipped, a slow pod gets no request before it can answer."""
    changed(SLOW_START)

    ended = conclusive_drill(service, tmp_path, "rollout")

    assert ended.code == HELD, ended.said


def test_control_a_pod_that_is_always_ready(
    service: Cluster, changed: Callable[..., None], tmp_path: Path
) -> None:
    """With probes that always say yes, requests reach pods that cannot answer yet: seen."""
    always = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    changed(
        SLOW_START,
        {"op": "replace", "path": f"{CONTAINER}/readinessProbe", "value": always},
        {"op": "remove", "path": f"{CONTAINER}/startupProbe"},
    )

    ended = drill(service, tmp_path, "rollout")

    assert ended.code == BROKEN
    assert "requests failed" in ended.said


def test_control_a_worker_killed(service: Cluster) -> None:
    """A worker that dies of SIGKILL takes its requests and streams along: seen."""

    def kill(scene: Scene) -> None:
        scene.wait(8)
        for pod in service.ready(APP):
            name = pod["metadata"]["name"]
            service.run("exec", name, "--", "python", "-c", KILL_WORKER)
        scene.wait(5)

    run = loaded(service, kill)

    print(run.result.charged())
    assert judge(run, (judge_load,)).outcome is Outcome.BROKEN
    assert run.account is not None
    assert not run.account.lost


def _is_another(service: Cluster, victim: Mapping[str, Any], restarts: int) -> bool:
    """Whether its container was started again, or another pod has come for it."""
    uids = [pod["metadata"]["uid"] for pod in service.pods(APP)]
    return victim["metadata"]["uid"] not in uids or service.restarts(APP) > restarts


def test_a_pod_killed_under_load(service: Cluster) -> None:
    """What a pod's sudden end costs: what was under way on it, and no acknowledged document."""
    killed: list[float] = []

    def kill(scene: Scene) -> None:
        scene.wait(5)
        victim, before = service.ready(APP)[0], service.restarts(APP)
        scene.mark(f"SIGKILL to {victim['metadata']['name']}")
        service.kill(victim)
        killed.append(scene.generator.clock())
        # It may be unready between two looks only: that it was started again, or another, stays.
        assert scene.wait_until(lambda: _is_another(service, victim, before), 60)
        assert scene.wait_until(lambda: len(service.ready(APP)) == 2, 120)
        scene.wait(5)

    run = loaded(service, kill)
    print(run.result.charged(), run.result.latency, run.account)

    assert run.account is not None
    assert not run.account.lost
    assert not run.account.doubled
    assert 0 < run.result.failed < run.result.offered / 4
    # A stream notices only when nothing has come for ten seconds.
    late = [each for each in run.result.failures if each.second > killed[0] + 15]
    assert not late, "it goes on failing long after the pod is gone"
