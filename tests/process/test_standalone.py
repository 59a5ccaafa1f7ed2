"""The service on a standalone mongod: the guide's `docker run mongo`, with nothing else set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import bson
import pytest

from demijohn.store.by_value import LARGEST_COMPARED
from tests.support.api import EJSON, JSON_PATCH, MERGE, THINGS, UPDATE, Answer, Api
from tests.support.database import Database, Documents, emptied
from tests.support.processes import wait_until
from tests.support.service import Service, serving
from tests.support.together import at_once

WRITERS = 8


@pytest.fixture(scope="module")
def plain_service(
    standalone: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service with the standalone's URI, and no other setting."""
    with serving(tmp_path_factory.mktemp("plain"), {"MONGODB_URI": standalone.uri}) as service:
        yield service


@pytest.fixture
def api(plain_service: Service) -> Iterator[Api]:
    """A client of it."""
    with closing(Api(plain_service.url)) as api:
        yield api


@pytest.fixture
def things(standalone: Database) -> Iterator[Documents]:
    """What lies in `flask_db.things`, seen by another client; empty at first."""
    with emptied(standalone.uri, "things") as collection:
        yield collection


def _put(api: Api, name: str, value: object, **headers: str) -> Answer:
    """PUT of a value under an id; an underscore in a header's name stands for a hyphen."""
    return _ask(api, "PUT", name, value, "application/json", **headers)


def _ask(
    api: Api, method: str, name: str, value: object, media_type: str, **headers: str
) -> Answer:
    named = {key.replace("_", "-"): text for key, text in headers.items()}
    body = json.dumps(value)
    return api.ask(method, f"{THINGS}/{name}", body, {"Content-Type": media_type, **named})


def test_the_log_says_what_it_is(plain_service: Service, api: Api) -> None:
    """Started with the URI alone, it serves; each worker says what the database lacks."""
    assert api.insert({"n": 1}).status == 201
    assert {"n": 1} in api.get("/data").json()
    workers = len(plain_service.workers())
    wait_until(
        lambda: len(plain_service.events("database is a standalone")) == workers, "all say so"
    )
    for each in plain_service.events("database is a standalone"):
        assert each["level"] == "warning"
        assert "--replSet" in str(each["hint"])
    assert {each["kind"] for each in plain_service.events("database reached")} == {"Single"}


def test_a_document_from_its_birth_to_its_end(api: Api, things: Documents) -> None:
    """POST, GET, HEAD, PUT, DELETE: each does what it does on a replica set."""
    made = api.post('{"n": 1}', THINGS)
    assert made.status == 201
    where = made.headers["Location"]
    read = api.get(where)
    assert (read.status, read.headers["ETag"]) == (200, made.headers["ETag"])
    head = api.ask("HEAD", where)
    assert (head.status, head.headers["ETag"], head.body) == (200, read.headers["ETag"], b"")
    assert api.get(where, If_None_Match=read.headers["ETag"]).status == 304
    put = api.ask("PUT", where, '{"n": 2}', {"Content-Type": "application/json"})
    assert (put.status, put.json()["n"]) == (200, 2)
    assert put.headers["ETag"] != read.headers["ETag"]
    assert api.ask("DELETE", where).status == 204
    assert api.get(where).problem() == "not-found"
    assert api.ask("DELETE", where).problem() == "not-found"
    assert things.count_documents({}) == 0


def test_an_id_of_the_clients_own(api: Api, things: Documents) -> None:
    """PUT creates where nothing is, POST of the same id is a duplicate."""
    assert _put(api, "a/b", {"n": 1}).status == 201
    assert _put(api, "a/b", {"n": 2}, Prefer="return=minimal").status == 204
    assert api.post('{"_id": "a/b"}', THINGS).problem() == "duplicate-key"
    assert list(things.find()) == [{"_id": "a/b", "n": 2}]


PATCHES = {
    "application/json": {"n": 2, "gone": None},
    MERGE: {"n": 2, "gone": None},
    EJSON: {"n": {"$numberInt": "2"}, "gone": None},
    JSON_PATCH: [
        {"op": "test", "path": "/n", "value": 1},
        {"op": "replace", "path": "/n", "value": 2},
        {"op": "remove", "path": "/gone"},
    ],
    UPDATE: {"$inc": {"n": 1}, "$unset": {"gone": ""}},
}


@pytest.mark.parametrize("media_type", PATCHES)
def test_every_kind_of_patch(api: Api, things: Documents, media_type: str) -> None:
    """Each is applied to the document as it is, and what it does not name stays."""
    things.insert_one({"_id": "x", "n": 1, "gone": True, "kept": 1.5})
    done = _ask(api, "PATCH", "x", PATCHES[media_type], media_type)
    assert (done.status, done.json()) == (200, {"_id": "x", "n": 2, "kept": 1.5})
    assert things.find_one() == {"_id": "x", "n": 2, "kept": 1.5}
    stale = _ask(api, "PATCH", "x", PATCHES[media_type], media_type, If_Match='"stale.p"')
    assert stale.problem() == "precondition-failed"
    assert things.find_one() == {"_id": "x", "n": 2, "kept": 1.5}


@pytest.mark.parametrize(
    "update",
    [
        {"$set": {".".join("a" * 101): 1}},
        {"$push": {"n": 1}},
        {"$set": {"kept": 2}, "$inc": {"text": 1}},
    ],
    ids=["too deep", "no array", "half of it"],
)
def test_operators_that_do_not_fit(api: Api, things: Documents, update: object) -> None:
    """They change nothing, though no transaction undoes them."""
    before = {"_id": "x", "n": 1, "text": "a", "kept": 1}
    things.insert_one(before)
    refused = _ask(api, "PATCH", "x", update, UPDATE)
    assert refused.problem() == "invalid-patch"
    assert things.find_one() == before


