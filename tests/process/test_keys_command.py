"""`demijohn keys`, as people type it: beside a service with an embedded database, and on a file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support.api import Api
from tests.support.processes import wait_until
from tests.support.service import Service, clean_environ
from tests.support.terminal import Terminal

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `demijohn keys …` in the directory of the services that the test starts."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "demijohn", *arguments],
            cwd=tmp_path,
            env=clean_environ(settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def service(own_service: Starter) -> Service:
    """A service that asks for keys, on an embedded database of its own."""
    return own_service({"DEMIJOHN_AUTH": "keys"})


def _status(service: Service, key: str | None, path: str = "/data") -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return Api(service.url).get(path, **headers).status


def test_a_key_lives_from_its_making_to_its_revocation(service: Service, run: Run) -> None:
    """It is printed alone, works, is listed without its secret, and works no more when revoked."""
    made = run("keys", "create", "--scope", "data:read", "--name", "reader")
    key = made.stdout.strip()
    assert re.fullmatch(r"dj_[0-9a-f]{16}_[0-9a-f]{64}\n", made.stdout), made
    wait_until(lambda: _status(service, key) == 200, "the key works")
    assert _status(service, None) == 401

    listed = run("keys", "list").stdout
    secret = key.rpartition("_")[2]
    assert "reader" in listed
    assert "data:read" in listed
    assert secret not in listed + run("keys", "list", "--json").stdout + service.log()

    assert run("keys", "revoke", key.split("_")[1]).returncode == Exit.OK
    wait_until(lambda: _status(service, key) == 401, "the key works no more")
    assert run("keys", "list", "--json").stdout == ""


def test_import_and_export_show_the_key_of_the_settings(service: Service, run: Run) -> None:
    """Without `DEMIJOHN_KEY` they are told that a key is needed; with it they do their work."""
    key = run("keys", "create", "--scope", "data:write").stdout.strip()
    wait_until(lambda: _status(service, key) == 200, "the key works")

    refused = run("export", DEMIJOHN_URL=service.url)
    assert (refused.returncode, refused.stdout) == (Exit.FAILED, "")
    assert "401 unauthenticated" in refused.stderr
    wrong = run("export", DEMIJOHN_URL=service.url, DEMIJOHN_KEY="two words")
    assert wrong.returncode == Exit.USAGE
    assert "two words" not in wrong.stderr

    assert Api(service.url).get("/data", Authorization=f"Bearer {key}").json() == []
    exported = run("export", DEMIJOHN_URL=service.url, DEMIJOHN_KEY=key)
    assert (exported.returncode, exported.stdout) == (Exit.OK, "")


def test_keys_of_a_file_hold_without_the_database_having_any(
    own_service: Starter, run: Run, tmp_path: Path
) -> None:
    """A file that `--file` has made is read at the start, and anew when it has changed."""
    first = run("keys", "create", "--file", "keys.json", "--scope", "*:read").stdout.strip()
    file = tmp_path / "keys.json"
    settings = {"DEMIJOHN_AUTH": "keys", "DEMIJOHN_KEYS_FILE": str(file)}
    service = own_service(settings)
    wait_until(lambda: _status(service, first) == 200, "the key of the file works")
    assert first.rpartition("_")[2] not in file.read_text(encoding="utf-8")

    second = run("keys", "create", "--file", "keys.json", "--scope", "*:read").stdout.strip()
    assert run("keys", "revoke", "--file", "keys.json", first).returncode == Exit.OK
    wait_until(lambda: _status(service, second) == 200, "the second key works")
    wait_until(lambda: _status(service, first) == 401, "the first one no more")

    file.write_text("no JSON", encoding="utf-8")
    wait_until(lambda: "the file of keys is not read" in service.log(), "that is in the log")
    assert _status(service, second) == 200


def test_a_file_that_can_not_be_read_stops_the_start(own_service: Starter, tmp_path: Path) -> None:
    """Nobody finds out by a 401 that the file of keys was mounted at another place."""
    settings = {"DEMIJOHN_AUTH": "keys", "DEMIJOHN_KEYS_FILE": str(tmp_path / "not there")}
    service = own_service(settings, wait=False)

    assert service.wait() == Exit.USAGE
    assert "DEMIJOHN_KEYS_FILE" in service.log()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["create", "--scope", "data"], Exit.USAGE, "COLLECTION:read"),
        (["create", "--scope", "data:owner"], Exit.USAGE, "COLLECTION:read"),
        (["create", "--scope", "_keys:read"], Exit.USAGE, "_keys"),
        (["create", "--scope", "*:read", "--rows", "{}"], Exit.USAGE, "1 to 10"),
        (["create", "--scope", "*:read", "--rows", '{"a":null}'], Exit.USAGE, "a is a string"),
        (["create", "--scope", "*:read", "--rows", '{"a":{"$ne":1}}'], Exit.USAGE, "row filter"),
        (["create", "--scope", "*:read", "--rows", '{"_id":1}'], Exit.USAGE, "_id"),
        (["create", "--scope", "*:read", "--rows", "owner=ada"], Exit.USAGE, "row filter"),
        (["create", "--scope", "*:read", "--lifetime", "soon"], Exit.USAGE, "90d"),
        (["create", "--scope", "*:read", "--name", "a\nb"], Exit.USAGE, "printable"),
        (["revoke", "0123456789abcdef"], Exit.FAILED, "no key"),
    ],
)
def test_what_is_wrong_is_said(run: Run, arguments: list[str], code: Exit, said: str) -> None:
    """A wrong option is exit code 2 and a line that names it; nothing is kept."""
    done = run("keys", *arguments, "--file", "keys.json")

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_database_it_says_where_it_has_looked(run: Run) -> None:
    """Before the first start there is no embedded database, and the message says what to do."""
    done = run("keys", "list")

    assert done.returncode == Exit.FAILED
    assert "Start the service first" in done.stderr


def test_the_list_is_of_json_where_it_is_asked_for(run: Run) -> None:
    """`--json` is a line for each key, with everything but the digest."""
    for name in ("one", "two"):
        run("keys", "create", "--file", "k.json", "--scope", "a:admin", "--name", name)

    lines = run("keys", "list", "--file", "k.json", "--json").stdout.splitlines()

    assert {json.loads(each)["name"] for each in lines} == {"one", "two"}
    assert {"id", "scopes", "name", "created"} == set(json.loads(lines[0]))


def test_the_first_thing_said_is_how_to_get_a_key(tmp_path: Path) -> None:
    """On a terminal the service shows the command that makes one, and a request that shows it."""
    environ = clean_environ({"DEMIJOHN_AUTH": "keys"})
    command = f"{sys.executable} -m demijohn serve --port 0"
    terminal = Terminal(command, cwd=tmp_path, environ=environ)
    try:
        making = re.compile(r".*demijohn keys create --scope data:write.*Ctrl-C", re.DOTALL)
        terminal.wait_for(making, 60)
        assert 'curl -H "Authorization: Bearer $KEY" http' in terminal.output
    finally:
        terminal.kill()
