"""Live changes under each kind of server: what is told, in which shape, and what is refused."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote
from uuid import uuid4

import bson
import pymongo
import pytest
from bson.raw_bson import RawBSONDocument

from tests.contract.conftest import Things
from tests.support.api import CANONICAL, UPDATE, Api
from tests.support.events import Event, listening

THINGS = "/v1/collections/{}/documents"
CHANGES = "/v1/collections/{}/changes"


@pytest.fixture
def things(raw_client: pymongo.MongoClient[RawBSONDocument]) -> Things:
    """A collection of the test's own: what happened to one just before may be told too."""
    return raw_client["flask_db"][uuid4().hex]


@pytest.fixture
def changes(api: Api, things: Things) -> str:
    """Where its changes are told."""
    return api.url + CHANGES.format(things.name)


def _told(events: list[Event]) -> list[tuple[str, object, object]]:
    return [(each.name, each.data["id"], each.data["document"]) for each in events]


def test_each_kind_of_change_is_told(api: Api, things: Things, changes: str) -> None:
    """Inserted, changed, replaced and deleted: in order, with the document where there is one."""
    one = f"{THINGS.format(things.name)}/one"
    with listening(changes) as listener:
        assert listener.answer.headers["Content-Type"] == "text/event-stream"
        assert listener.answer.headers["Cache-Control"] == "no-store"
        (ready,) = listener.events
        assert ready == Event("ready", {}, ready.id)
        assert ready.id is not None
        api.put(one, '{"a": 1}')
        listener.wait_for(1)
        api.patch(one, '{"$set": {"a": 2}}', UPDATE)
        listener.wait_for(2)
        api.put(one, '{"b": 1}')
        listener.wait_for(3)
        api.delete(one)
        told = _told(listener.wait_for(4))
    assert [each[0] for each in told[:1] + told[3:]] == ["insert", "delete"]
    assert [each[1] for each in told] == ["one"] * 4
    assert [each[2] for each in told] == [
        {"_id": "one", "a": 1},
        {"_id": "one", "a": 2},
        {"_id": "one", "b": 1},
        None,
    ]
    assert all(each.data["operation"] == each.name for each in listener.changes)
    assert things.count_documents({}) == 0


def test_documents_are_in_the_spelling_that_is_asked_for(things: Things, changes: str) -> None:
    """Plain without a wish, Extended JSON by a parameter of the media type; ids alike."""
    identity = bson.ObjectId()
    accept = CANONICAL.replace("application/ejson", "text/event-stream")
    with (
        listening(changes) as plain,
        listening(changes, Accept=accept) as exact,
    ):
        things.insert_one({"_id": identity, "n": bson.Int64(1)})  # type: ignore[arg-type]
        assert plain.wait_for(1)[0].data["document"] == {"_id": str(identity), "n": 1}
        assert exact.wait_for(1)[0].data == {
            "operation": "insert",
            "id": {"$oid": str(identity)},
            "document": {"_id": {"$oid": str(identity)}, "n": {"$numberLong": "1"}},
        }
        assert exact.answer.headers["Content-Type"] == accept


def test_a_filter_and_fields_choose_what_is_told(things: Things, changes: str) -> None:
    """Of documents that meet the filter, the fields asked for; deletes always, by their id."""
    question = f"?filter={quote(json.dumps({'$or': [{'n': {'$gt': 5}}, {'m': 1}]}))}&fields=n"
    with listening(changes + question) as listener:
        for number, more in enumerate([{"n": 1}, {"n": 9, "x": 1}, {"m": 1, "x": 1}]):
            things.insert_one({"_id": number, **more})  # type: ignore[arg-type]
        things.update_one({"_id": 0}, {"$set": {"n": 7}})
        listener.wait_for(3)
        things.delete_one({"_id": 0})
        told = _told(listener.wait_for(4))
    assert told == [
        ("insert", 1, {"_id": 1, "n": 9}),
        ("insert", 2, {"_id": 2}),
        ("update", 0, {"_id": 0, "n": 7}),
        ("delete", 0, None),
    ]


def test_parameters_for_people_are_filters_too(things: Things, changes: str) -> None:
    """`status=open` lets through what a list of the same parameters has."""
    with listening(f"{changes}?status=open&n[gte]=2") as listener:
        things.insert_one({"_id": 1, "status": "open", "n": 1})  # type: ignore[arg-type]
        things.insert_one({"_id": 2, "status": "open", "n": 2})  # type: ignore[arg-type]
        assert [each.data["id"] for each in listener.wait_for(1)] == [2]


