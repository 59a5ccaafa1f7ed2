"""What a key with a row filter writes: its own documents, before and after, by every path."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import bson
import pytest

from tests.contract.conftest import Things, keep
from tests.support.api import CANONICAL, EJSON, JSON, JSON_PATCH, MERGE, THINGS, UPDATE, Answer
from tests.support.keys import Caller
from tests.support.tenants import FAILING, FILTERS, FOREIGN, MINE, Tenants

NDJSON = "application/x-ndjson"
CONDITIONS = [
    {},
    {"If-Match": "*"},
    {"If-None-Match": "*"},
    {"If-Match": '"x"'},
    {"If-None-Match": '"x"'},
]
REQUESTS: list[tuple[str, object, dict[str, str]]] = [
    ("GET", None, {}),
    ("HEAD", None, {}),
    ("GET", None, {"Accept": CANONICAL}),
    ("DELETE", None, {}),
    ("DELETE", None, {"Idempotency-Key": "k-delete"}),
    ("PATCH", {"n": 1}, {"Content-Type": MERGE}),
    ("PATCH", {"owner": "ada"}, {"Content-Type": MERGE}),
    ("PATCH", {"n": 1}, {"Content-Type": EJSON}),
    ("PATCH", [{"op": "test", "path": "/hush", "value": 1}], {"Content-Type": JSON_PATCH}),
    ("PATCH", {"$set": {"n": 1}}, {"Content-Type": UPDATE}),
    ("PATCH", {"$inc": {"hush": 1}}, {"Content-Type": UPDATE}),
    ("PATCH", {"n": 1}, {"Content-Type": MERGE, "Idempotency-Key": "k-patch"}),
]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize(("method", "body", "headers"), REQUESTS)
def test_another_s_document_is_none(
    method: str,
    body: object,
    headers: dict[str, str],
    condition: dict[str, str],
    tenants: Tenants,
) -> None:
    """All is said of it, its ETag too, that is said of an id under which there is nothing."""
    more = {**headers, **condition}
    for id_ in ("b1", "b4", "b8"):
        answers = []
        for each in (id_, "absent"):
            if "Idempotency-Key" in more:
                more = {**more, "Idempotency-Key": f"{method}-{each}-{sorted(condition.items())}"}
                more["Idempotency-Key"] = quote(more["Idempotency-Key"])
            answers.append(tenants.ask(method, f"{THINGS}/{each}", body, more))
        assert told(answers[0]) == told(answers[1])
        assert answers[0].status in (404, 412)
        assert "ETag" not in answers[0].headers


def told(answer: Answer) -> object:
    """All of an answer that is not of the one request alone."""
    passing = ("x-request-id", "traceresponse", "date", "content-length", "idempotency-replayed")
    headers = {
        name.lower(): value for name, value in answer.headers.items() if name.lower() not in passing
    }
    body = json.loads(answer.body) if answer.body else {}
    return answer.status, headers, {**body, "request_id": None}


def test_another_s_id_is_taken(tenants: Tenants, bob: Caller) -> None:
    """A write that wants it is 409, which tells nothing else; no tag of bob's helps."""
    mine = {"owner": "ada", "n": 1}
    tag = bob.get(f"{THINGS}/b1").headers["ETag"]
    for id_ in ("b1", "b4", "b8"):
        path = f"{THINGS}/{id_}"
        assert tenants.ask("PUT", path, mine).problem() == "duplicate-key"
        create = {"If-None-Match": "*"}
        assert tenants.ask("PUT", path, mine, create).problem() == "duplicate-key"
        assert tenants.ask("PUT", path, mine, {"If-Match": "*"}).status == 412
        assert tenants.ask("PUT", path, mine, {"If-Match": tag}).status == 412
        once = {"Idempotency-Key": f"put-{id_}"}
        assert tenants.ask("PUT", path, mine, once).problem() == "duplicate-key"
        assert tenants.ask("POST", THINGS, {"_id": id_, **mine}).problem() == "duplicate-key"
        once = {"Idempotency-Key": f"post-{id_}"}
        posted = tenants.ask("POST", THINGS, {"_id": id_, **mine}, once)
        assert posted.problem() == "duplicate-key"
        array = tenants.ask("POST", THINGS, [{"_id": id_, **mine}])
        assert (array.status, array.json()["inserted"]) == (409, 0)
        array = tenants.ask("POST", THINGS, [{"_id": id_, **mine}], {"Idempotency-Key": id_})
        assert (array.status, array.json()["inserted"]) == (409, 0)
    assert set(tenants.own()) == set(MINE)


