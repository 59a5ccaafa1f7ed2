"""`demijohn drill` on a service that asks for keys: real processes, and a script for a cluster."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from demijohn.auth.keys import Key
from demijohn.drill.access import SCOPE
from tests.conftest import Starter
from tests.support.database import Database
from tests.support.keys import Caller, keeping, new_key, settings
from tests.support.kubectl_script import DEPLOYMENT, HPA, POD, Cluster
from tests.support.processes import wait_until
from tests.support.service import ROOT, Service

NAME = "drilled"
DOCUMENTS = "/v1/collections/data/documents"
PAGE = (ROOT / "docs" / "reference" / "drills.md").read_text(encoding="utf-8")
Give = Callable[[tuple[Key, str]], str]


@pytest.fixture
def keyed(database: Database, own_service: Starter) -> Iterator[Service]:
    """A service that asks for keys, with an empty collection, which drills must leave empty."""
    with MongoClient[dict[str, object]](database.uri) as client:
        documents = client[NAME]["data"]
        documents.delete_many({})
        yield own_service(settings(database, NAME))
        assert documents.count_documents({}) == 0


@pytest.fixture
def give(database: Database, keyed: Service) -> Give:
    """Put a key where the service finds it, and wait until it has, where it is a good one."""

    def give(made: tuple[Key, str]) -> str:
        key, text = made
        with keeping(database, NAME) as kept:
            kept.add(key)
        caller = Caller(keyed.url, text)
        if key.expires is None:
            wait_until(lambda: caller.get("/").status == 200, "the key works")
        return text

    return give


@pytest.fixture
def cluster(tmp_path: Path, keyed: Service) -> Cluster:
    """A cluster with the keyed service in it; a restart leaves the file `restarted`."""
    cluster = Cluster(tmp_path)
    cluster.has(
        deployment=DEPLOYMENT, hpa=HPA, metrics={"items": [POD]}, events={"items": []},
        pods={"items": [POD]},
    )  # fmt: skip
    cluster.settings = {"DEMIJOHN_URL": keyed.url, "DEMIJOHN_DATABASE": NAME}
    cluster.on_restart = f"touch {tmp_path / 'restarted'}"
    return cluster


REFUSED = {
    "none": "asks for a key: set DEMIJOHN_KEY to one with the scope data:write",
    "unknown": "does not take the key in DEMIJOHN_KEY",
    "expired": "does not take the key in DEMIJOHN_KEY",
    "reader": "This key may not write in data.",
    "other": "This key may not write in data.",
    "filtered": "no row filter",
}


def test_a_key_that_will_not_do_is_said_before_there_is_load_or_fault(
    cluster: Cluster, database: Database, give: Give
) -> None:
    """One line names what is wrong, exit code 1, and nothing was restarted, written or kept."""
    keys = {
        "none": "",
        "unknown": new_key(SCOPE)[1],
        "expired": give(new_key(SCOPE, lifetime=-1)),
        "reader": give(new_key("data:read")),
        "other": give(new_key("things:admin")),
        "filtered": give(new_key(SCOPE, rows='{"owner":"ada"}')),
    }
    for kind, said in REFUSED.items():
        cluster.settings["DEMIJOHN_KEY"] = keys[kind]
        drill = "data" if kind in {"unknown", "other"} else "rollout"
        ended = cluster.drill(drill, uri=database.uri)

        assert (ended.code, ended.out) == (1, ""), (kind, ended)
        assert ended.err.count("\n") == 1, (kind, ended)
        assert said in ended.err
        assert not keys[kind] or keys[kind] not in ended.err
    assert not (cluster.directory / "restarted").exists()
    assert not (cluster.directory / "drill-report").exists()


def test_the_autoscalers_drill_asks_first_as_well(cluster: Cluster, database: Database) -> None:
    """It neither loads such a service nor waits for the least replicas, for half an hour each."""
    for size in (2, 5):
        cluster.is_at(size)
        ended = cluster.drill("autoscale", uri=database.uri)

        assert ended.code == 1, ended
        assert REFUSED["none"] in ended.err
        assert ended.out.count("Waiting until there are 2 replicas; there are 5.") == (size == 5)


def test_what_can_be_no_key_is_usage_and_is_not_repeated(cluster: Cluster) -> None:
    """Exit code 2; it may be a secret in the wrong place."""
    cluster.settings["DEMIJOHN_KEY"] = "two words"
    ended = cluster.drill("rollout")

    assert ended.code == 2
    assert "DEMIJOHN_KEY is no key." in ended.err
    assert "two words" not in ended.err


def test_with_a_key_of_that_scope_a_rollout_that_nobody_notices_holds(
    cluster: Cluster, database: Database, give: Give
) -> None:
    """The whole way: load, restart, markers, report, exit code 0.

    The load is a Job, whose object, words, log and report do not have the key in them.
    """
    key = give(new_key(SCOPE))
    cluster.settings["DEMIJOHN_KEY"] = key
    data = cluster.drill("data", uri=database.uri)
    assert data.code == 0, data

    url = cluster.settings["DEMIJOHN_URL"]
    words = ("rollout", "--in-cluster", "--url", url)
    ended = cluster.conclusive_drill(*words, uri=database.uri)

    assert ended.code == 0, ended.out + ended.err
    report = cluster.report()
    assert (report["verdict"], report["result"]["failures"]) == ("held", [])
    assert report["markers"]["acknowledged"] == report["markers"]["found"] > 1000
    assert {each["name"] for each in report["endings"]} >= {"old-0", "old-1"}
    assert not {"old-0", "old-1"} & set(report["pods_after"])
    assert (cluster.directory / "drill-report" / "report.svg").exists()
    assert (cluster.directory / "restarted").exists()
    left = cluster.seen()
    assert '"--key-pipe"' in left
    assert key.rpartition("_")[2] not in left + data.out + data.err + ended.out + ended.err


def test_a_key_that_is_revoked_meanwhile_is_no_fault_of_the_services(
    cluster: Cluster, database: Database, give: Give
) -> None:
    """The load ends, the report says since when and why, and nothing counts as broken or lost."""
    key = give(new_key(SCOPE))
    cluster.settings |= {"DEMIJOHN_KEY": key, "MONGODB_URI": database.uri}
    cluster.on_restart = f"{sys.executable} -m demijohn keys revoke {key.split('_')[1]}"

    ended = cluster.drill("rollout", uri=database.uri)

    assert ended.code == 3, ended.out + ended.err
    report = cluster.report()
    assert (report["verdict"], report["broken"]) == ("inconclusive", [])
    assert "did not take the key any more" in report["missed"][0]
    assert 12 <= report["result"]["denied_from"] < report["result"]["seconds"]
    assert report["markers"]["lost"] == report["markers"]["unexplained"] == []
    assert key not in cluster.seen()


def test_what_a_killed_drill_leaves_goes_by_the_line_on_the_page(
    cluster: Cluster, database: Database, give: Give
) -> None:
    """With the drill's own key, and nothing else goes with it; the fixture looks for the rest."""
    key = give(new_key(SCOPE))
    cluster.settings["DEMIJOHN_KEY"] = key
    assert cluster.drill("data", "--keep", uri=database.uri).code == 0
    caller = Caller(cluster.settings["DEMIJOHN_URL"], key)
    caller.post('{"_id":"mine"}', DOCUMENTS)

    path = re.search(r'curl -X DELETE "\$DEMIJOHN_URL(\S+)"', PAGE)
    assert path is not None
    assert caller.ask("DELETE", path[1]).json()["deleted"] == 5
    assert caller.ask("DELETE", f"{DOCUMENTS}/mine").status == 204
