"""The key of a drill whose load is a Job: through the real kubectl, and in none of its objects.

What a drill does with a key, and without one, is for tests/process/test_drill_keys; the guide has
one on a cluster that asks for it.
"""

from __future__ import annotations

import uuid

from demijohn.drill.access import SCOPE
from demijohn.drill.cluster import read_deployment
from demijohn.drill.generator import InCluster
from demijohn.drill.job import LABEL, URL
from demijohn.drill.kubectl import Kubectl
from demijohn.drill.load import Plan
from demijohn.drill.run import Scene, Setup, under_load
from demijohn.settings import load
from tests.support.cluster import Cluster
from tests.support.drills import Quiet
from tests.support.keys import new_key


def test_a_jobs_load_gets_its_key_and_no_object_has_it(service: Cluster) -> None:
    """It begins once the key is there; what the cluster shows of it and logs is without the key."""
    key = new_key(SCOPE)[1]
    kubectl = Kubectl(namespace=service.namespace)
    deployment = read_deployment(kubectl)
    inside = InCluster(kubectl, deployment.image, 120)
    setup = Setup(kubectl, deployment, load({}), Quiet(), inside)
    plan = Plan(URL, uuid.uuid4().hex[:12], 50, 50, 20, key=key)
    shown: list[str] = []

    def look(scene: Scene) -> None:
        scene.wait(1)
        shown.append(service.run("get", "jobs,pods,events,secrets,configmaps", "-o", "yaml"))
        shown.append(service.run("logs", "-l", f"app={LABEL}"))

    run = under_load(setup, plan, look)

    assert (run.result.failed, run.is_cut) == (0, False)
    assert run.result.done > 0
    assert f"{LABEL}-{plan.run}" in shown[0]
    assert "--key-pipe" in shown[0]
    assert '"second"' in shown[1]
    assert key.rpartition("_")[2] not in "".join(shown)
