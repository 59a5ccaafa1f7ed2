"""`demijohn drill` as a user runs it, with the real service and database.

The cluster is a script called `kubectl` that answers from files; whether drills get on with a real
one is for tests/cluster. Here their messages, their exit codes and their whole way count; that of a
rollout which holds is in test_drill_keys.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.conftest import Starter
from tests.support.database import Database, free_port
from tests.support.kubectl_script import DEPLOYMENT, HPA, POD, Cluster
from tests.support.service import Service


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


def test_a_data_drill_without_a_service_is_no_verdict(cluster: Cluster, database: Database) -> None:
    """Where nobody listens nothing was promised: one line says so, and there is no report."""
    url = f"http://127.0.0.1:{free_port()}"

    ended = cluster.drill("data", "--url", url, uri=database.uri)

    assert (ended.code, ended.out) == (1, "")
    assert f"{url}/data takes no documents: refused." in ended.err
    assert not (cluster.directory / "drill-report").exists()


def test_a_certificate_that_is_not_trusted_is_said(cluster: Cluster, served: Service) -> None:
    """Of a connection that can't be made for a reason like this one, the reason counts."""
    ended = cluster.drill("load", "--url", served.url.replace("http:", "https:"))

    assert ended.code == 1
    assert "takes no documents: unreachable ([SSL" in ended.out


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


def test_who_stops_a_drill_twice_is_told_what_is_left(
    cluster: Cluster, served: Service, database: Database
) -> None:
    """A second Ctrl-C breaks one step of the clearing up off, and the next is done all the same."""
    cluster.has(deployment=DEPLOYMENT, pods={"items": [POD]})
    cluster.settings["DELETING_TAKES"] = "60"
    words = ("rollout", "--in-cluster", "--url", served.url)

    ended = cluster.stopped(signal.SIGINT, *words, uri=database.uri, twice=True)

    assert (ended.code, ended.err) == (130, "Stopped.\n")
    assert "is perhaps still there: the clearing up was broken off." in ended.out


def test_markers_that_lie_elsewhere_are_missed_before_there_is_any_fault(
    cluster: Cluster, served: Service, own_database: Database, database: Database
) -> None:
    """With the address of one cluster and the context of another, neither is harmed."""
    cluster.has(deployment=DEPLOYMENT, pods={"items": [POD]})
    cluster.on_restart = f"touch {cluster.directory / 'restarted'}"

    ended = cluster.drill("rollout", "--url", served.url, uri=own_database.uri)
    with MongoClient[dict[str, Any]](database.uri) as client:
        assert client["flask_db"]["data"].delete_many({}).deleted_count > 0

    assert ended.code == 1
    assert "--url names another service than kubectl's context" in ended.err
    assert not (cluster.directory / "restarted").exists()


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

    words = ("autoscale", "--url", served.url, "--timeout", "120")
    ended = cluster.conclusive_drill(*words, uri=database.uri)

    assert ended.code == 0, ended.out + ended.err
    assert "hey -n 1000 -c 10" in ended.out
    report = cluster.report()
    assert report["scaling"]["sizes"] == [5, 2]
    assert report["result"]["full_load"] < report["result"]["seconds"]
    assert report["seconds"][-2]["rate"] == 20
