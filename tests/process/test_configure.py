"""`demijohn configure-database` on a server that behaves as mongod, and what users may then do."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from demijohn.cli import configure
from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support.api import Api
from tests.support.mongod import (
    SET,
    Client,
    Configurator,
    Mongod,
    Secret,
    as_drill,
    as_service,
    refused,
)
from tests.support.processes import wait_until
from tests.support.service import clean_environ
from tests.support.terminal import Terminal

UNAUTHORIZED, AUTHENTICATION_FAILED = 13, 18
Begin = Callable[..., Configurator]
STEPS: dict[str, Callable[[Mongod], object]] = {
    "before the set": lambda _: True,
    "set": lambda mongod: "config" in mongod.state(),
    "first user": lambda mongod: mongod.state().get("users"),
}


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A server that was never initiated."""
    mongod = Mongod(tmp_path / "mongod").start()
    yield mongod
    mongod.kill()


@pytest.fixture
def secret(mongod: Mongod, tmp_path: Path) -> Secret:
    """The deployment's Secret."""
    return Secret(tmp_path / "secret", f"127.0.0.1:{mongod.port}")


@pytest.fixture
def begin(mongod: Mongod, secret: Secret) -> Iterator[Begin]:
    """Start configurators, on `secret` unless told otherwise; they end with the test."""
    begun: list[Configurator] = []

    def start(*options: str, with_secret: Secret = secret) -> Configurator:
        begun.append(Configurator(mongod, with_secret, *options))
        return begun[-1]

    yield start
    for each in begun:
        each.kill()


def _root(mongod: Mongod, secret: Secret) -> Client:
    return mongod.login("root", secret.values["root-password"])


def _found(mongod: Mongod, secret: Secret) -> dict[str, Any]:
    """The set, the users and the roles, as root sees them."""
    with _root(mongod, secret) as root:
        config = root.admin.command("replSetGetConfig")["config"]
        users = root.admin.command("usersInfo", 1)["users"]
        roles = root.admin.command("rolesInfo", 1, showPrivileges=True)["roles"]
    return {
        "set": (config["_id"], [member["host"] for member in config["members"]]),
        "users": {each["user"]: _sorted(each["roles"]) for each in users},
        "roles": {each["role"]: _sorted(each["privileges"]) for each in roles},
    }


def _sorted(values: list[Any]) -> list[str]:
    return sorted(map(repr, values))


def _is_right(mongod: Mongod, secret: Secret) -> bool:
    """Whether set, users, roles and every password are as the Secret and the plan have them."""
    found = _found(mongod, secret)
    assert found["set"] == (SET, [f"127.0.0.1:{mongod.port}"])
    assert set(found["users"]) == {"root", "demijohnApp", "demijohnDrill"}
    assert set(found["roles"]) == {"demijohnCollMod", "demijohnDrill"}
    with as_service(secret) as service, as_drill(mongod, secret) as drill:
        service.flask_db.data.find_one()
        drill.flask_db.data.find_one()
    return True


def test_from_nothing(mongod: Mongod, secret: Secret, begin: Begin) -> None:
    """One run makes the set and the users; a client with the Secret's URI finds its primary."""
    configurator = begin("--once")
    assert configurator.wait() == Exit.OK, configurator.log()
    assert _is_right(mongod, secret)
    with as_service(secret) as client:
        client.flask_db.data.insert_one({"_id": 1})
        assert client.topology_description.topology_type_name == "ReplicaSetWithPrimary"
        assert client.primary == ("127.0.0.1", mongod.port)


@pytest.mark.parametrize("more", [3, pytest.param(9, marks=pytest.mark.soak)])
def test_again_and_again(mongod: Mongod, secret: Secret, begin: Begin, more: int) -> None:
    """However often it runs, the result is that of the first time."""
    assert begin("--once").wait() == Exit.OK
    first = _found(mongod, secret)
    assert [begin("--once").wait() for _ in range(more)] == [Exit.OK] * more
    assert _found(mongod, secret) == first
    assert _is_right(mongod, secret)


def test_five_at_once(mongod: Mongod, secret: Secret, begin: Begin) -> None:
    """Several that start on an empty server at one time all succeed, with one result."""
    several = [begin("--once") for _ in range(5)]
    assert [each.wait() for each in several] == [Exit.OK] * 5
    assert _is_right(mongod, secret)


def test_rights_that_drifted_are_put_right(mongod: Mongod, secret: Secret, begin: Begin) -> None:
    """A pass leaves exactly the wanted rights, whatever somebody added or took away."""
    assert begin("--once").wait() == Exit.OK
    before = _found(mongod, secret)
    with _root(mongod, secret) as root:
        root.admin.command("grantRolesToUser", "demijohnApp", roles=["root"])
        root.admin.command("updateRole", "demijohnDrill", privileges=[])
        root.admin.command("dropRole", "demijohnCollMod")
    assert _found(mongod, secret) != before
    assert begin("--once").wait() == Exit.OK
    assert _found(mongod, secret) == before


