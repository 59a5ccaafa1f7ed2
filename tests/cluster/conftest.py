"""Fixtures: a namespace of the current cluster, the service deployed in it as the guide says."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.cluster import OVERLAY, Cluster

COMPANY = ("test_registry", "test_manifests", "test_image")
"""Tests that others may run beside: no node port, and no namespace but their own. In this order:
the guide builds the image again, which what is pushed must not meet."""
ALONE = ("test_autoscale", "test_drill_keys", "test_outage", "test_rollout")
"""Tests of what holds under load: they have the machine to themselves."""


class TwoGroups(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Tests that may have company in one process (xdist), all others in another."""

    def _split_scope(self, nodeid: str) -> str:
        return "company" if Path(nodeid.partition("::")[0]).stem in COMPANY else "the others"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TwoGroups:
    """Distribute tests by the two groups."""
    return TwoGroups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what runs alone: until then, there is company."""
    place = {name: at for at, name in enumerate((*COMPANY, "", *ALONE))}
    items.sort(key=lambda item: place.get(item.path.stem, len(COMPANY)))


@pytest.fixture(autouse=True)
def _in_its_place(request: pytest.FixtureRequest) -> None:
    if request.path.stem in COMPANY:
        request.getfixturevalue("_in_company")
    elif request.path.stem in ALONE:
        request.getfixturevalue("_alone")


@pytest.fixture(scope="session")
def _in_company(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[None]:
    """Until all of these tests in this process are over."""
    with _company(tmp_path_factory, worker_id) as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def _alone(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    """Wait for the end of those that have company."""
    with _company(tmp_path_factory, worker_id) as file:
        fcntl.lockf(file, fcntl.LOCK_EX)


def _company(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> IO[bytes]:
    """The file that is locked while tests run that may have company."""
    ours = tmp_path_factory.getbasetemp()
    # POSIX locks are a process's: where there is one process, nobody waits for himself.
    return (ours / "company" if worker_id == "master" else ours.parent / "company").open("ab")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """An empty namespace. `make test-cluster` brings up a cluster where none is given."""
    assert shutil.which("kubectl"), "kubectl is needed: `make test-cluster` brings its own"
    assert os.environ.get("CLUSTER_LOAD"), "start this by `make test-cluster`"
    cluster = Cluster("demijohn-test").created()
    yield cluster
    cluster.deleted()


@pytest.fixture(scope="session")
def _deployed(cluster: Cluster) -> Cluster:
    cluster.create_secret()
    cluster.deploy()
    return cluster


@pytest.fixture
def service(_deployed: Cluster) -> Cluster:
    """The service as shipped, whatever the test before did to it, and held at two replicas.

    Held, so that the load of one test is not the autoscaling of the next.
    """
    _deployed.run("apply", "-k", str(OVERLAY))
    _deployed.scale_limits(2, 2)
    _deployed.rolled_out()
    _deployed.hasten_to_replicas(2)
    _deployed.forget_connections()
    return _deployed
