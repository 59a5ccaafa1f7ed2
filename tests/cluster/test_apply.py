"""What `kubectl apply` makes of the manifests, from nothing and from the copied guide's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.cluster import APP, DATABASE, OVERLAY, Cluster, RefusedError, restricted_pod
from tests.support.guide_files import BASE, IN_THE_GUIDES_ORDER, copied_deployment, with_stand_in
from tests.support.processes import wait_until
from tests.support.together import beside

KINDS = (
    "deployment/flask-deployment",
    "service/flask-service",
    "statefulset/mongodb",
    "service/mongodb",
    "hpa/flask-hpa",
)
SETTINGS = BASE.parent / "overlays" / "local" / "flask-settings.yaml"


@pytest.fixture(scope="module")
def empty() -> Iterator[Cluster]:
    """A namespace of this module's own, before the one of the other tests takes the node port."""
    cluster = Cluster("demijohn-apply").created()
    yield cluster
    cluster.deleted()


def _specs(cluster: Cluster) -> dict[str, Any]:
    return {kind: cluster.get(kind)["spec"] for kind in KINDS}


@contextmanager
def _fewest_ready(cluster: Cluster, label: str) -> Iterator[list[int]]:
    """The numbers of ready pods that were seen, one after another."""
    seen: list[int] = []

    def watch(is_over: threading.Event) -> None:
        while not is_over.is_set():
            seen.append(len(cluster.ready(label)))

    with beside(watch):
        yield seen


def test_five_files_in_the_guides_order_and_one_overlay_are_the_same(empty: Cluster) -> None:
    """The guide's five `kubectl apply -f` and `apply -k` end in the same live objects."""
    empty.create_secret()
    empty.run("apply", "-f", str(SETTINGS))
    for name in IN_THE_GUIDES_ORDER:
        empty.run("apply", "-f", "-", given=with_stand_in(BASE / name))
    empty.settle()
    empty.wait_for_replicas(2)
    one_by_one = _specs(empty)

    empty.run("apply", "-k", str(OVERLAY))

    at_once = _specs(empty)
    # The one difference that the tests' overlay makes on purpose.
    for specs in (one_by_one, at_once):
        del specs["hpa/flask-hpa"]["behavior"]["scaleDown"]
    assert at_once == one_by_one
    assert len(empty.ready(DATABASE)) == 1


def test_coming_from_the_copied_guide_drops_no_replica(empty: Cluster) -> None:
    """Once `replicas` is out of the last-applied record, `apply` leaves the five pods alone."""
    empty.run("delete", "deployment/flask-deployment", "--wait=true")
    empty.hasten_to_replicas(0)
    empty.apply(copied_deployment(replicas=2))
    empty.run("scale", "deployment/flask-deployment", "--replicas=5")
    empty.scale_limits(5, 5)
    empty.settle()
    empty.wait_for_replicas(5)

    with _fewest_ready(empty, APP) as seen:
        empty.run_in_shell(
            "KUBE_EDITOR=\"sed -i '/^ *replicas:/d'\""
            " kubectl apply edit-last-applied deployment/flask-deployment"
        )
        empty.run("apply", "-f", str(BASE / "flask-deployment.yaml"))
        empty.settle()

    assert min(seen) >= 5
    container = empty.get("deployment/flask-deployment")["spec"]["template"]["spec"]["containers"]
    assert "FLASK_ENV" not in str(container)


def test_without_that_step_it_does(empty: Cluster) -> None:
    """The control: a plain `apply` over the copied guide's record takes pods away."""
    empty.run("delete", "deployment/flask-deployment", "--wait=true")
    empty.hasten_to_replicas(0)
    empty.apply(copied_deployment(replicas=2))
    empty.run("scale", "deployment/flask-deployment", "--replicas=5")
    empty.settle()
    empty.wait_for_replicas(5)

    with _fewest_ready(empty, APP) as seen:
        empty.run("apply", "-f", str(BASE / "flask-deployment.yaml"))
        wait_until(lambda: min(seen, default=5) < 5, "pods go")


def test_a_privileged_pod_is_refused(empty: Cluster) -> None:
    """The namespace is held to `restricted`, so that our pods run there proves that they comply."""
    pod = restricted_pod("privileged", ["true"])
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}

    with pytest.raises(RefusedError, match='violates PodSecurity "restricted'):
        empty.apply(pod)


def test_passwords_cannot_be_made_twice(empty: Cluster) -> None:
    """Neither `create` nor `apply` puts new passwords over those that the database knows."""
    before = empty.get("secret/flask-mongodb-auth")["data"]

    with pytest.raises(RefusedError, match="already exists"):
        empty.create_secret()
    with pytest.raises(RefusedError, match="immutable"):
        empty.create_secret("apply")

    assert empty.get("secret/flask-mongodb-auth")["data"] == before
