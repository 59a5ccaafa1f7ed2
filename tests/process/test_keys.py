"""Keys in real processes: revoked while they are in use, with a lost database, on a standalone."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest
import urllib3

from demijohn.auth.keyring import Kept
from tests.conftest import Starter
from tests.support.api import EJSON, JSON_PATCH, MERGE, THINGS, UPDATE, Api
from tests.support.database import Database
from tests.support.events import Listener
from tests.support.keys import Caller, keeping, new_key, settings
from tests.support.processes import wait_until
from tests.support.raw_http import connect, head, read_answer
from tests.support.service import Service, serving
from tests.support.wsgi import flask_run

NAME = "keys_in_use"
BOTH = {
    "DEMIJOHN_WORKERS": "2",
    "DEMIJOHN_FEED_HEARTBEAT": "0.5",
    "DEMIJOHN_BODY_MIN_RATE": "0",  # an upload waits here until a key is known to be none
}
LINES = "application/x-ndjson"


@pytest.fixture(scope="module")
def kept(database: Database) -> Iterator[Kept]:
    """The keys of the service under test."""
    with keeping(database, NAME) as kept:
        yield kept


@pytest.fixture(scope="module")
def service(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers that ask for keys."""
    of_keys = settings(database, NAME)
    with serving(tmp_path_factory.mktemp("keys-in-use"), {**BOTH, **of_keys}) as service:
        yield service


def statuses(service: Service, key: str) -> set[int]:
    """What a key gets of the workers, each of which is asked."""
    found = set()
    left = set(service.workers())
    while left:
        with connect(service.port) as connection:
            connection.sendall(head("GET", "/data", f"Authorization: Bearer {key}"))
            found.add(read_answer(connection).status)
            left = {each for each in left if not _has_taken(each, connection)}
    return found


def _has_taken(worker: int, connection: socket.socket) -> bool:
    """Whether it is the worker at the other end."""
    ours = connection.getsockname()
    return any(each.raddr == ours for each in psutil.Process(worker).net_connections("tcp"))


def follow(url: str, key: str) -> Listener:
    """A stream of changes that is ready."""
    return Listener(url, Authorization=f"Bearer {key}").ready()


def test_a_key_is_let_in_and_revoked_in_every_worker(service: Service, kept: Kept) -> None:
    """Made while the service runs, and revoked; others stay what they are."""
    key, text = new_key("*:write")
    other, other_text = new_key("data:read")
    kept.add(other)
    kept.add(key)
    wait_until(lambda: statuses(service, text) == {200}, "the key works everywhere")
    kept.remove(key.caller.id)
    wait_until(lambda: statuses(service, text) == {401}, "it works nowhere")
    assert statuses(service, other_text) == {200}


def test_a_stream_of_changes_ends_with_its_key(service: Service, kept: Kept) -> None:
    """It is told why, before anything that happens afterwards, and the other one goes on."""
    key, text = new_key("*:read")
    other, other_text = new_key("*:write")
    kept.add(other)
    kept.add(key)
    wait_until(lambda: statuses(service, text) == {200}, "the key works everywhere")
    changes = f"{service.url}/v1/collections/things/changes"
    followed, going_on = follow(changes, text), follow(changes, other_text)
    kept.remove(key.caller.id)
    wait_until(lambda: statuses(service, text) == {401}, "it works nowhere")
    Caller(service.url, other_text).post('{"a":1}', THINGS)

    end = followed.wait_for_end()
    assert (end.name, end.data["code"]) == ("error", "unauthenticated")
    assert followed.changes == []
    assert len(going_on.wait_for(1)) == 1
    followed.close()
    going_on.close()


def test_a_long_answer_is_cut_with_its_key(
    service: Service, kept: Kept, database: Database
) -> None:
    """An export under way does not go on to its end, and cannot be taken for whole."""
    key, text = new_key("*:read")
    kept.add(key)
    with pymongo.MongoClient[dict[str, Any]](database.uri) as client:
        large = client[NAME]["large"]
        large.insert_many([{"_id": at, "x": 40_000 * "x"} for at in range(1_000)])
        wait_until(lambda: statuses(service, text) == {200}, "the key works everywhere")
        answer = urllib3.request(
            "GET",
            f"{service.url}/v1/collections/large/documents",
            headers={"Authorization": f"Bearer {text}", "Accept": LINES},
            preload_content=False,
            retries=False,
        )
        assert answer.status == 200
        answer.read(1_000)
        kept.remove(key.caller.id)
        wait_until(lambda: statuses(service, text) == {401}, "it works nowhere")
        with pytest.raises(urllib3.exceptions.HTTPError):
            answer.read()
        large.drop()


def test_an_upload_ends_with_its_key(service: Service, kept: Kept) -> None:
    """What comes after the revocation is refused; nothing of it is kept."""
    key, text = new_key("*:write")
    other, other_text = new_key("*:admin")
    kept.add(other)
    kept.add(key)
    reader = Caller(service.url, other_text)
    wait_until(lambda: statuses(service, text) == {200}, "the key works everywhere")
    reader.delete("/v1/collections/uploaded")
    with connect(service.port) as upload:
        upload.sendall(
            b"POST /v1/collections/uploaded/documents HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
            b"Authorization: Bearer " + text.encode() + b"\r\n\r\n" + _chunk({"_id": "before"})
        )
        path = "/v1/collections/uploaded/documents"
        wait_until(lambda: reader.get(f"{path}/before").status == 200, "the first line is kept")
        kept.remove(key.caller.id)
        wait_until(lambda: statuses(service, text) == {401}, "it works nowhere")
        upload.sendall(_chunk({"_id": "after"}))
        said = b""
        while part := upload.recv(65_536):
            said += part
            if b"unauthenticated" in said:
                break
    assert b'"code":"unauthenticated"' in said
    assert b'"done":true' not in said
    assert [each["_id"] for each in reader.get(path).json()["documents"]] == ["before"]


