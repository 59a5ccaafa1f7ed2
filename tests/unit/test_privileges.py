"""What the configurator plans to allow: these rights, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from demijohn.settings import SettingsError
from demijohn.store.configure import ConfigureError, Wanted, roles, service_user, users

ANY = ""


def _wanted() -> Wanted:
    return Wanted("rs0", "mongodb-0.mongodb:27017", "flask_db", "app", "a", "r", "d")


def _granted(user: str) -> set[tuple[str, str, str]]:
    """(role or action, database, collection) that the user has."""
    own = {role["name"]: role for role in roles(_wanted())}
    (rights,) = [each["roles"] for each in users(_wanted()) if each["name"] == user]
    return {right for role in rights for right in _of_role(role, own)}


def _of_role(role: dict[str, str], own: dict[str, Any]) -> set[tuple[str, str, str]]:
    if role["role"] not in own:
        return {(role["role"], role["db"], ANY)}
    assert role["db"] == "admin"
    assert own[role["role"]]["roles"] == []
    return {
        (action, privilege["resource"]["db"], privilege["resource"]["collection"])
        for privilege in own[role["role"]]["privileges"]
        for action in privilege["actions"]
    }


def test_the_services_user() -> None:
    """It reads and writes its database and changes validators there, and that is all."""
    assert _granted("app") == {("readWrite", "flask_db", ANY), ("collMod", "flask_db", ANY)}


def test_the_drills_user() -> None:
    """It finds and removes documents of one collection, and that is all."""
    assert _granted("demijohnDrill") == {
        ("find", "flask_db", "data"),
        ("remove", "flask_db", "data"),
    }


def test_nobody_else() -> None:
    """Beside root there are these two users."""
    assert {each["name"] for each in users(_wanted())} == {"app", "demijohnDrill"}


def test_no_password_in_a_traceback() -> None:
    """What the plan shows of itself has none of the passwords."""
    plan = Wanted("rs0", "h:1", "flask_db", "app", *(f"secret-{n}" for n in range(3)))
    assert "secret" not in repr(plan)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("plain-_09", "plain-_09"),
        ("%3A%2F%3F%23%5B%5D%40", ":/?#[]@"),
        ("p%25ss%20w%C3%B6rd", "p%ss wörd"),
        ("a%2Bb", "a+b"),
    ],
)
def test_the_login_in_a_uri(written: str, read: str) -> None:
    """User and password are read as the driver reads them, percent-encoding undone once."""
    uri = f"mongodb://{written}:{written}@mongodb:27017/?replicaSet=rs0&authSource=admin"
    assert service_user(uri) == (read, read)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://mongodb:27017/",
        "mongodb://user@mongodb/",
        "mongodb://root:x@mongodb/",
        "mongodb://demijohnDrill:x@mongodb/",
        "mongodb://user:x@mongodb/flask_db",
        "mongodb://user:x@mongodb/?authSource=flask_db",
        "mongodb://user:x%zz@mongodb/",
    ],
)
def test_a_uri_whose_login_cannot_be_made(uri: str) -> None:
    """No login, one of a user with other rights, or one looked up elsewhere than in `admin`."""
    with pytest.raises(ConfigureError):
        service_user(uri)


def test_a_uri_that_the_service_refuses() -> None:
    """What would stop the service stops the configurator too."""
    with pytest.raises(SettingsError):
        service_user("mongodb://user:x@mongodb/?w=1")
