"""The manifests before an API server that stores nothing, and before linters that others wrote."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.cluster import NODE_PORT, Cluster, RefusedError
from tests.support.guide_files import BASE, IN_THE_GUIDES_ORDER, copied_deployment
from tests.support.lab import lab_tool
from tests.support.manifests import LOCAL, POLICIES, ROOT

REASONS = {
    ("*", "Container Image Pull Policy"): "a cluster of one's own has no registry to pull from",
    ("*", "Container Ephemeral Storage Request and Limit"): "what can be written is a volume "
    "with a size limit of its own; the root file systems are read-only",
    ("Deployment/flask-deployment", "Deployment has host PodAntiAffinity"): "the topology spread "
    "constraint says it more gently: a cluster of one node runs all five",
    ("Service/flask-service", "Service Type"): "the guide's way in is a node port",
    ("StatefulSet/mongodb", "Container Security Context User Group ID"): "999 is the user that "
    "MongoDB's image makes, and that owns its files",
    ("StatefulSet/mongodb", "Container Resources"): "no CPU limit: what the service waits for is "
    "not to be throttled while the node has time to spare",
}
"""What kube-score finds and is meant to be so, by object and check, each with its reason."""


@pytest.fixture(scope="module")
def empty() -> Iterator[Cluster]:
    """A namespace at the level `restricted`, which also warns of what makes other pods."""
    cluster = Cluster("demijohn-manifests").created()
    level = "pod-security.kubernetes.io/warn=restricted"
    cluster.run("label", "namespace", cluster.namespace, level)
    yield cluster
    cluster.deleted()


def _dry_run(cluster: Cluster, manifests: str) -> list[str]:
    """The names that the API server would take; strictly, and with no warning."""
    # A node port is the whole cluster's, and other tests have their service on this one.
    elsewhere = manifests.replace(f"nodePort: {NODE_PORT}", f"nodePort: {NODE_PORT + 1}")
    how = ("--dry-run=server", "--validate=strict", "--warnings-as-errors", "--output=name")
    return cluster.run("apply", *how, "-f", "-", given=elsewhere).splitlines()


def _all(cluster: Cluster, directory: Path) -> str:
    """The local overlay with the network policy component, as one would list it."""
    listed = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(LOCAL, directory)],
        "components": [os.path.relpath(POLICIES.parent, directory)],
    }
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(listed))
    return cluster.run("kustomize", str(directory))


@pytest.mark.parametrize("name", IN_THE_GUIDES_ORDER)
def test_each_of_the_guides_files_is_taken_alone(empty: Cluster, name: str) -> None:
    """By a real API server: no name that it does not know, and no warning."""
    assert len(_dry_run(empty, (BASE / name).read_text(encoding="utf-8"))) == 1


def test_the_overlay_is_taken_with_its_component(empty: Cluster, tmp_path: Path) -> None:
    """All of it at once: five files, settings, budgets and network policies."""
    taken = _dry_run(empty, _all(empty, tmp_path.resolve()))

    assert sorted(taken) == [
        "configmap/flask-settings",
        "deployment.apps/flask-deployment",
        "horizontalpodautoscaler.autoscaling/flask-hpa",
        "networkpolicy.networking.k8s.io/dns",
        "networkpolicy.networking.k8s.io/flask-app",
        "networkpolicy.networking.k8s.io/mongodb",
        "poddisruptionbudget.policy/flask-pdb",
        "poddisruptionbudget.policy/mongodb-pdb",
        "service/flask-service",
        "service/mongodb",
        "statefulset.apps/mongodb",
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("maxUnavailable", "maxUnavailabel", "unknown field"),
        ("{drop: [ALL]}", "{drop: [NET_RAW]}", "PodSecurity"),
    ],
)
def test_a_slip_would_be_refused(empty: Cluster, old: str, new: str, fault: str) -> None:
    """The control: a misspelt name, and a container that its namespace would not run."""
    text = (BASE / "flask-deployment.yaml").read_text(encoding="utf-8")
    assert old in text

    with pytest.raises(RefusedError, match=fault):
        _dry_run(empty, text.replace(old, new))


def _findings(manifests: str) -> set[tuple[str, str]]:
    """What kube-score finds, as object and check."""
    optional = ("container-seccomp-profile", "container-ports-check")
    done = subprocess.run(
        [
            *(
                lab_tool("kube-score"),
                "score",
                "--output-format=json",
                "--kubernetes-version=v1.34",
            ),
            *(f"--enable-optional-test={name}" for name in optional),
            "-",
        ],
        input=manifests,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return {
        (f"{each['type_meta']['kind']}/{each['object_meta']['name']}", check["check"]["name"])
        for each in json.loads(done.stdout)
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < 10
    }


def test_kube_score_finds_what_is_meant_to_be_so(empty: Cluster, tmp_path: Path) -> None:
    """Nothing beyond the list of exceptions above, and each of these is still needed."""
    found = _findings(_all(empty, tmp_path.resolve()))

    everywhere = {check for where, check in REASONS if where == "*"}
    assert {each for each in found if each[1] not in everywhere} == {
        each for each in REASONS if each[0] != "*"
    }
    assert everywhere <= {check for _, check in found}


def test_kube_score_finds_fault_with_the_copied_guide() -> None:
    """The control: it looks, and finds what is missing there."""
    checks = {check for _, check in _findings(yaml.safe_dump(copied_deployment(2)))}

    assert checks >= {"Container Security Context ReadOnlyRootFilesystem", "Pod NetworkPolicy"}


def _load_compose(path: Path) -> subprocess.CompletedProcess[str]:
    command = [lab_tool("compose-go"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_compose_takes_its_file() -> None:
    """Docker Compose's own loader reads compose.yaml: its schema, its types, its references."""
    done = _load_compose(ROOT / "compose.yaml")

    assert done.returncode == 0, done.stderr
    loaded = yaml.safe_load(done.stdout)["services"]
    (port,) = loaded["flask-app"]["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "5000", 5000)
    assert set(loaded) == {"flask-app", "mongodb"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("read_only: true", "readonly: true"),
        ("period: 35s", "period: soon"),
        ("- mongo-", "- my-"),
        ("mongodb: {cond", "mongo: {cond"),
    ],
)
def test_compose_would_refuse_a_slip(tmp_path: Path, old: str, new: str) -> None:
    """The control: a name, a duration, a volume and a service that there are not."""
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "compose.yaml").write_text(text.replace(old, new))

    assert _load_compose(tmp_path / "compose.yaml").returncode != 0
