"""compose.yaml: what a laptop gets, as far as it can be judged without starting it."""

from __future__ import annotations

from typing import Any

import pytest

from demijohn import __version__
from demijohn.launcher.sockets import check_reach
from demijohn.settings import Settings, load
from demijohn.store.uri import check_uri
from tests.support.manifests import ROOT, container, image_environ, one, read

(COMPOSE,) = read(ROOT / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APP, DATABASE = SERVICES["flask-app"], SERVICES["mongodb"]


def _settings() -> Settings:
    return load({**image_environ(), **APP["environment"]})


def test_every_port_is_on_loopback() -> None:
    """Only the service's, and only for this machine: others on the network reach nothing."""
    published = [port for each in SERVICES.values() for port in each.get("ports", [])]

    assert published == [f"127.0.0.1:5000:{_settings().port}"]
    assert [name for name, each in SERVICES.items() if "network_mode" in each] == []


def test_its_images_are_those_of_the_cluster() -> None:
    """The same service and the same MongoDB, by version; ours is built here and never pulled."""
    assert APP["image"] == f"flask-mongodb-app:{__version__}"
    assert (APP["build"], APP["pull_policy"]) == (".", "build")
    assert DATABASE["image"] == container(one("StatefulSet", "mongodb"), "mongodb")["image"]


def test_its_settings_start_a_service() -> None:
    """They are settings that the service takes, with the reason for open mode beside it."""
    settings = _settings()

    check_reach(settings)
    check_uri(str(settings.mongodb_uri))
    assert settings.auth == "open"
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    before = text.partition("DEMIJOHN_AUTH: open")[0].splitlines()
    assert before[-2].strip().startswith("#")


def test_the_service_waits_for_a_database_that_takes_writes() -> None:
    """The health check asks for a primary, and makes the replica set that the URI names."""
    script = DATABASE["healthcheck"]["test"][-1]

    assert APP["depends_on"] == {"mongodb": {"condition": "service_healthy"}}
    assert "isWritablePrimary" in script
    assert 'rs.initiate({_id: "rs0", members: [{_id: 0, host: "mongodb:27017"}]})' in script
    assert "--replSet=rs0" in DATABASE["command"]
    assert _settings().mongodb_uri == "mongodb://mongodb:27017/?replicaSet=rs0"


def test_the_documents_are_in_a_named_volume() -> None:
    """`docker compose down` keeps them; and no start makes a volume without a name."""
    assert "mongo-persistent-storage:/data/db" in DATABASE["volumes"]
    assert "--dbpath=/data/db" in DATABASE["command"]
    assert {each.partition(":")[0] for each in DATABASE["volumes"]} == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_containers_have_no_more_than_they_need(name: str) -> None:
    """A read-only root with /tmp in memory, no capabilities, no way to more privileges, no root."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    # The service's user is its image's own.
    assert name == "flask-app" or service["user"] == "999:999"


def test_work_under_way_may_finish() -> None:
    """The engine waits for longer than the service needs to stop."""
    settings = _settings()
    grace = float(APP["stop_grace_period"].removesuffix("s"))

    assert grace >= settings.drain_delay + settings.drain_timeout + 5
