"""Idempotency-Key: one effect and one answer, however often a request is sent."""

from __future__ import annotations

import base64
import json
import uuid
from itertools import product

import bson
import pytest

from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import EJSON, JSON_PATCH, MERGE, ONE, THINGS, UPDATE, Answer, Api
from tests.support.database import Documents
from tests.support.together import at_once

PLAIN = "application/json"
KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Vary", "Cache-Control", "Preference-Applied")
Request = tuple[str, str, str, str | None]
"""Method, path, media type, body."""
INCREMENT: Request = ("PATCH", ONE, UPDATE, '{"$inc":{"n":1}}')
WRITES: dict[str, tuple[int, Request]] = {
    "post": (201, ("POST", THINGS, PLAIN, '{"n":1}')),
    "post extended": (201, ("POST", THINGS, EJSON, '{"n":{"$numberLong":"1"}}')),
    "guide": (201, ("POST", "/data", PLAIN, '{"n":1}')),
    "create": (201, ("PUT", f"{THINGS}/two", PLAIN, '{"n":1}')),
    "replace": (200, ("PUT", ONE, PLAIN, '{"m":1}')),
    "merge": (200, ("PATCH", ONE, MERGE, '{"n":5}')),
    "merge json": (200, ("PATCH", ONE, PLAIN, '{"n":5}')),
    "merge extended": (200, ("PATCH", ONE, EJSON, '{"n":{"$numberLong":"5"}}')),
    "json patch": (200, ("PATCH", ONE, JSON_PATCH, '[{"op":"add","path":"/l/-","value":1}]')),
    "update": (200, INCREMENT),
    "delete": (204, ("DELETE", ONE, "", None)),
}


def new_key() -> str:
    """A key that nobody has used."""
    return uuid.uuid4().hex


def send(api: Api, request: Request, key: str, **more: str) -> Answer:
    """Send a request with a key."""
    method, path, kind, body = request
    typed = {"Content-Type": kind} if kind else {}
    return api.ask(method, path, body, {**typed, "Idempotency-Key": key, **more})


def is_replay(answer: Answer) -> bool:
    """Whether an answer says that it is the first one's."""
    return answer.headers.get("Idempotency-Replayed") == "true"


def same(first: Answer, second: Answer) -> bool:
    """Whether the second answer is the first one, to the byte."""
    headers = ([each.headers.get(name) for name in KEPT_HEADERS] for each in (first, second))
    return (first.status, first.body, next(headers)) == (second.status, second.body, next(headers))


@pytest.mark.parametrize("name", WRITES)
def test_a_retry_gets_the_first_answer(
    api: Api, things: Things, stored: Documents, name: str
) -> None:
    """Same status, headers and bytes, one effect, and that alone in the database."""
    keep(things, {"_id": "one", "n": 0, "l": []})
    status, request = WRITES[name]
    key = new_key()
    first = send(api, request, key)
    assert first.status == status, first.body
    assert "Idempotency-Replayed" not in first.headers
    after = lying_in(things), stored.count_documents({})
    for _ in range(2):
        retry = send(api, request, key)
        assert is_replay(retry)
        assert same(first, retry)
    assert (lying_in(things), stored.count_documents({})) == after
    assert after[1] == (1 if name == "guide" else 0)
    assert all(set(bson.decode(raw)) <= {"_id", "n", "l", "m"} for raw in after[0])


@pytest.mark.parametrize("name", ["post", "create", "update", "delete"])
def test_a_retry_undoes_nothing_of_others(api: Api, things: Things, name: str) -> None:
    """What somebody else has done to the document since then stays done."""
    keep(things, {"_id": "one", "n": 0})
    status, request = WRITES[name]
    key = new_key()
    first = send(api, request, key)
    assert first.status == status
    things.delete_many({})
    assert same(first, send(api, request, key))
    assert lying_in(things) == []
    raw = keep(things, {"_id": "one", "n": 7})
    assert same(first, send(api, request, key))
    assert lying_in(things) == [raw]