def test_a_user_that_vanished_comes_back(mongod: Mongod, secret: Secret, begin: Begin) -> None:
    """The sidecar notices a missing user by itself and makes it again."""
    begin().wait_ready()
    with _root(mongod, secret) as root:
        root.admin.command("dropUser", "demijohnDrill")
        wait_until(lambda: root.admin.command("usersInfo", "demijohnDrill")["users"], "it is back")
    assert _is_right(mongod, secret)


def test_a_member_that_has_another_name(mongod: Mongod, secret: Secret, begin: Begin) -> None:
    """A volume that knew its member by another name comes back, with users and documents."""
    assert begin("--once").wait() == Exit.OK
    with as_service(secret) as client:
        client.flask_db.data.insert_one({"_id": "kept"})
    mongod.stop()
    mongod.rename_member("mongodb-0.mongodb.elsewhere.svc:27017")
    mongod.start()

    assert begin("--once").wait() == Exit.OK
    assert _is_right(mongod, secret)
    with as_service(secret) as client:
        assert client.flask_db.data.find_one() == {"_id": "kept"}


@pytest.mark.parametrize("seed", range(2))
def test_a_configurator_that_is_killed(
    mongod: Mongod, secret: Secret, begin: Begin, seed: int
) -> None:
    """SIGKILL at random points of its work: the next run still leaves everything right."""
    chance = random.Random(seed)
    for step in STEPS.values():
        configurator = begin()
        wait_until(lambda step=step: step(mongod), "it gets there")  # type: ignore[misc]
        with pytest.raises(subprocess.TimeoutExpired):
            configurator.process.wait(chance.uniform(0, 0.4))
        configurator.kill()
    configurator = begin("--once")
    assert configurator.wait() == Exit.OK, configurator.log()
    assert _is_right(mongod, secret)


@pytest.mark.parametrize("step", STEPS)
def test_a_mongod_that_is_killed(mongod: Mongod, secret: Secret, begin: Begin, step: str) -> None:
    """SIGKILL to the server at each step: the same configurator gets it right after its start."""
    configurator = begin()
    wait_until(lambda: STEPS[step](mongod), "it gets there")
    mongod.kill()
    mongod.start()
    configurator.wait_ready()
    assert _is_right(mongod, secret)
    mongod.kill()
    mongod.start()
    assert _is_right(mongod, secret)


def test_before_mongod(mongod: Mongod, secret: Secret, begin: Begin) -> None:
    """It may start first: it waits, says what for, once, and then does its work."""
    mongod.kill()
    configurator = begin()
    wait_until(lambda: "does not answer" in configurator.log(), "it says what it waits for")
    mongod.start()
    configurator.wait_ready()
    # Another way of not answering, that of a server about to start, is another thing to say.
    said = re.findall(r"does not answer \(\w+\)", configurator.log())
    assert said == [each for each, _ in groupby(said)]
    assert _is_right(mongod, secret)


def test_a_secret_made_anew_over_an_old_volume(
    mongod: Mongod, secret: Secret, begin: Begin, tmp_path: Path
) -> None:
    """It says what happened and what to do, never claims to be ready, and changes nothing."""
    assert begin("--once").wait() == Exit.OK
    before = _found(mongod, secret)
    anew = Secret(tmp_path / "anew" / "secret", f"127.0.0.1:{mongod.port}")
    once = begin("--once", with_secret=anew)
    assert once.wait() == Exit.FAILED
    for word in ("Secret", "old volume", "put the old Secret back"):
        assert word in once.log()
    sidecar = begin(with_secret=anew)
    wait_until(lambda: "old volume" in sidecar.log(), "it says so")
    assert sidecar.process.poll() is None
    assert not sidecar.is_ready()
    assert _found(mongod, secret) == before


def test_new_passwords_with_the_old_root(
    mongod: Mongod, secret: Secret, begin: Begin, tmp_path: Path
) -> None:
    """A Secret with root's old password changes the others': the old ones let nobody in."""
    assert begin("--once").wait() == Exit.OK
    host, root = f"127.0.0.1:{mongod.port}", secret.values["root-password"]
    anew = Secret(tmp_path / "anew" / "secret", host, root_password=root)
    assert begin("--once", with_secret=anew).wait() == Exit.OK
    assert _is_right(mongod, anew)
    with as_service(secret) as client:
        assert refused(client.flask_db.data.find_one) == AUTHENTICATION_FAILED


