"""The guide's part 2, followed as it stands on a real cluster, in a namespace of its own.

The copy of the checkout that it is followed in differs in two places: the database's image is the
stand-in, and the node port is another one, since a cluster has each of them once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import copy_of_checkout, readers_environ
from tests.support.cluster import NODE_PORT, ROOT, Cluster
from tests.support.database import free_port
from tests.support.guide_files import with_stand_in
from tests.support.guide_reader import Reader
from tests.support.guide_script import Part, commands, read

GUIDE = ROOT / "docs" / "guide.md"
PART_2 = [part for part in read(GUIDE) if part.chapter == 2]
OTHER_NODE_PORT = 30599
PATIENCE = 300
"""Seconds until a command that waits for pods counts as hung."""
SECRET = "secret/flask-mongodb-auth"


class Desk:
    """What a reader of part 2 sits at: a working copy, kubectl's context, images, the cluster."""

    def __init__(self, home: Path, cluster: Cluster, elsewhere: Cluster) -> None:
        """Take a directory and two namespaces that nobody else uses."""
        self.copy = copy_of_checkout(ROOT, home / "demijohn")
        self._home = home
        self._cluster = cluster
        self._elsewhere = elsewhere
        self._environ = readers_environ(home) | {"DOCKER_SCAN_SUGGEST": "false"}
        for program in ("kubectl", "docker"):
            found = shutil.which(program)
            assert found, f"{program} is needed: `make test-cluster` brings its own"
            (home / "programs" / program).symlink_to(found)
        for manifest in sorted((self.copy / "deploy").rglob("*.yaml")):
            text = with_stand_in(manifest).replace(str(NODE_PORT), str(OTHER_NODE_PORT))
            manifest.write_text(text, encoding="utf-8")

    def reader(self) -> Reader:
        """Somebody who sits down at it."""
        return Reader(
            self.copy,
            self._environ | {"KUBECONFIG": str(self._context(self._cluster))},
            here={
                f"127.0.0.1:{NODE_PORT}": f"{self._cluster.node}:{OTHER_NODE_PORT}",
                str(NODE_PORT): str(OTHER_NODE_PORT),
                "8080": str(free_port()),
                "namespace default": f"namespace {self._cluster.namespace}",
                "namespace/default": f"namespace/{self._cluster.namespace}",
                "default.svc": f"{self._cluster.namespace}.svc",
            },
            stand_ins={"build": self._build, "load": self._load, "elsewhere": self._twin},
            patience=PATIENCE,
        )

    def _context(self, cluster: Cluster) -> Path:
        """Kubectl's configuration as it is, but for the namespace."""
        path = self._home / f"{cluster.namespace}.kubeconfig"
        path.write_text(cluster.run("config", "view", "--raw", "--flatten"), encoding="utf-8")
        cluster.run(
            f"--kubeconfig={path}",
            *("config", "set-context", "--current"),
            f"--namespace={cluster.namespace}",
        )
        return path

    def _build(self, part: Part) -> None:
        """Build with whatever base image is to be had: CLUSTER_BUILD says how."""
        options = os.environ.get("CLUSTER_BUILD", "")
        for command in commands(part.body):
            self._done(
                command.text.replace("docker build", f"docker build -q {options}"), self.copy
            )

    def _load(self, part: Part) -> None:
        """Hand the images to this cluster in its own way."""
        for command in commands(part.body):
            self._done(f"{os.environ['CLUSTER_LOAD']} {command.text.split()[-1]}", ROOT)

    def _done(self, script: str, directory: Path) -> None:
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{script}:\n{done.stdout}{done.stderr}"

    def _twin(self, part: Part) -> None:
        """Make the Secret by kubectl alone, in another namespace: it must be like the first."""
        (self._home / "elsewhere").mkdir()
        other = Reader(
            self._home / "elsewhere",
            self._environ | {"KUBECONFIG": str(self._context(self._elsewhere))},
            here={},
            stand_ins={},
            patience=PATIENCE,
        )
        for command in commands(part.body):
            other.run(command)
        assert _form(self._elsewhere.get(SECRET)) == _form(self._cluster.get(SECRET))


def _form(secret: Any) -> dict[str, Any]:
    """What two Secrets have to have in common: all but the random values and their length."""
    return {
        "keys": sorted(secret["data"]),
        "immutable": secret.get("immutable"),
        "type": secret["type"],
    }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk; what it has in the cluster is gone after the test."""
    cluster, elsewhere = Cluster("demijohn-guide"), Cluster("demijohn-guide-elsewhere")
    level = "pod-security.kubernetes.io/enforce-"
    # As a reader's own namespace is, so that the guide's question about the level means something.
    cluster.created().run("label", "namespace", cluster.namespace, level)
    elsewhere.created()
    try:
        yield Desk(tmp_path, cluster, elsewhere)
    finally:
        cluster.deleted()
        elsewhere.deleted()


@pytest.mark.timeout(900)
def test_part_2_works_as_it_stands(desk: Desk) -> None:
    """A reader who types every command of part 2, in its order, sees what it shows."""
    reader = desk.reader()
    try:
        reader.follow_all(GUIDE, PART_2)
    finally:
        reader.leave()


def test_what_is_left_to_other_tests_is_there() -> None:
    """Where the guide says that another test runs a command, that test exists."""
    markers = " ".join(part.marker for part in PART_2)
    named = set(re.findall(r"tests/cluster/\w+\.py", markers))

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