def test_a_key_belongs_to_one_request(api: Api, things: Things) -> None:
    """Another body, method, path or media type with it is 422 and does nothing; the first stays."""
    keep(things, {"_id": "one", "n": 0})
    key = new_key()
    first = send(api, INCREMENT, key)
    raw = lying_in(things)
    others: list[Request] = [
        ("PATCH", ONE, UPDATE, '{"$inc":{"n":2}}'),
        ("PATCH", ONE, UPDATE, '{"$inc":{"n":1} }'),
        ("PATCH", f"{THINGS}/two", UPDATE, '{"$inc":{"n":1}}'),
        ("PATCH", ONE.replace("things", "others"), UPDATE, '{"$inc":{"n":1}}'),
        ("PATCH", ONE, MERGE, '{"n":1}'),
        ("PUT", ONE, PLAIN, '{"n":1}'),
        ("DELETE", ONE, "", None),
        ("POST", THINGS, PLAIN, "{}"),
        ("POST", "/data", PLAIN, "{}"),
    ]
    for request in others:
        answer = send(api, request, key)
        assert (answer.status, answer.problem()) == (422, "idempotency-key-reused"), request
    assert lying_in(things) == raw
    assert same(first, send(api, INCREMENT, key))
    plain, key = WRITES["merge"][1], new_key()
    assert send(api, plain, key).status == 200
    for kind in (PLAIN, EJSON):
        answer = send(api, (*plain[:2], kind, plain[3]), key)
        assert answer.problem() == "idempotency-key-reused"
    raw, json_body, key = lying_in(things), WRITES["merge json"][1], new_key()
    assert send(api, json_body, key).status == 200
    assert send(api, ("PUT", *json_body[1:]), key).problem() == "idempotency-key-reused"
    assert lying_in(things) == raw


def test_what_can_be_a_key(api: Api, things: Things) -> None:
    """1 to 255 visible ASCII characters without a comma; in quotes or not is the same key."""
    head = uuid.uuid4().hex
    for key in (head, head + "x" * 223, f"{head}!#$%&'()*+-./:;<=>?@[\\]^_`{{|}}~"):
        things.delete_many({})
        request = WRITES["post"][1]
        first = send(api, request, key)
        assert first.status == 201
        assert same(first, send(api, request, f'"{key}"'))
        assert same(first, send(api, request, f" {key} "))
        assert not same(first, send(api, request, key.swapcase()))
        assert things.count_documents({}) == 2


NO_KEYS = ("", '""', "x" * 256, "a b", "a,b", '"a', 'a"', 'a"b', '"a" "b"', "é", "a\tb")


def test_what_can_be_no_key(api: Api, things: Things) -> None:
    """400, and nothing is done: a request whose key is passed over would be done twice."""
    raw = keep(things, {"_id": "one", "n": 0})
    for key, name in product(NO_KEYS, ("post", "guide", "create", "update", "delete")):
        answer = send(api, WRITES[name][1], key)
        assert (answer.status, answer.problem()) == (400, "bad-parameter"), (key, name)
    assert lying_in(things) == [raw]


def test_refusals_that_the_data_decided(api: Api, things: Things) -> None:
    """404, 409, 412 and 422 of a patch are outcomes: a retry gets them, whatever is there now."""
    raw = keep(things, {"_id": "one", "n": 0})
    tag = api.get(ONE).headers["ETag"]
    none = f"{THINGS}/none"
    misfit = '[{"op":"test","path":"/n","value":7}]'
    cases: list[tuple[int, Request, dict[str, str]]] = [
        (404, ("PATCH", none, MERGE, '{"n":1}'), {}),
        (404, ("DELETE", none, "", None), {}),
        (409, ("POST", THINGS, PLAIN, '{"_id":"one"}'), {}),
        (412, ("PUT", ONE, PLAIN, '{"n":1}'), {"If-Match": '"x"'}),
        (412, ("PUT", ONE, PLAIN, '{"n":1}'), {"If-None-Match": "*"}),
        (412, ("DELETE", ONE, "", None), {"If-None-Match": tag}),
        (422, ("PATCH", ONE, JSON_PATCH, misfit), {}),
        (422, ("PATCH", ONE, MERGE, '{"_id":"two"}'), {}),
        (422, ("PATCH", ONE, UPDATE, '{"$push":{"n":1}}'), {}),
    ]
    keys = [new_key() for _ in cases]
    firsts = [
        send(api, request, key, **more) for (_, request, more), key in zip(cases, keys, strict=True)
    ]
    assert [each.status for each in firsts] == [status for status, _, _ in cases]
    assert lying_in(things) == [raw]
    things.delete_many({})
    now = [keep(things, {"_id": each, "n": 7}) for each in ("none", "two")]
    for (_, request, more), key, first in zip(cases, keys, firsts, strict=True):
        retry = send(api, request, key, **more)
        assert same(first, retry), request
        assert is_replay(retry)
    assert lying_in(things) == sorted(now)