OWNERS: list[object] = ["bob", "Ada", "ada\0", None, 1, ["ada"], ["ada", "bob"], {"owner": "ada"}]


@pytest.mark.parametrize("owner", OWNERS)
def test_what_is_written_is_one_s_own(owner: object, tenants: Tenants) -> None:
    """403 with a pointer to what is wrong, for whatever is inserted or becomes of a document."""
    wrong = {"owner": owner, "n": 9}
    before = tenants.own()
    attempts: list[tuple[str, str, object, str]] = [
        ("PUT", f"{THINGS}/a1", wrong, "application/json"),
        ("PUT", f"{THINGS}/new", wrong, EJSON),
        ("PATCH", f"{THINGS}/a1", {"owner": owner}, MERGE),
        ("PATCH", f"{THINGS}/a1", {"owner": owner}, EJSON),
        ("PATCH", f"{THINGS}/a1", {"$set": {"owner": owner}}, UPDATE),
        ("POST", THINGS, wrong, "application/json"),
    ]
    patch = [{"op": "replace", "path": "/owner", "value": owner}]
    attempts.append(("PATCH", f"{THINGS}/a1", patch, JSON_PATCH))
    for at, (method, path, body, kind) in enumerate(attempts):
        for more in ({}, {"Idempotency-Key": quote(f"own-{owner}-{at}")}):
            answer = tenants.ask(method, path, body, {"Content-Type": kind, **more})
            assert (answer.status, answer.problem()) == (403, "forbidden"), (method, path, kind)
            assert answer.pointers() == ["/owner"]
    assert tenants.own() == before
    assert tenants.things.count_documents({}) == len(MINE) + len(FOREIGN)


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (JSON_PATCH, [{"op": "remove", "path": "/owner"}]),
        (JSON_PATCH, [{"op": "move", "from": "/owner", "path": "/x"}]),
        (JSON_PATCH, [{"op": "move", "from": "/n", "path": "/owner"}]),
        (JSON_PATCH, [{"op": "copy", "from": "/n", "path": "/owner"}]),
        (JSON_PATCH, [{"op": "add", "path": "/owner", "value": ["ada"]}]),
        (JSON_PATCH, [{"op": "replace", "path": "", "value": {"_id": "a1", "owner": "bob"}}]),
        (JSON_PATCH, [{"op": "replace", "path": "", "value": {"_id": "a1"}}]),
        (MERGE, {"owner": {}}),
        (UPDATE, {"$set": {"owner": "ada"}}),
        (UPDATE, {"$set": {"owner.x": 1}}),
        (UPDATE, {"$unset": {"owner": ""}}),
        (UPDATE, {"$rename": {"owner": "x"}}),
        (UPDATE, {"$rename": {"n": "owner"}}),
        (UPDATE, {"$rename": {"n": "owner.x"}}),
        (UPDATE, {"$inc": {"n": 1, "owner": 1}}),
        (UPDATE, {"$push": {"owner": "bob"}}),
        (UPDATE, {"$addToSet": {"owner": "bob"}}),
        (UPDATE, {"$pull": {"owner": "bob"}}),
        (UPDATE, {"$min": {"owner": "a"}}),
        (UPDATE, {"$max": {"owner": "z"}}),
        (UPDATE, {"$mul": {"owner": 2}}),
        (UPDATE, {"$currentDate": {"owner": True}}),
        (UPDATE, {"$set": {"n": 1}, "$unset": {"owner": ""}}),
    ],
)
def test_no_patch_gives_a_document_away(kind: str, patch: object, tenants: Tenants) -> None:
    """By whichever media type it would change, unset, rename or wrap the owner; many too."""
    before = tenants.own()
    for more in ({}, {"If-Match": "*"}, {"Idempotency-Key": quote(f"give-{patch}")}):
        answer = tenants.ask("PATCH", f"{THINGS}/a1", patch, {"Content-Type": kind, **more})
        assert (answer.status, answer.problem()) == (403, "forbidden")
        assert answer.pointers() == ["/owner"]
    if kind == UPDATE:
        for query in ("all=true", "n=0", "owner=bob"):
            answer = tenants.ask("PATCH", f"{THINGS}?{query}", patch, {"Content-Type": UPDATE})
            assert (answer.status, answer.problem()) == (403, "forbidden")
    assert tenants.own() == before


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, {"n": 7}),
        (MERGE, {"n": 7, "owner": "ada"}),
        (EJSON, {"n": {"$numberInt": "7"}}),
        (JSON_PATCH, [{"op": "test", "path": "/owner", "value": "ada"},
                      {"op": "replace", "path": "/n", "value": 7}]),
        (UPDATE, {"$set": {"n": 7, "v.owner": "bob"}}),
    ],
)  # fmt: skip
def test_one_s_own_documents_can_be_patched(kind: str, patch: object, tenants: Tenants) -> None:
    """By every media type, as without a filter."""
    assert tenants.ask("PATCH", f"{THINGS}/a1", patch, {"Content-Type": kind}).status == 200
    assert tenants.own()["a1"]["n"] == 7


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, {"meta": None}),
        (MERGE, {"meta": {"team": None}}),
        (MERGE, {"meta": {"team": [{"id": 7}]}}),
        (MERGE, {"meta": {"open": 1}}),
        (MERGE, {"meta": {"team": {"id": "7"}}}),
        (JSON_PATCH, [{"op": "remove", "path": "/meta/team/id"}]),
        (JSON_PATCH, [{"op": "move", "from": "/meta", "path": "/moved"}]),
        (UPDATE, {"$set": {"meta": {}}}),
        (UPDATE, {"$set": {"meta.team": {"id": 7}}}),
        (UPDATE, {"$unset": {"meta.team": ""}}),
        (UPDATE, {"$rename": {"meta": "moved"}}),
        (UPDATE, {"$rename": {"x": "meta"}}),
        (UPDATE, {"$rename": {"x": "meta.team.id"}}),
        (UPDATE, {"$inc": {"meta.team.id": 1}}),
        (UPDATE, {"$push": {"meta.team.id.x": 1}}),
    ],
)
def test_paths_of_a_filter_are_held_with_all_above_them(
    kind: str, patch: object, keyed_url: str, keys: dict[str, str], keyed_things: Things
) -> None:
    """A filter of several paths, in documents within: each has to stay, of its very type."""
    raw = keep(
        keyed_things, {"_id": "d", "x": 1, "meta": {"team": {"id": 7}, "open": True, "n": 1}}
    )
    client = Caller(keyed_url, keys["deep"])
    answer = client.ask("PATCH", f"{THINGS}/d", json.dumps(patch), {"Content-Type": kind})
    assert (answer.status, answer.problem()) == (403, "forbidden")
    assert [bytes(each.raw) for each in keyed_things.find()] == [raw]
    beside = json.dumps({"$set": {"meta.n": 2, "meta.teams": 1}})
    assert client.patch(f"{THINGS}/d", beside, UPDATE).status == 200
    number = json.dumps({"meta": {"team": {"id": 7.0}}})
    assert client.patch(f"{THINGS}/d", number).status == 200