def test_conditions(api: Api, things: Documents) -> None:
    """The tag of what is there lets a write pass, any other does not; `*` asks for existence."""
    assert _put(api, "x", {"n": 0}, If_Match="*").problem() == "precondition-failed"
    first = _put(api, "x", {"n": 1}, If_None_Match="*")
    assert first.status == 201
    assert _put(api, "x", {"n": 0}, If_None_Match="*").problem() == "precondition-failed"
    second = _put(api, "x", {"n": 2}, If_Match=first.headers["ETag"])
    assert second.status == 200
    refused = _put(api, "x", {"n": 0}, If_Match=first.headers["ETag"])
    assert refused.problem() == "precondition-failed"
    assert refused.headers["ETag"] == second.headers["ETag"]
    stale = {"If-Match": first.headers["ETag"]}
    assert api.ask("DELETE", f"{THINGS}/x", headers=stale).problem() == "precondition-failed"
    assert things.find_one() == {"_id": "x", "n": 2}
    assert api.ask("DELETE", f"{THINGS}/x", headers={"If-Match": "*"}).status == 204


def test_a_tag_is_of_the_bytes(api: Api, things: Documents) -> None:
    """1 that had become 1.0 before the request came is another version, here too."""
    tag = _put(api, "x", {"n": 1}).headers["ETag"]
    things.update_one({"_id": "x"}, {"$set": {"n": 1.0}})
    assert _put(api, "x", {"n": 2}, If_Match=tag).problem() == "precondition-failed"


@pytest.mark.parametrize("round_", range(5))
def test_one_writer_of_many_wins(api: Api, things: Documents, round_: int) -> None:
    """Of the writers with one tag exactly one changes the document; the others get 412."""
    del round_
    tag = _put(api, "x", {"by": "nobody"}).headers["ETag"]
    answers = at_once(WRITERS, lambda number: _put(api, "x", {"by": number}, If_Match=tag))
    winners = [number for number, answer in enumerate(answers) if answer.status == 200]
    assert len(winners) == 1
    assert {each.problem() for each in answers if each.status != 200} == {"precondition-failed"}
    assert things.find_one() == {"_id": "x", "by": winners[0]}


def test_no_increment_is_lost(api: Api, things: Documents) -> None:
    """Writers who read, add one and write under If-Match: the sum is the number of successes."""
    things.insert_one({"_id": "x", "n": 0})

    def increment(_: int) -> int:
        read = api.get(f"{THINGS}/x")
        value = {"n": read.json()["n"] + 1}
        return _put(api, "x", value, If_Match=read.headers["ETag"]).status

    with ThreadPoolExecutor(WRITERS) as writers:
        statuses = list(writers.map(increment, range(20 * WRITERS)))
    assert set(statuses) <= {200, 412}
    assert things.find_one() == {"_id": "x", "n": statuses.count(200)}


def test_patches_do_not_undo_each_other(api: Api, things: Documents) -> None:
    """Unconditional patches of different fields at one time: each that succeeds is there."""
    things.insert_one({"_id": "x"})

    def write(number: int) -> int:
        value = {f"f{number}": number}
        return _ask(api, "PATCH", "x", value, MERGE).status

    with ThreadPoolExecutor(WRITERS) as writers:
        statuses = list(writers.map(write, range(5 * WRITERS)))
    assert set(statuses) <= {200, 409}
    there = {f"f{n}": n for n, status in enumerate(statuses) if status == 200}
    assert things.find_one() == {"_id": "x", **there}


def test_what_is_too_large_to_be_compared(api: Api, things: Documents) -> None:
    """Past 7 MiB a condition gets 413 and nothing changes; without one all but PATCH works."""
    empty = len(bson.encode({"_id": "x", "text": ""}))
    things.insert_one({"_id": "x", "text": "x" * (LARGEST_COMPARED - empty + 1)})
    tag = api.ask("HEAD", f"{THINGS}/x").headers["ETag"]
    assert _put(api, "x", {"n": 1}, If_Match=tag).problem() == "too-large"
    condition = {"If-Match": tag}
    assert api.ask("DELETE", f"{THINGS}/x", headers=condition).problem() == "too-large"
    patch = _ask(api, "PATCH", "x", {"n": 1}, MERGE)
    assert patch.problem() == "too-large"
    assert api.ask("HEAD", f"{THINGS}/x").headers["ETag"] == tag
    assert _put(api, "x", {"n": 1}).status == 200
    assert things.find_one() == {"_id": "x", "n": 1}


def test_under_a_schema_operators_need_a_transaction(api: Api, things: Documents) -> None:
    """What they make of a document could not be undone: 501; all else is held to the schema."""
    things.insert_one({"_id": "one", "n": 1})
    schema = {"properties": {"n": {"type": "integer"}}}
    path = THINGS.removesuffix("/documents")
    assert api.put(path, json.dumps({"schema": schema})).status == 200
    try:
        update = _ask(api, "PATCH", "one", {"$set": {"n": "a"}}, UPDATE)
        assert (update.status, update.problem()) == (501, "needs-replica-set")
        wrong = json.dumps({"n": "a"})
        for answer in (
            api.post(wrong, THINGS),
            api.post(wrong, THINGS, Idempotency_Key="schema"),
            _put(api, "one", {"n": "a"}),
            _ask(api, "PATCH", "one", {"n": "a"}, MERGE),
        ):
            assert (answer.status, answer.problem()) == (422, "invalid-document")
        assert list(things.find()) == [{"_id": "one", "n": 1}]
        assert _put(api, "one", {"n": 2}).status == 200
    finally:
        assert api.delete(path).status == 204
