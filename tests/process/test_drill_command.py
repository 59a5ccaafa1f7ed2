"""`demijohn drill` as a user runs it, with the real service and database.

The cluster is a script called `kubectl` that answers from files; whether drills get on with a real
one is for tests/cluster. Here their messages, their exit codes and their whole way count.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.conftest import Starter
from tests.support.client import Ended
from tests.support.database import Database, free_port
from tests.support.service import Service, clean_environ

KUBECTL = r'''
import json, os, pathlib, subprocess, sys, time

here = pathlib.Path(__file__).parent
words = [each for each in sys.argv[1:] if not each.startswith("--request-timeout")]


def fail(message):
    sys.exit(message)


def give(name, otherwise):
    path = here / f"{name}.json"
    print(path.read_text()) if path.exists() else fail(otherwise)


def pods(*kinds):
    items = []
    for name, ending in kinds:
        metadata = {"name": name, "uid": name, **({"deletionTimestamp": "now"} if ending else {})}
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        items.append({"metadata": metadata, "status": status})
    scratch = here / "scratch"
    scratch.write_text(json.dumps({"items": items}))
    scratch.replace(here / "pods.json")


def autoscaler():
    """It goes up and down by how often it has been asked."""
    seen = here / "asked"
    asked = int(seen.read_text()) + 1 if seen.exists() else 1
    seen.write_text(str(asked))
    size, cpu = (5, 90) if 16 < asked < 24 else (2, 20)
    pods(*((f"p{at}", False) for at in range(size)))
    value = json.loads((here / "hpa.json").read_text())
    value["status"]["currentReplicas"] = size
    current = {"name": "cpu", "current": {"averageUtilization": cpu}}
    value["status"]["currentMetrics"] = [{"type": "Resource", "resource": current}]
    print(json.dumps(value))
    sizes = [5] if asked > 16 else []
    sizes += [2] if asked >= 24 else []
    events = [
        {"metadata": {"uid": str(at)}, "message": f"New size: {size}; reason: x",
         "lastTimestamp": str(at)}
        for at, size in enumerate(sizes)
    ]
    (here / "events.json").write_text(json.dumps({"items": events}))


match words:
    case ["get", "deployment", name, *_]:
        give("deployment", f'Error from server (NotFound): deployments.apps "{name}" not found')
    case ["get", "pods", *_]:
        give("pods", "Unable to connect to the server: connection refused")
    case ["get", "pods.v1beta1.metrics.k8s.io", *_]:
        give("metrics", 'error: the server doesn\'t have a resource type "pods"')
    case ["get", "hpa.v2.autoscaling", name, *_]:
        if not (here / "hpa.json").exists():
            fail(f'Error from server (NotFound): hpa "{name}" not found')
        autoscaler()
    case ["get", "events", *_]:
        give("events", "no events")
    case ["get", "secret", name, *_]:
        give("secret", f'Error from server (NotFound): secrets "{name}" not found')
    case ["rollout", "restart", _]:
        pods(("old-0", True), ("old-1", True), ("new-0", False), ("new-1", False))
        subprocess.run(os.environ["ON_RESTART"], shell=True, check=True)
    case ["rollout", "status", *_]:
        time.sleep(3)
        pods(("new-0", False), ("new-1", False))
    case _:
        fail(f"error: unknown: {words}")
'''

DEPLOYMENT = {
    "metadata": {"name": "flask-deployment"},
    "spec": {
        "selector": {"matchLabels": {"app": "flask-app"}},
        "template": {"spec": {"containers": [{"name": "flask-app", "image": "app:1"}]}},
    },
}
CPU = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
HPA = {
    "spec": {
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [{"type": "Resource", "resource": CPU}],
    },
    "status": {},
}
POD = {"metadata": {"name": "old-0", "uid": "old-0"}, "status": {"conditions": []}}


class Cluster:
    """What the script answers from, and drills that use it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._programs = directory / "programs"
        self._programs.mkdir()
        script = self._programs / "kubectl"
        script.write_text(f"#!{sys.executable}\n{KUBECTL}", encoding="utf-8")
        script.chmod(0o755)
        self.on_restart = "true"

    def has(self, **objects: Any) -> None:
        """Put objects into the cluster."""
        for name, value in objects.items():
            (self._programs / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")

    def drill(self, *words: str, uri: str = "", path: str | None = None) -> Ended:
        """Run `demijohn drill`."""
        own = f"{self._programs}:{os.environ['PATH']}"
        settings = {"PATH": path or own, "DEMIJOHN_DRILL_URI": uri, "ON_RESTART": self.on_restart}
        done = subprocess.run(
            [sys.executable, "-m", "demijohn", "drill", *words],
            cwd=self.directory,
            env=clean_environ(settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def stopped(self, number: signal.Signals, *words: str, uri: str) -> Ended:
        """Run it until its first plain line is there, and send it a signal."""
        settings = {"PATH": f"{self._programs}:{os.environ['PATH']}", "DEMIJOHN_DRILL_URI": uri}
        process = subprocess.Popen(
            [sys.executable, "-m", "demijohn", "drill", *words],
            cwd=self.directory,
            env=clean_environ({**settings, "PYTHONUNBUFFERED": "1"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=100)
        return Ended(process.returncode, first + out, err)

    def report(self) -> dict[str, Any]:
        """The report for programs."""
        text = (self.directory / "drill-report" / "report.json").read_text(encoding="utf-8")
        value: dict[str, Any] = json.loads(text)
        return value


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster with nothing in it."""
    return Cluster(tmp_path)


@pytest.fixture
def served(database: Database, own_service: Starter) -> Iterator[Service]:
    """The service with an empty collection, which drills must leave empty."""
    with MongoClient[dict[str, Any]](database.uri) as client:
        documents = client["flask_db"]["data"]
        documents.delete_many({})
        yield own_service({"MONGODB_URI": database.uri})
        assert documents.count_documents({}) == 0


@pytest.mark.parametrize("name", ["autoscale", "rollout", "data"])
def test_without_kubectl_it_says_so(cluster: Cluster, name: str) -> None:
    """Exit code 1, where to get it, and no traceback."""
    ended = cluster.drill(name, path=str(cluster.directory))

    assert ended.code == 1
    assert "there is no command 'kubectl' here" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", ["autoscale", "rollout"])
def test_without_the_deployment_it_says_so(cluster: Cluster, name: str) -> None:
    """It names what is missing and where else to look."""
    ended = cluster.drill(name)

    assert (ended.code, ended.out) == (1, "")
    assert "no Deployment flask-deployment" in ended.err


def test_without_the_autoscaler_it_says_so(cluster: Cluster) -> None:
    """It names the manifest."""
    cluster.has(deployment=DEPLOYMENT)

    ended = cluster.drill("autoscale")

    assert ended.code == 1
    assert "no HorizontalPodAutoscaler flask-hpa" in ended.err
    assert "hpa.yaml" in ended.err


def test_without_the_metrics_api_it_stops_at_once(cluster: Cluster) -> None:
    """No load is made: it says how to get metrics, on Minikube and elsewhere."""
    cluster.has(deployment=DEPLOYMENT, hpa=HPA, pods={"items": [POD]})

    ended = cluster.drill("autoscale", "--url", f"http://127.0.0.1:{free_port()}")

    assert ended.code == 1
    assert "minikube addons enable metrics-server" in ended.err
    assert not (cluster.directory / "drill-report").exists()


def test_without_a_way_to_the_database_no_load_begins(cluster: Cluster) -> None:
    """A drill that can't read its markers afterwards says so before it makes any."""
    cluster.has(deployment=DEPLOYMENT, pods={"items": [POD]})

    ended = cluster.drill("rollout")

    assert ended.code == 1
    assert "No password for demijohnDrill" in ended.err
    assert "DEMIJOHN_DRILL_URI" in ended.err


def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    cluster: Cluster,
) -> None:
    """The message has no part of the URI in it."""
    cluster.has(deployment=DEPLOYMENT, pods={"items": [POD]})
    uri = f"mongodb://drill:geheim@127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=500"

    ended = cluster.drill("rollout", uri=uri)

    assert ended.code == 1
    assert "database" in ended.err
    assert "geheim" not in ended.out + ended.err


def test_a_service_that_is_not_there_ends_the_drill(cluster: Cluster, database: Database) -> None:
    """A load that can't begin is no verdict: exit code 1, with the reason."""
    cluster.has(deployment=DEPLOYMENT, pods={"items": [POD]})
    url = f"http://127.0.0.1:{free_port()}"

    ended = cluster.drill("rollout", "--url", url, uri=database.uri)

    assert ended.code == 1
    assert f"{url}/data takes no documents: refused" in ended.err


@pytest.mark.parametrize("words", [["rollout", "--times", "0"], ["data", "--url", "nowhere"]])
def test_wrong_options_are_usage(cluster: Cluster, words: list[str]) -> None:
    """Exit code 2."""
    assert cluster.drill(*words).code == 2


def test_data_is_in_the_database_itself(
    cluster: Cluster, served: Service, database: Database
) -> None:
    """`drill data` holds, needs no cluster where the database is named, and leaves nothing."""
    ended = cluster.drill("data", "--url", served.url, uri=database.uri)

    assert ended.code == 0, ended.out + ended.err
    assert "GET /data through the service" in ended.out
    assert "5 of 5 equal, 5 found" in ended.out
    assert cluster.report()["verdict"] == "held"


def test_data_of_another_database_does_not_hold(
    cluster: Cluster, served: Service, database: Database, own_database: Database
) -> None:
    """The control: the documents are looked for where they are not."""
    ended = cluster.drill("data", "--url", served.url, uri=own_database.uri)
    with MongoClient[dict[str, Any]](database.uri) as client:
        client["flask_db"]["data"].delete_many({})

    assert ended.code == 1
    assert "the database, read by the drill's own user: 0 of 5 equal" in ended.out


def test_a_rollout_that_nobody_notices_holds(
    cluster: Cluster, served: Service, database: Database
) -> None:
    """The whole way of `drill rollout`: load, restart, markers, report, exit code 0."""
    cluster.has(deployment=DEPLOYMENT, pods={"items": [POD]})

    ended = cluster.drill("rollout", "--url", served.url, uri=database.uri)

    assert ended.code == 0, ended.out + ended.err
    report = cluster.report()
    assert report["verdict"] == "held"
    assert report["markers"]["acknowledged"] == report["markers"]["found"] > 1000
    assert {each["name"] for each in report["endings"]} >= {"old-0", "old-1"}
    assert not {"old-0", "old-1"} & set(report["pods_after"])
    assert (cluster.directory / "drill-report" / "report.svg").exists()


def test_a_rollout_that_kills_a_worker_does_not_hold(
    cluster: Cluster, served: Service, database: Database
) -> None:
    """The control: SIGKILL to the only worker, and the failures are counted at the client."""
    cluster.has(deployment=DEPLOYMENT, pods={"items": [POD]})
    cluster.on_restart = f"kill -KILL {served.workers()[0]}"

    ended = cluster.drill("rollout", "--url", served.url, uri=database.uri)

    assert ended.code == 1, ended.out + ended.err
    report = cluster.report()
    assert report["verdict"] == "broken"
    assert report["result"]["failures"]
    assert report["markers"]["lost"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_drill_that_is_stopped_takes_its_documents_away(
    cluster: Cluster, served: Service, database: Database, number: signal.Signals
) -> None:
    """Exit code 130, no report, and an empty collection, which the fixture looks for."""
    cluster.has(deployment=DEPLOYMENT, pods={"items": [POD]})

    ended = cluster.stopped(number, "rollout", "--url", served.url, uri=database.uri)

    assert (ended.code, ended.err) == (130, "Stopped.\n")
    assert "failed so far 0" in ended.out
    assert not (cluster.directory / "drill-report").exists()


def test_a_report_that_cannot_be_written_is_said_before_the_load(cluster: Cluster) -> None:
    """Nothing is asked of the cluster or the service."""
    (cluster.directory / "taken").write_bytes(b"")

    ended = cluster.drill("rollout", "--report", "taken/below")

    assert ended.code == 1
    assert "taken/below can't be written" in ended.err


def test_an_autoscaler_that_goes_up_and_down_holds(
    cluster: Cluster, served: Service, database: Database
) -> None:
    """The whole way of `drill autoscale`: burst, load, five, fall, two, by the events too."""
    cluster.has(
        deployment=DEPLOYMENT, hpa=HPA, metrics={"items": [POD]}, events={"items": []},
        pods={"items": [POD]},
    )  # fmt: skip

    ended = cluster.drill("autoscale", "--url", served.url, "--timeout", "120", uri=database.uri)

    assert ended.code == 0, ended.out + ended.err
    assert "hey -n 1000 -c 10" in ended.out
    report = cluster.report()
    assert report["scaling"]["sizes"] == [5, 2]
    assert report["result"]["full_load"] < report["result"]["seconds"]
    assert report["seconds"][-2]["rate"] == 20
