"""The stand-in for mongod, where manifests and configurator lean on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import errors as driver

from tests.support.mongod import SET, Client, Mongod
from tests.support.processes import wait_until
from tests.support.service import ROOT

PASSWORD = "of the first user"


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A server that was never initiated."""
    mongod = Mongod(tmp_path / "mongod").start()
    yield mongod
    mongod.kill()


def _code(client: Client, command: str, value: object = 1, **fields: object) -> int | None:
    """The code that a command on `admin` is refused with."""
    with pytest.raises(driver.PyMongoError) as refused:
        client.admin.command({command: value, **fields})
    details = getattr(refused.value, "details", None) or {}
    return details.get("code")


def _initiate(mongod: Mongod, client: Client) -> None:
    member = {"_id": 0, "host": f"127.0.0.1:{mongod.port}"}
    client.admin.command("replSetInitiate", {"_id": SET, "members": [member]})
    _wait_for_election(client)


def _wait_for_election(client: Client) -> None:
    """It listens before it has found itself in its set."""
    wait_until(lambda: client.admin.command("hello")["isWritablePrimary"], "it is elected")


def test_it_refuses_as_mongod_does(mongod: Mongod) -> None:
    """Before the set, before the first user, and after: each with mongod's own code."""
    with mongod.anyone() as client:
        assert _code(client, "replSetGetStatus") == 94
        assert _code(client, "createUser", "root", pwd=PASSWORD, roles=["root"]) == 10107
        elsewhere = {"_id": SET, "members": [{"_id": 0, "host": "127.0.0.1:1"}]}
        assert _code(client, "replSetInitiate", elsewhere) == 93
        _initiate(mongod, client)
        assert _code(client, "replSetInitiate", elsewhere) == 23
        assert _code(client, "listDatabases") == 13
        client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        assert _code(client, "createUser", "second", pwd=PASSWORD, roles=["root"]) == 13
        assert _code(client, "replSetInitiate", elsewhere) == 13
    with mongod.login("root", "wrong") as client:
        assert _code(client, "listDatabases") == 18


def test_what_it_was_told_survives_a_kill(mongod: Mongod) -> None:
    """SIGKILL right after the answer: set and user are there after the next start."""
    with mongod.anyone() as client:
        _initiate(mongod, client)
    mongod.kill()
    mongod.start()
    with mongod.anyone() as client:
        _wait_for_election(client)
        client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
    mongod.kill()
    mongod.start()
    with mongod.login("root", PASSWORD) as root:
        _wait_for_election(root)
        assert root.admin.command("replSetGetStatus")["set"] == SET


def test_it_ends_as_mongod_does(mongod: Mongod) -> None:
    """SIGTERM is code 0, with clients connected too; an option that it has not is code 1."""
    with mongod.anyone() as client:
        _initiate(mongod, client)
        client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        assert mongod.stop() == 0, mongod.log()
    assert mongod.start("--smallfiles").code == 1


@pytest.mark.parametrize("mode", [0o440, 0o404, None])
def test_a_key_file_that_others_can_read(tmp_path: Path, mode: int | None) -> None:
    """It does not start with one, nor without."""
    key = tmp_path / "key"
    if mode is not None:
        key.write_text("A" * 1008, encoding="ascii")
        key.chmod(mode)
    command = [sys.executable, "-m", "tests.support.standin.mongod", f"--replSet={SET}"]
    options = [f"--keyFile={key}", f"--dbpath={tmp_path}"]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 1
    assert str(key).encode() in done.stderr
