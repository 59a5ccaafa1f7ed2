"""The Secret that `demijohn secrets create` prints."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import urlsplit

from click.testing import CliRunner

from demijohn.cli import main
from demijohn.store.configure import service_user

ENTROPY = 192


def _created(*options: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["secrets", "create", *options])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.output))


def _passwords(secret: dict[str, Any]) -> list[str]:
    values = secret["stringData"]
    return [service_user(values["uri"])[1], values["root-password"], values["drill-password"]]


def test_it_is_a_secret_that_the_cluster_guards() -> None:
    """The fixed name, and immutable: the API server refuses other values over it."""
    secret = _created()
    assert (secret["apiVersion"], secret["kind"]) == ("v1", "Secret")
    assert secret["metadata"] == {
        "name": "flask-mongodb-auth",
        "labels": {"app.kubernetes.io/part-of": "demijohn"},
    }
    assert secret["immutable"] is True
    assert set(secret["stringData"]) == {"uri", "root-password", "drill-password", "keyfile"}


def test_the_uri_is_the_deployments() -> None:
    """The service's user, the headless Service, the set, and the database of the users."""
    parts = urlsplit(_created()["stringData"]["uri"])
    assert (parts.scheme, parts.username) == ("mongodb", "demijohnApp")
    assert (parts.hostname, parts.port) == ("mongodb", 27017)
    assert parts.query == "replicaSet=rs0&authSource=admin"


def test_host_and_set_can_be_told() -> None:
    """For a database by another name."""
    uri = _created("--host", "db.example.com:27018", "--set", "prod")["stringData"]["uri"]
    assert "@db.example.com:27018/?replicaSet=prod&" in uri


def test_passwords_need_no_escaping_anywhere() -> None:
    """Letters, digits, `-` and `_` alone: the same in a URI, a shell and YAML."""
    for password in _passwords(_created()):
        assert re.fullmatch(r"[A-Za-z0-9_-]+", password)
        assert len(password) * 6 >= ENTROPY


def test_no_value_is_used_twice() -> None:
    """Each user has a password of its own, and each run makes new ones."""
    values = [
        value
        for secret in (_created(), _created())
        for value in (*_passwords(secret), secret["stringData"]["keyfile"])
    ]
    assert len(set(values)) == len(values)


def test_the_key_file_is_one_that_mongod_takes() -> None:
    """Base64 of at most 1,024 characters (MongoDB manual, "Keyfiles")."""
    key = _created()["stringData"]["keyfile"]
    assert 6 <= len(key) <= 1024
    assert len(base64.b64decode(key, validate=True)) == 756
