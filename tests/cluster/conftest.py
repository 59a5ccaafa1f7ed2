"""Fixtures: a namespace of the current cluster, the service deployed in it as the guide says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster


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
    _deployed.deploy()
    _deployed.scale_limits(2, 2)
    _deployed.wait_for_replicas(2)
    return _deployed
