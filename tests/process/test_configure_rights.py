"""What the users that `demijohn configure-database` makes may do, and may not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from demijohn.exits import Exit
from tests.support.mongod import Configurator, Mongod, Secret, as_drill, as_service, refused

UNAUTHORIZED = 13


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A server, for all tests: none of them changes its users."""
    mongod = Mongod(tmp_path_factory.mktemp("mongod")).start()
    yield mongod
    mongod.kill()


@pytest.fixture(scope="module")
def secret(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Secret:
    """The deployment's Secret, by which the server is configured."""
    directory = tmp_path_factory.mktemp("configured") / "secret"
    secret = Secret(directory, f"127.0.0.1:{mongod.port}")
    configurator = Configurator(mongod, secret, "--once")
    assert configurator.wait() == Exit.OK, configurator.log()
    return secret


def test_what_the_services_user_may(mongod: Mongod, secret: Secret) -> None:
    """It works in its database, validators too; other databases and users are not its own."""
    with as_service(secret) as client:
        things = client.flask_db.things
        things.insert_one({"_id": 1})
        things.update_one({"_id": 1}, {"$set": {"n": 2}})
        client.flask_db.command("collMod", "things", validator={"n": {"$type": "int"}})
        assert things.find_one() == {"_id": 1, "n": 2}
        things.delete_one({"_id": 1})
        for forbidden in (
            client.other.data.find_one,
            lambda: client.other.data.insert_one({}),
            client.admin["system.users"].find_one,
            lambda: client.admin.command("createUser", "x", pwd="x", roles=[]),
            lambda: client.flask_db.command("createUser", "x", pwd="x", roles=[]),
            lambda: client.admin.command("usersInfo", 1),
        ):
            assert refused(forbidden) == UNAUTHORIZED
    with closing(mongod.login("root", secret.values["root-password"])) as root:
        users = root.admin.command("usersInfo", 1)["users"]
    assert {each["user"] for each in users} == {"root", "demijohnApp", "demijohnDrill"}


def test_what_the_drills_user_may(mongod: Mongod, secret: Secret) -> None:
    """It finds and removes, and can neither write nor look elsewhere."""
    with as_service(secret) as client:
        client.flask_db.data.insert_many([{"n": 1}, {"n": 2}])
    with as_drill(mongod, secret) as drill:
        data = drill.flask_db.data
        assert data.delete_many({"n": 1}).deleted_count == 1
        assert [each["n"] for each in data.find()] == [2]
        for forbidden in (
            lambda: data.insert_one({}),
            lambda: data.update_one({}, {"$set": {"n": 3}}),
            data.drop,
            drill.other.data.find_one,
            lambda: drill.flask_db.command("collMod", "data"),
            lambda: drill.admin.command("usersInfo", 1),
        ):
            assert refused(forbidden) == UNAUTHORIZED


@pytest.mark.usefixtures("secret")
def test_nobody_without_a_login(mongod: Mongod) -> None:
    """Once it is configured, who does not log in can do nothing, on the same machine too."""
    with mongod.anyone() as client:
        assert refused(client.flask_db.data.find_one) == UNAUTHORIZED
        create = {"createUser": "x", "pwd": "x", "roles": ["root"]}
        assert refused(lambda: client.admin.command(create)) == UNAUTHORIZED