def test_odd_characters(mongod: Mongod, begin: Begin, tmp_path: Path) -> None:
    """Passwords and user names of any characters, percent-encoded in the URI, do."""
    odd = ":/?#[]@!$&'()*+,;=%é %41"
    where = f"127.0.0.1:{mongod.port}/?replicaSet={SET}&authSource=admin"
    secret = Secret(
        tmp_path / "odd" / "secret",
        f"127.0.0.1:{mongod.port}",
        uri=f"mongodb://{quote('ä@b', safe='')}:{quote(odd, safe='')}@{where}",
        root_password=odd + "r",
        drill_password=odd + "\n",
    )
    configurator = begin("--once", with_secret=secret)
    assert configurator.wait() == Exit.OK, configurator.log()
    with as_service(secret) as client, mongod.login("demijohnDrill", odd) as drill:
        client.flask_db.data.insert_one({"_id": 1})
        assert drill.flask_db.data.find_one() == {"_id": 1}


def test_no_password_in_the_log(mongod: Mongod, secret: Secret, begin: Begin) -> None:
    """Neither when all is well nor when the server goes and comes."""
    configurator = begin().wait_ready()
    mongod.kill()
    wait_until(lambda: not configurator.is_ready(), "it notices")
    mongod.start()
    configurator.wait_ready()
    assert [each for each in secret.passwords() if each in configurator.log()] == []


def test_the_ready_file_comes_and_goes(mongod: Mongod, begin: Begin) -> None:
    """It is there while the database takes writes: gone when that is killed or hangs."""
    configurator = begin()
    configurator.wait_ready()
    mongod.kill()
    wait_until(lambda: not configurator.is_ready(), "it goes with the database")
    mongod.start()
    configurator.wait_ready()
    mongod.pause()
    wait_until(lambda: not configurator.is_ready(), "it goes with a database that hangs")
    mongod.resume()
    configurator.wait_ready()


def test_a_ready_file_of_before(mongod: Mongod, begin: Begin) -> None:
    """One that a killed predecessor left does not count."""
    mongod.kill()
    first = begin()
    first.kill()
    first.ready_file.touch()
    second = begin(f"--ready-file={first.ready_file}")
    wait_until(lambda: not first.is_ready(), "the old file is gone")
    assert second.process.poll() is None


@pytest.mark.parametrize("state", ["configured", "hangs", "gone"])
def test_the_sidecar_stops(mongod: Mongod, begin: Begin, state: str) -> None:
    """SIGTERM ends it with code 0, whatever the database does, and takes the ready file along."""
    configurator = begin().wait_ready()
    if state == "hangs":
        mongod.pause()
    elif state == "gone":
        mongod.kill()
        wait_until(lambda: "not configured yet" in configurator.log(), "it waits")
    assert configurator.stop() == Exit.OK
    assert not configurator.is_ready()


def test_a_stop_right_behind_the_ready_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SIGTERM in the very moment in which the file is made takes it along too."""
    path, touch = tmp_path / "ready", Path.touch

    def touch_and_stop(self: Path) -> None:
        touch(self)
        sys.exit(Exit.OK)

    monkeypatch.setattr(Path, "touch", touch_and_stop)
    with pytest.raises(SystemExit), configure._ready(path):
        pass
    assert not path.exists()


def test_a_secret_that_lacks_something(mongod: Mongod, secret: Secret, begin: Begin) -> None:
    """A missing file or a URI without a login is named, with the code for wrong usage."""
    (secret.path / "drill-password").unlink()
    missing = begin()
    assert missing.wait() == Exit.USAGE
    assert "drill-password" in missing.log()
    (secret.path / "drill-password").write_text("x", encoding="utf-8")
    (secret.path / "uri").write_text(f"mongodb://127.0.0.1:{mongod.port}/", encoding="utf-8")
    nameless = begin()
    assert nameless.wait() == Exit.USAGE
    assert "`uri`" in nameless.log()


def test_the_service_on_it(
    mongod: Mongod, secret: Secret, begin: Begin, own_service: Starter
) -> None:
    """The real service with the Secret's URI: its documents outlive a restart of the server."""
    begin().wait_ready()
    service = own_service({"MONGODB_URI": secret.uri})
    api = Api(service.url)
    assert [api.insert({"n": n}).status for n in range(3)] == [201] * 3
    assert mongod.stop() == 0
    mongod.start()
    wait_until(lambda: api.insert({"n": 3}).status == 201, "it is back")
    assert {each["n"] for each in api.get("/data").json()} == {0, 1, 2, 3}
    mongod.kill()
    mongod.start()
    wait_until(lambda: api.insert({"n": 4}).status == 201, "it is back after a kill")
    assert {each["n"] for each in api.get("/data").json()} == {0, 1, 2, 3, 4}
    assert service.stop() == Exit.OK


def test_passwords_are_not_for_a_screen(tmp_path: Path) -> None:
    """`demijohn secrets create` on a terminal shows no Secret, but where to send it."""
    command = f"{sys.executable} -m demijohn secrets create"
    code, shown = Terminal(command, cwd=tmp_path, environ=clean_environ({})).finish(60)
    assert code == Exit.USAGE
    assert "demijohn secrets create | kubectl create -f -" in shown
    assert "mongodb://" not in shown
