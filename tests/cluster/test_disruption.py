"""What breaks a pod or asks for its end, and what that costs."""

from __future__ import annotations

import json

import pytest

from tests.support.api import Api
from tests.support.cluster import APP, Cluster, RefusedError
from tests.support.processes import wait_until


def _evict(cluster: Cluster, name: str) -> None:
    """Ask by the Eviction API, as `kubectl drain` does. Raises RefusedError on a 429."""
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{name}/eviction"
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": cluster.namespace},
    }
    cluster.run("create", "--raw", path, "-f", "-", given=json.dumps(eviction))


def _wait_for_budget(cluster: Cluster, pods: int) -> None:
    """Wait until the budget knows that all of so many pods are well, and that one may go."""

    def is_known() -> bool:
        status = cluster.get("pdb/flask-pdb")["status"]
        known = (status["expectedPods"], status["currentHealthy"], status["disruptionsAllowed"])
        return known == (pods, pods, 1)

    wait_until(is_known, "the budget knows of all pods")


def _names(cluster: Cluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.ready(APP)]


def test_evictions_come_one_at_a_time(service: Cluster) -> None:
    """Of five ready pods one may go; the next is a 429 until the first is replaced."""
    service.scale_limits(5, 5)
    service.wait_for_replicas(5)
    _wait_for_budget(service, 5)
    first, second, *_ = _names(service)

    _evict(service, first)
    with pytest.raises(RefusedError, match="disruption budget"):
        _evict(service, second)

    service.wait_for_replicas(5)
    _wait_for_budget(service, 5)
    _evict(service, second)


def test_a_bad_image_takes_nothing_down(service: Cluster) -> None:
    """A version that cannot start stands beside the old pods, which go on answering."""
    before = set(_names(service))
    bad = "flask-app=flask-mongodb-app:0.0.0-not-there"

    service.run("set", "image", "deployment/flask-deployment", bad)
    wait_until(lambda: len(service.pods(APP)) == len(before) + 1, "the new pod is tried")
    wait_until(lambda: _waits_for_image(service), "its image is missed")

    assert set(_names(service)) == before
    assert Api(service.url).get("/").status == 200
    service.run("rollout", "undo", "deployment/flask-deployment")
    service.settle()
    assert set(_names(service)) == before


def _waits_for_image(cluster: Cluster) -> bool:
    reasons = [
        status["state"].get("waiting", {}).get("reason")
        for pod in cluster.pods(APP)
        for status in pod["status"].get("containerStatuses", [])
    ]
    return bool({"ErrImagePull", "ImagePullBackOff"} & set(reasons))
