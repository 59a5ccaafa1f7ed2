"""What the service sends to its database, and what it needs to be allowed for that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from demijohn.exits import Exit
from demijohn.store.configure import Wanted, roles, users
from tests.conftest import Starter
from tests.support.api import UPDATE, Api
from tests.support.database import Database
from tests.support.mongod import Configurator, Mongod, Secret
from tests.support.raw_http import connect, head
from tests.support.recorder import Recorder
from tests.support.service import ROOT

READ_WRITE = frozenset(
    (
        "changeStream",
        "collStats",
        "convertToCapped",
        "createCollection",
        "createIndex",
        "dbHash",
        "dbStats",
        "dropCollection",
        "dropIndex",
        "find",
        "insert",
        "killCursors",
        "listCollections",
        "listIndexes",
        "remove",
        "renameCollectionSameDB",
        "update",
    )
)
"""Actions of the built-in role `readWrite` (MongoDB manual, "Built-In Roles")."""
OF_THE_PROXY = frozenset({"_isSelf"})
"""What mongod itself sends to the address of its member, while the set is initiated."""
ELSEWHERE = frozenset({"findAndModify"})
"""What is sent to a standalone mongod alone."""
TRANSACTIONS = frozenset({"commitTransaction", "abortTransaction"})
BY_CHANCE = frozenset({"killCursors", "hello", "saslStart", "saslContinue"})
"""Whether a client that leaves is noticed inside a batch; how a login is made is the driver's."""
MANY = 20_000
"""Documents of 2 kB: more than a batch, and more than an unread answer's buffers hold."""


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A server that was never initiated."""
    mongod = Mongod(tmp_path / "mongod").start()
    yield mongod
    mongod.kill()


def _table() -> dict[str, tuple[str, str]]:
    """Command → (action, role), as the documentation has them."""
    text = (ROOT / "docs/reference/database.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \| ([^|]+) \|$", _section(text), re.MULTILINE)
    return {
        name: (action, role)
        for names, action, role in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def _section(text: str) -> str:
    return text.partition("| Command | Action |")[2].partition("\n\n")[0]


def _whole_life(api: Api) -> None:
    """A document's whole life, with conditions and with a key."""
    where = "/v1/collections/things/documents/one"
    made = api.put(where, '{"n": 1}')
    assert made.status == 201
    assert api.get(where).status == 200
    assert api.put(where, '{"n": 2}', If_Match='"stale.p"').status == 412
    assert api.put(where, '{"n": 2}', If_Match=made.headers["ETag"]).status == 200
    assert api.patch(where, '{"$inc": {"n": 1}}', UPDATE).status == 200
    assert api.post('{"n": 3}', Idempotency_Key="a").status == 201
    assert api.delete(where).status == 204


def _many(api: Api) -> None:
    """Many documents: lists, counts, changes by a filter, indexes, collections."""
    things = "/v1/collections/things"
    documents = f"{things}/documents"
    assert api.put(things, '{"require_if_match": false}').status in (200, 201)
    assert api.post('[{"n": 1}, {"n": 2}]', documents).status == 201
    for path in (f"{documents}?count=exact&n=1", f"{documents}?count=estimated", things):
        assert api.get(path).status == 200
    assert api.get("/v1/collections").status == 200
    assert api.get(f"{things}/distinct/n").status == 200
    assert api.post('{"pipeline": [{"$count": "n"}]}', f"{things}/aggregate").status == 200
    assert api.patch(f"{documents}?n=1", '{"$inc": {"n": 1}}', UPDATE).status == 200
    assert api.ask("DELETE", f"{documents}?n=2").status == 200
    assert api.post('{"key": {"n": 1}, "name": "n"}', f"{things}/indexes").status == 201
    assert api.delete(f"{things}/indexes/n").status == 204
    assert api.delete(things).status == 204


def test_every_command_that_the_service_sends(
    mongod: Mongod, tmp_path: Path, own_service: Starter
) -> None:
    """All of them, seen at the wire, are those that the documentation lists."""
    with Recorder(mongod.port) as recorder:
        secret = Secret(tmp_path / "secret", f"127.0.0.1:{recorder.port}")
        assert Configurator(mongod, secret, "--once").wait() == Exit.OK
        service = own_service({"MONGODB_URI": secret.uri})
        api = Api(service.url)
        assert api.insert({"n": 1}).status == 201
        _whole_life(api)
        _many(api)
        with mongod.login("root", secret.values["root-password"]) as root:
            root.flask_db.data.insert_many([{"x": "y" * 2000} for _ in range(MANY)])
        assert len(api.get("/data").json()) == MANY + 2
        with connect(service.port) as connection:
            connection.sendall(head("GET", "/data"))
            connection.recv(1000)
        assert api.get("/readyz").status == 200
        assert service.stop() == Exit.OK
    assert recorder.commands - OF_THE_PROXY <= set(_table()) - ELSEWHERE
    assert recorder.commands >= set(_table()) - ELSEWHERE - BY_CHANCE


def test_every_command_to_a_standalone(standalone: Database, own_service: Starter) -> None:
    """There too: what needs a transaction elsewhere is one command."""
    with Recorder(standalone.port) as recorder:
        service = own_service(
            {
                "MONGODB_URI": f"mongodb://127.0.0.1:{recorder.port}/",
                "DEMIJOHN_DATABASE": "commands_sent",
            }
        )
        _whole_life(Api(service.url))
        assert service.stop() == Exit.OK
    assert recorder.commands <= set(_table()) - TRANSACTIONS
    assert recorder.commands >= {"insert", "find", "update", "delete", *ELSEWHERE}


def test_every_action_is_granted() -> None:
    """Each that a command needs is among its role's, and the role is one that the user has."""
    wanted = Wanted("rs0", "h:1", "flask_db", "app", "a", "r", "d")
    (app,) = [user["roles"] for user in users(wanted) if user["name"] == "app"]
    granted = {"readWrite": READ_WRITE} | {
        role["name"]: frozenset(role["privileges"][0]["actions"]) for role in roles(wanted)
    }
    mine = {role["role"]: granted[role["role"]] for role in app}
    needs = {name: (re.findall(r"`(\w+)`", what), by) for name, (what, by) in _table().items()}
    assert {name for name, (actions, _) in needs.items() if actions} == {
        "insert",
        "find",
        "update",
        "delete",
        "findAndModify",
        "aggregate",
        "count",
        "distinct",
        "listCollections",
        "create",
        "drop",
        "listIndexes",
        "createIndexes",
        "dropIndexes",
    }
    for actions, by in needs.values():
        if actions:
            assert set(actions) <= mine[by.strip("`")]
    assert "collMod" not in READ_WRITE
    assert mine["demijohnCollMod"] == {"collMod"}