def _chunk(document: dict[str, object]) -> bytes:
    line = json.dumps(document).encode() + b"\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


def test_keys_without_their_database(
    own_database: Database, own_service: Starter, tmp_path: Path
) -> None:
    """Nobody is told that a good key is none: 503 until it is back, and the probes answer.

    On the management port, where no key is needed, there are metrics all the while.
    """
    key, text = new_key("*:write")
    unknown = new_key("*:write")[1]
    with keeping(own_database, NAME) as kept:
        kept.add(key)
    service = own_service({**settings(own_database, NAME), "DEMIJOHN_WORKERS": "1"})
    client, nobody = Caller(service.url, text), Api(service.url)
    assert client.insert({"n": 1}).status == 201
    own_database.kill()
    late = Caller(service.url, unknown)
    # What was known holds for some seconds yet; then nobody can say whose key it is.
    wait_until(lambda: late.get("/data").status == 503, "nobody can say")
    for _ in range(3):
        assert client.get("/data").problem() == "database-unavailable"
        assert late.get("/data").problem() == "database-unavailable"
        # Who shows none is nobody, and what is no key is none, whatever the database would say.
        assert nobody.get("/data").status == 401
        assert nobody.get("/data", Authorization="Bearer x").status == 401
        assert nobody.get("/").status == 200
        assert client.get("/metrics").problem() == "database-unavailable"
        for path in ("/livez", "/readyz"):
            assert [each.get(path).status for each in (client, late, nobody)] == [200] * 3
    managed = {**settings(own_database, NAME), "DEMIJOHN_MANAGEMENT_PORT": "0"}
    with serving(tmp_path / "second", managed) as second:
        asked = Caller(second.url, text)
        for scraper in (Caller(second.management_url, text), Api(second.management_url)):
            assert scraper.get("/metrics").status == 200
        assert asked.get("/data").problem() == "database-unavailable"
        assert asked.get("/livez").status == 200
        own_database.start()
        wait_until(lambda: client.insert({"n": 2}).status == 201, "it is back")
        wait_until(lambda: asked.get("/data").status == 200, "it is back there too")
    assert late.get("/data").status == 401


def test_metrics_are_asked_for_first(database: Database, kept: Kept, tmp_path: Path) -> None:
    """A scraper's key holds where nobody else has asked, and no thread looks for keys meanwhile."""
    key, text = new_key("*:read")
    kept.add(key)
    with flask_run(tmp_path, settings(database, NAME)) as url:
        assert Caller(url, text).get("/metrics").status == 200
        assert Caller(url, None).get("/metrics").status == 401


def test_row_filters_on_a_standalone(standalone: Database, own_service: Starter) -> None:
    """Without transactions too another's document is none, and stays what it is."""
    ada_key, ada_text = new_key("*:admin", rows='{"owner":"ada"}')
    with keeping(standalone, NAME) as kept:
        kept.add(ada_key)
    service = own_service(settings(standalone, NAME))
    ada = Caller(service.url, ada_text)
    with pymongo.MongoClient[dict[str, Any]](standalone.uri) as client:
        things = client[NAME]["things"]
        things.delete_many({})
        theirs = {"_id": "b", "owner": "bob", "n": 1}
        things.insert_many([theirs, {"_id": "a", "owner": "ada", "n": 1}])
        _attack(ada)
        assert things.find_one({"_id": "b"}) == theirs
        assert things.find_one({"_id": "a"}) == {"_id": "a", "owner": "ada", "n": 2}


def _attack(ada: Caller) -> None:
    theirs, own, mine = f"{THINGS}/b", f"{THINGS}/a", '{"owner":"ada","n":2}'
    assert ada.put(theirs, mine).problem() == "duplicate-key"
    assert ada.put(theirs, mine, If_None_Match="*").problem() == "duplicate-key"
    assert ada.put(theirs, mine, If_Match="*").status == 412
    assert ada.post('{"_id":"b","owner":"ada"}', THINGS).problem() == "duplicate-key"
    once = ada.post('{"_id":"b","owner":"ada"}', THINGS, Idempotency_Key="b")
    assert once.problem() == "duplicate-key"
    assert ada.post('{"owner":"bob"}', THINGS, Idempotency_Key="c").problem() == "forbidden"
    assert ada.delete(theirs).problem() == "not-found"
    for kind, patch in (
        (MERGE, '{"n":2}'),
        (EJSON, '{"n":2}'),
        (JSON_PATCH, '[{"op":"add","path":"/n","value":2}]'),
        (UPDATE, '{"$set":{"n":2}}'),
    ):
        assert ada.patch(theirs, patch, kind).problem() == "not-found"
        assert ada.patch(own, patch, kind).status == 200
    assert ada.patch(own, '{"$set":{"owner":"bob"}}', UPDATE).problem() == "forbidden"
    assert ada.patch(own, '{"owner":"bob"}').problem() == "forbidden"
    assert ada.put(own, '{"owner":"bob"}').problem() == "forbidden"
    assert ada.put(own, mine).status == 200
    assert ada.patch(f"{THINGS}?all=true", '{"$set":{"n":2}}', UPDATE).json()["matched"] == 1
    assert ada.delete(f"{THINGS}?owner=bob").json() == {"deleted": 0}