@pytest.mark.parametrize(
    ("status", "wrong", "right"),
    [
        (400, ("POST", THINGS, PLAIN, '{"a":'), "post"),
        (400, ("POST", f"{THINGS}?x=1", PLAIN, "{}"), "post"),
        (415, ("POST", THINGS, "text/plain", "{}"), "post"),
        (422, ("POST", THINGS, PLAIN, '{"$a":1}'), "post"),
        (422, ("POST", "/data", PLAIN, "[]"), "guide"),
        (400, ("PATCH", f"{THINGS}/%7B", MERGE, "{}"), "merge"),
        (415, ("PATCH", ONE, "text/plain", "{}"), "merge"),
        (422, ("PATCH", ONE, UPDATE, '{"$spam":{"n":1}}'), "update"),
        (422, ("PATCH", ONE, JSON_PATCH, '[{"op":"spam"}]'), "json patch"),
        (422, ("PATCH", ONE, MERGE, "[]"), "merge"),
        (422, ("PUT", ONE, PLAIN, '{"_id":"two"}'), "replace"),
    ],
)
def test_a_request_that_is_wrong_in_itself_leaves_its_key(
    api: Api, things: Things, status: int, wrong: Request, right: str
) -> None:
    """Nothing is recorded of it: corrected it can be sent under the same key."""
    keep(things, {"_id": "one", "n": 0, "l": []})
    key = new_key()
    assert send(api, wrong, key).status == status
    wanted, request = WRITES[right]
    answer = send(api, request, key)
    assert answer.status == wanted
    assert not is_replay(answer)


@pytest.mark.parametrize("name", ["post", "guide", "create", "update", "json patch", "delete"])
def test_many_at_one_time(api: Api, things: Things, stored: Documents, name: str) -> None:
    """One of them is carried out; the others get its answer, or 409 that says when to ask again."""
    keep(things, {"_id": "one", "n": 0, "l": []})
    status, request = WRITES[name]
    key = new_key()
    answers = at_once(6, lambda _: send(api, request, key))
    told = [each for each in answers if each.status == status]
    assert told, [each.body for each in answers]
    assert all(same(told[0], each) for each in told)
    assert sum(not is_replay(each) for each in told) <= 1
    for each in answers:
        if each.status != status:
            assert (each.status, each.problem()) == (409, "idempotency-in-progress")
            assert int(each.headers["Retry-After"]) > 0
    assert same(told[0], send(api, request, key))
    effects = {"post": 2, "create": 2, "delete": 0}
    assert things.count_documents({}) == effects.get(name, 1)
    assert stored.count_documents({}) == (name == "guide")
    if name in ("update", "json patch"):
        document = bson.decode(lying_in(things)[0])
        assert (document["n"], document["l"]) == ((1, []) if name == "update" else (0, [1]))


def test_a_large_answer_is_given_again_without_its_body(api: Api, things: Things) -> None:
    """Over 64 KiB the retry's answer is minimal, with the status, tag and place of the first."""
    text = "x" * 70_000
    cases: list[tuple[int, Request]] = [
        (201, ("POST", THINGS, PLAIN, json.dumps({"t": text}))),
        (201, ("PUT", ONE, PLAIN, json.dumps({"t": text}))),
        (204, ("PUT", ONE, PLAIN, json.dumps({"t": text + "y"}))),
        (204, ("PATCH", ONE, UPDATE, '{"$set":{"n":1}}')),
        (204, ("PATCH", ONE, MERGE, '{"n":2}')),
    ]
    for status, request in cases:
        key = new_key()
        first = send(api, request, key)
        assert (first.status, len(first.body) > 70_000) == (status if status == 201 else 200, True)
        retry = send(api, request, key)
        assert (retry.status, retry.body) == (status, b"")
        assert is_replay(retry)
        assert retry.headers["Preference-Applied"] == "return=minimal"
        assert "Content-Type" not in retry.headers
        for name in ("ETag", "Location", "Vary"):
            assert retry.headers.get(name) == first.headers.get(name)
    assert things.count_documents({}) == 2


def test_a_preference_is_part_of_the_first_answer(api: Api, things: Things) -> None:
    """A minimal answer is given again as it was."""
    for _, request in (WRITES["post"], WRITES["create"]):
        key = new_key()
        first = send(api, request, key, Prefer="return=minimal")
        assert (first.status, first.body) == (201, b"")
        assert same(first, send(api, request, key))
    assert things.count_documents({}) == 2


def test_what_is_kept_of_a_key(api: Api, things: Things) -> None:
    """Records lie apart, hold no key that could be read, and go by themselves after a day."""
    keep(things, {"_id": "one", "n": 0})
    records = things.database["_idempotency"]
    before = records.count_documents({})
    key = f"secret-{new_key()}"
    assert send(api, INCREMENT, key).status == 200
    assert send(api, WRITES["post"][1], new_key()).status == 201
    assert send(api, ("DELETE", f"{THINGS}/none", "", None), new_key()).status == 404
    assert records.count_documents({}) == before + 3
    forms = (key.encode(), key.encode().hex().encode(), base64.b64encode(key.encode()))
    assert not [form for form in forms for each in records.find() if form in bytes(each.raw)]
    indexes = records.index_information().values()
    (expiring,) = (each for each in indexes if "expireAfterSeconds" in each)
    assert 24 * 3600 <= expiring["expireAfterSeconds"] <= 26 * 3600
    ((field, _),) = expiring["key"]
    assert records.count_documents({field: {"$type": "date"}}) == records.count_documents({})