def test_of_many_each_is_judged_by_itself(tenants: Tenants) -> None:
    """Those of another's are 403 by their places; the others go in. With a key too, and NDJSON."""
    many = [
        {"_id": "m1", "owner": "ada"},
        {"_id": "m2", "owner": "bob"},
        {"_id": "b1", "owner": "ada"},
        {"_id": "m3"},
        {"_id": "m4", "owner": "ada"},
    ]
    for more in ({}, {"Idempotency-Key": "many"}, {"Idempotency-Key": "many"}):
        answer = tenants.ask("POST", THINGS, many, more)
        said = answer.json()
        assert (answer.status, said["inserted"], said["failed"]) == (207, 2, 3)
        assert [(each["index"], each["status"], each["pointer"]) for each in said["errors"]] == [
            (1, 403, "/1/owner"),
            (2, 409, "/2/_id"),
            (3, 403, "/3/owner"),
        ]
        if "Idempotency-Key" not in more:
            tenants.things.delete_many({"_id": {"$regex": "^m"}})
    lines = "".join(json.dumps({**each, "_id": f"u{each['_id']}"}) + "\n" for each in many)
    answer = tenants.ask("POST", THINGS, lines, {"Content-Type": NDJSON})
    *refused, summary = [json.loads(each) for each in answer.body.splitlines()]
    assert [(each["line"], each["code"]) for each in refused] == [
        (2, "forbidden"),
        (4, "forbidden"),
    ]
    assert (summary["inserted"], summary["failed"]) == (3, 2)
    assert set(tenants.own()) == {*MINE, "m1", "m4", "um1", "um4", "ub1"}


