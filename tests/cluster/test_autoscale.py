"""The guide's scenarios, by the drills: 2, 5 and 2 replicas again; documents in and out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.cluster import ROOT, Cluster
from tests.support.drills import BROKEN, HELD, conclusive_drill, drill

METRICS = "apiservice/v1beta1.metrics.k8s.io"


@pytest.mark.timeout(900)
def test_two_five_two(service: Cluster, tmp_path: Path) -> None:
    """`drill autoscale` on `/data`, with the target and requests as shipped and short windows."""
    service.scale_limits(2, 5)

    ended = conclusive_drill(service, tmp_path, "autoscale", "--timeout", "600")

    assert ended.code == HELD, ended.said
    shown = {each.suffix for each in ended.directory.iterdir()}
    assert shown == {".md", ".json", ".svg"}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_five_two_with_the_windows_as_shipped(service: Cluster, tmp_path: Path) -> None:
    """The same with the HPA of deploy/base, untouched: a quarter of an hour."""
    service.run("apply", "-f", str(ROOT / "deploy" / "base" / "hpa.yaml"))

    ended = conclusive_drill(service, tmp_path, "autoscale", "--timeout", "1800")

    assert ended.code == HELD, ended.said


@pytest.fixture
def _without_metrics(service: Cluster) -> Iterator[None]:
    """The metrics API is taken away, and put back."""
    kept = service.get(METRICS)
    for name in ("resourceVersion", "uid", "creationTimestamp", "managedFields"):
        kept["metadata"].pop(name, None)
    kept.pop("status", None)
    service.run("delete", METRICS)
    yield
    service.run("create", "-f", "-", given=yaml.safe_dump(kept))


@pytest.mark.usefixtures("_without_metrics")
def test_control_without_the_metrics_api(service: Cluster, tmp_path: Path) -> None:
    """It stops at once and says how to get it, where the HPA would have nothing to go by."""
    service.scale_limits(2, 5)

    ended = drill(service, tmp_path, "autoscale")

    assert ended.code == BROKEN
    assert "metrics-server" in ended.said
    assert not ended.directory.exists()


def test_documents_are_in_the_database_itself(service: Cluster, tmp_path: Path) -> None:
    """`drill data`: what the API took and shows is what another client reads in the database."""
    ended = drill(service, tmp_path, "data")

    assert ended.code == HELD, ended.said


@pytest.mark.soak
def test_a_load_too_light_proves_nothing(service: Cluster, tmp_path: Path) -> None:
    """A rollout under less than 200 requests a second is inconclusive, not held."""
    ended = drill(service, tmp_path, "rollout", "--rate", "20")

    assert ended.code == 3, ended.said