def test_who_comes_back_goes_on_after_any_event(things: Things, changes: str) -> None:
    """After each of the events: all that follow, none of those before; by header or parameter."""
    with listening(changes) as listener:
        first = listener.last_id
        things.insert_many([{"_id": number} for number in range(5)])  # type: ignore[misc]
        ids = [first, *(each.id for each in listener.wait_for(5))]
    for number, last in enumerate(ids):
        with listening(changes, last) as again:
            assert again.events[0].id == last
            told = [each.data["id"] for each in again.wait_for(5 - number)]
        assert told == list(range(number, 5))
    with listening(f"{changes}?after={ids[3]}") as again:
        assert [each.data["id"] for each in again.wait_for(2)] == [3, 4]
    with listening(f"{changes}?after={ids[0]}", ids[4]) as again:
        assert [each.data["id"] for each in again.wait_for(1)] == [4]


def test_a_transaction_is_told_once_it_is_committed(things: Things, changes: str) -> None:
    """Its changes come together, each with an id to come back to."""
    client = things.database.client
    with listening(changes) as listener:
        with client.start_session() as session, session.start_transaction():
            for number in range(3):
                things.insert_one({"_id": number}, session=session)  # type: ignore[arg-type]
        told = listener.wait_for(3)
        with listening(changes, told[0].id) as again:
            assert [each.data["id"] for each in again.wait_for(2)] == [1, 2]


def test_a_dropped_collection_is_told_and_followed_on(things: Things, changes: str) -> None:
    """After `drop` come the changes of the new collection of that name; by resuming too."""
    things.insert_one({"_id": 0})  # type: ignore[arg-type]
    with listening(changes) as listener:
        things.drop()
        listener.wait_for(1)
        things.insert_one({"_id": 1})  # type: ignore[arg-type]
        told = listener.wait_for(2)
        assert _told(told) == [("drop", None, None), ("insert", 1, {"_id": 1})]
        with listening(changes, told[0].id) as again:
            assert [each.data["id"] for each in again.wait_for(1)] == [1]
        with listening(changes, listener.events[0].id) as again:
            assert _told(again.wait_for(2)) == _told(told)


def _forged(token: bytes, real: str) -> str:
    """An id with the head of a real one, and another position."""
    raw = base64.urlsafe_b64decode(real + "=" * (-len(real) % 4))
    return base64.urlsafe_b64encode(raw[:15] + token).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"garbage",
        bson.encode({}),
        bson.encode({"_data": 1}),
        bson.encode({"_data": "zz"}),
        bson.encode({"_data": "8265"}),
        bson.encode({"_data": {"$gt": ""}}),
        bson.encode(
            {
                "_data": bson.encode(
                    {"s": 1, "t": bson.Timestamp(1, 1), "n": "admin.secrets", "k": {}}
                ).hex()
            }
        ),
    ],
)
def test_a_forged_id_is_refused(api: Api, things: Things, changes: str, token: bytes) -> None:
    """Before the stream begins, whatever stands in the place of the position."""
    with listening(changes) as listener:
        real = listener.last_id
    assert real is not None
    assert (
        api.get(CHANGES.format(things.name), Last_Event_ID=_forged(token, real)).problem()
        == "bad-cursor"
    )


def test_an_id_of_elsewhere_is_refused(api: Api) -> None:
    """Of another collection, cut, changed in its head, or no id at all."""
    with listening(f"{api.url}/v1/collections/others/changes") as listener:
        other = listener.last_id
    assert other is not None
    for wrong in (other, other[:-1], "A" + other, "x", "=", "é", " ", "A" * 3_000):
        answer = api.get(f"{CHANGES.format('things')}?after={quote(wrong)}")
        assert (answer.status, answer.problem()) == (400, "bad-cursor"), wrong


@pytest.mark.parametrize(
    ("question", "status", "code"),
    [
        ("?sort=a", 400, "bad-parameter"),
        ("?limit=5", 400, "bad-parameter"),
        ("?count=exact", 400, "bad-parameter"),
        ("?fields=a,-b", 400, "bad-parameter"),
        ("?a[$ne]=1", 400, "bad-parameter"),
        ("?filter={", 400, "malformed-json"),
        ('?filter={"$expr":{"$eq":[1,1]}}', 422, "invalid-filter"),
        ('?filter={"$and":[{"a":1},{"$expr":true}]}', 422, "invalid-filter"),
        ('?filter={"$where":"1"}', 422, "forbidden-operator"),
    ],
)
def test_what_cannot_be_asked_is_refused(api: Api, question: str, status: int, code: str) -> None:
    """Parameters of lists that a stream has no use for, and what no change can be asked."""
    answer = api.get(CHANGES.format("things") + quote(question, safe="?=&"))
    assert (answer.status, answer.problem()) == (status, code)


def test_the_head_is_checked(api: Api) -> None:
    """A name that is not reachable, an Accept that leaves nothing, a condition; HEAD is short."""
    assert api.get("/v1/collections/_idempotency/changes").problem() == "bad-parameter"
    assert (
        api.get(CHANGES.format("things"), Accept="application/json").problem() == "not-acceptable"
    )
    assert api.get(CHANGES.format("things"), If_None_Match="*").problem() == "bad-parameter"
    answer = api.ask("HEAD", CHANGES.format("things"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