def test_a_key_that_is_there_twice_makes_nobody_another(tenants: Tenants) -> None:
    """What the service judges is what the database stores and finds."""
    for text in (
        '{"_id":"t","owner":"ada","owner":"bob"}',
        '{"_id":"t","owner":"bob","owner":"ada"}',
    ):
        for path in (THINGS, f"{THINGS}/t"):
            answer = tenants.ask("POST" if path == THINGS else "PUT", path, text)
            assert answer.status in (200, 201, 400, 403, 422)
            found = tenants.things.find_one({"_id": "t"})
            if answer.status < 300:
                assert found is not None
                assert bytes(found.raw).count(b"owner") == 1
                assert bson.decode(found.raw)["owner"] == "ada"


def test_what_a_filter_meets_is_one_s_own(tenants: Tenants) -> None:
    """Many are changed and deleted of one's own documents alone, whatever the filter says."""
    update = {"Content-Type": UPDATE}
    change = {"$set": {"n": 7}}
    for where, count in FILTERS[1:]:
        query = urlencode({"filter": json.dumps(where)})
        answer = tenants.ask("PATCH", f"{THINGS}?{query}", {"$set": {"z": 1}}, update)
        assert answer.json()["matched"] == count, where
    assert tenants.ask("PATCH", f"{THINGS}?all=true", change, update).json()["matched"] == 2
    assert {each["n"] for each in tenants.own().values()} == {7}
    nobodys: list[dict[str, object]] = [{"owner": "bob"}, {"$nor": [{"owner": "ada"}]}]
    for each in (*nobodys, {"hush": "hush"}, FAILING):
        query = urlencode({"filter": json.dumps(each)})
        assert tenants.ask("DELETE", f"{THINGS}?{query}").json() == {"deleted": 0}
    assert tenants.ask("DELETE", f"{THINGS}?all=true").json() == {"deleted": 2}
    assert tenants.own() == {}


def test_a_unique_value_of_another_s_shows_only_that_it_is_taken(
    tenants: Tenants, keyed_url: str, keys: dict[str, str]
) -> None:
    """The 409 names the index's fields, and nothing of the document that has it."""
    admin = Caller(keyed_url, keys["all"])
    keep(tenants.things, {"_id": "taken-one", "owner": "bob", "mail": "m@x", "hush": "hush"})
    index = json.dumps(
        {"key": {"mail": 1}, "unique": True, "partialFilterExpression": {"mail": {"$gt": ""}}}
    )
    created = admin.post(index, "/v1/collections/things/indexes")
    assert created.status == 201, created
    name = created.json()["name"]
    try:
        wanted = {"owner": "ada", "mail": "m@x"}
        for answer in (
            tenants.ask("POST", THINGS, wanted),
            tenants.ask("PUT", f"{THINGS}/a1", wanted),
            tenants.ask("PATCH", f"{THINGS}/a1", {"mail": "m@x"}, {"Content-Type": MERGE}),
        ):
            assert answer.problem() == "duplicate-key"
            assert b"taken-one" not in answer.body
            assert b"bob" not in answer.body
    finally:
        admin.delete(f"/v1/collections/things/indexes/{quote(name)}")


def test_an_idempotency_key_is_its_caller_s_own(tenants: Tenants, bob: Caller) -> None:
    """Two callers with the same one have each their own effect and answer, and no replay."""
    once = {"Idempotency-Key": "the-same"}
    ada_posted = tenants.ask("POST", THINGS, {"owner": "ada", "x": 1}, once)
    bob_posted = bob.post('{"owner":"bob","hush":1}', THINGS, **once)
    assert (ada_posted.status, bob_posted.status) == (201, 201)
    replayed = bob.post('{"owner":"bob","hush":1}', THINGS, **once)
    assert replayed.headers["Idempotency-Replayed"] == "true"
    assert replayed.json() == bob_posted.json()
    again = tenants.ada.ask("POST", THINGS, '{"owner": "ada", "x": 1}', {**JSON, **once})
    assert again.json()["_id"] == ada_posted.json()["_id"]
    # The very request of bob's, sent by ada, is not his answer.
    other = tenants.ada.post('{"owner":"bob","hush":1}', THINGS, Idempotency_Key="the-same")
    assert other.problem() == "idempotency-key-reused"
    fresh = tenants.ada.post('{"owner":"bob","hush":1}', THINGS, Idempotency_Key="bob-s")
    assert fresh.problem() == "forbidden"
