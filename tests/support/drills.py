"""Drills as a user runs them, and the engine below them for what no drill does."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demijohn.drill.cluster import read_deployment
from demijohn.drill.kubectl import Kubectl
from demijohn.drill.load import Plan
from demijohn.drill.outcomes import Second
from demijohn.drill.run import Run, Sample, Scene, Setup, under_load
from demijohn.settings import load
from tests.support.cluster import ROOT, Cluster

HELD, BROKEN, INCONCLUSIVE = 0, 1, 3
RATE = 200.0
PATIENCE = 1800


class Quiet:
    """A view that prints the lines that stay, for the log of the tests."""

    def show(self, second: Second | None, sample: Sample | None) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Print it."""
        print(text)


class Ended:
    """A drill that has come to its end."""

    def __init__(self, code: int, said: str, report: Path) -> None:
        """Take its exit code, what it printed and where its report is."""
        self.code = code
        self.said = said
        self.directory = report

    def report(self) -> Any:
        """The report for programs."""
        return json.loads((self.directory / "report.json").read_bytes())


def conclusive_drill(cluster: Cluster, directory: Path, name: str, *options: str) -> Ended:
    """The same, once more where it says itself that it proves nothing.

    So it does where this machine stands still for seconds, and where by chance none of its streams
    was on a pod that was told to end.
    """
    ended = drill(cluster, directory, name, *options)
    return drill(cluster, directory, name, *options) if ended.code == INCONCLUSIVE else ended


def drill(cluster: Cluster, directory: Path, name: str, *options: str) -> Ended:
    """Run `demijohn drill` to its end, whatever that is."""
    report = directory / f"drill-{name}-{uuid.uuid4().hex[:6]}"
    words = ["drill", name, "--url", cluster.url, "--namespace", cluster.namespace]
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "demijohn", *words, "--report", report, *options],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    print(done.stdout)
    return Ended(done.returncode, done.stdout, report)


def loaded(
    cluster: Cluster, action: Callable[[Scene], None], *, rate: float = RATE, streams: bool = True
) -> Run:
    """Have something happen under a drill's load, and account for every request."""
    kubectl = Kubectl(namespace=cluster.namespace)
    setup = Setup(kubectl, read_deployment(kubectl), load({}), Quiet())
    plan = Plan(
        url=cluster.url,
        run=uuid.uuid4().hex[:12],
        rate=rate,
        highest=rate,
        lowest=rate,
        has_streams=streams,
    )
    return under_load(setup, plan, action)
