"""Many documents in one request: each is tried, and the answer says what became of which."""

from __future__ import annotations

import json
import uuid
from typing import Any

import bson
import pytest

from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import CANONICAL, EJSON, THINGS, Answer, Api
from tests.support.database import Documents

NDJSON = "application/x-ndjson"
RELAXED = f"{NDJSON}; mode=relaxed"
MIB = 1024 * 1024
DATE = '{"_id":"d","at":{"$date":"2026-11-26T00:00:00Z"}}'


def _upload(api: Api, body: bytes | str, kind: str = NDJSON, **headers: str) -> list[Any]:
    """The lines of an upload's answer."""
    answer = api.ask("POST", THINGS, body, {"Content-Type": kind, **headers})
    assert (answer.status, answer.headers["Content-Type"]) == (200, NDJSON), answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def _summary(inserted: int, failed: int) -> dict[str, object]:
    return {"inserted": inserted, "failed": failed, "done": True}


def _codes(answer: Answer) -> list[tuple[int, str, str]]:
    """Which of an array were refused, and why."""
    return [(each["index"], each["code"], each["pointer"]) for each in answer.json()["errors"]]


def _ids(things: Things) -> set[object]:
    return {bson.decode(raw)["_id"] for raw in lying_in(things)}


def test_an_array_is_inserted_whole(api: Api, things: Things) -> None:
    """201, the ids in order, each document as it would be alone, and nothing else is stored."""
    answer = api.post('[{"_id":"a","n":1},{"n":2},{"_id":"65a1f0c2b9d4e83a7c15f206"}]', THINGS)

    assert answer.status == 201
    value = answer.json()
    made = value["ids"][1]
    expected = ["a", made, "65a1f0c2b9d4e83a7c15f206"]
    assert value == {"inserted": 3, "failed": 0, "errors": [], "ids": expected}
    assert lying_in(things) == sorted(
        bson.encode(each)
        for each in (
            {"_id": "a", "n": 1},
            {"_id": bson.ObjectId(made), "n": 2},
            {"_id": bson.ObjectId("65a1f0c2b9d4e83a7c15f206")},
        )
    )
    assert "Location" not in answer.headers


def test_one_bad_document_stops_no_other(api: Api, things: Things) -> None:
    """207: each fault is told with its place, and all others are there."""
    keep(things, {"_id": "there"})
    deep = b'{"a":' * 101 + b"1" + b"}" * 101
    bad = [b'{"$a":1}', b'{"_id":"there"}', b"5", b'{"b":[9223372036854775808]}', b"null", deep]
    bad += [b'{"_id":null}', b'{"c":1e999}', b'{"a\\u0000":1}', b"[]"]
    body = b"[" + b",".join(b'{"_id":"g%d"},%b' % pair for pair in enumerate(bad)) + b"]"
    answer = api.post(body, THINGS)

    assert answer.status == 207
    assert _codes(answer) == [
        (1, "invalid-document", "/1/$a"),
        (3, "duplicate-key", "/3/_id"),
        (5, "invalid-document", "/5"),
        (7, "invalid-document", "/7/b/0"),
        (9, "invalid-document", "/9"),
        (11, "invalid-document", "/11" + "/a" * 100),
        (13, "invalid-document", "/13/_id"),
        (15, "invalid-document", "/15/c"),
        (17, "invalid-document", "/17/a\x00"),
        (19, "invalid-document", "/19"),
    ]
    assert (answer.json()["inserted"], answer.json()["failed"]) == (10, 10)
    assert answer.json()["ids"] == [each for at in range(10) for each in (f"g{at}", None)]
    assert _ids(things) == {"there", *(f"g{at}" for at in range(10))}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("[]", 201),
        (" \n[ ] ", 201),
        ('[{"_id":"there"}]', 409),
        ('[{"_id":"there"},{"_id":"there","a":1}]', 409),
        ('[{"_id":"there"},7]', 422),
        ("[[]]", 422),
    ],
)
def test_none_of_an_array(api: Api, things: Things, body: str, status: int) -> None:
    """409 where each is there already, else 422; 201 where there is none."""
    before = keep(things, {"_id": "there"})
    answer = api.post(body, THINGS)

    assert (answer.status, answer.json()["inserted"]) == (status, 0)
    assert lying_in(things) == [before]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('[{"a":1},]', "malformed-json"),
        ('[{"a":1}', "malformed-json"),
        ('[{"a":1}] {}', "malformed-json"),
        (b'[{"a":"\xff"}]', "malformed-json"),
        ("[" * 5_000 + "]" * 5_000, "invalid-document"),
        ("[" + ",".join(["{}"] * 100_001) + "]", "too-large"),
        ("[" + "1," * MIB + "1]", "too-large"),
    ],
)
def test_a_body_that_is_wrong_as_a_whole(
    api: Api, things: Things, body: str | bytes, code: str
) -> None:
    """No part of it is looked at: one problem, and nothing is there."""
    assert api.post(body, THINGS).problem() == code
    assert lying_in(things) == []


def test_an_array_in_extended_json(api: Api, things: Things) -> None:
    """Each document has the types that it says, and ids come back as Accept asks."""
    body = f'[{DATE},{{"_id":{{"$numberLong":"5"}}}},{{"_id":{{"$oid":"x"}}}},{{"a":{{"$b":1}}}}]'
    answer = api.post(body, THINGS, Content_Type=EJSON, Accept=CANONICAL)

    assert (answer.status, answer.headers["Content-Type"]) == (207, CANONICAL)
    assert answer.json()["ids"] == ["d", {"$numberLong": "5"}, None, None]
    assert [code[2] for code in _codes(answer)] == ["/2/_id", "/3/a/$b"]
    assert {bson.decode(raw)["_id"] for raw in lying_in(things)} == {"d", 5}


def test_what_the_database_has_no_room_for_stops_no_other(api: Api, things: Things) -> None:
    """The embedded one refuses a whole command for such a date; the others are inserted yet."""
    far = '{"_id":%d,"at":{"$date":{"$numberLong":"9000000000000000"}}}'
    documents = [f'{{"_id":{at}}}' if at % 7 else far % at for at in range(20)]
    answer = api.post(f"[{','.join(documents)}]", THINGS, Content_Type=EJSON)
    assert answer.status == 207
    assert [code[:2] for code in _codes(answer)] == [(at, "invalid-document") for at in (0, 7, 14)]
    assert _ids(things) == {at for at in range(20) if at % 7}
    things.delete_many({})
    body, key = f"[{far % 1},{{}}]", {"Idempotency_Key": uuid.uuid4().hex}
    refused = [api.post(body, THINGS, Content_Type=EJSON, **key) for _ in range(2)]
    assert [each.json()["code"] for each in refused] == ["invalid-document"] * 2
    assert _ids(things) == set()


def test_many_faults_are_counted_and_some_are_told(api: Api, things: Things) -> None:
    """At most 100, and fewer of long ones; what is good among thousands goes in."""
    answer = api.post(json.dumps([1] * 2_500 + [{"_id": 1}] + [{}] * 2_500), THINGS)
    assert answer.status == 207
    assert (answer.json()["inserted"], answer.json()["failed"]) == (2_501, 2_500)
    assert [each["index"] for each in answer.json()["errors"]] == list(range(100))
    assert things.count_documents({}) == 2_501

    answer = api.post(json.dumps([{"x" * 900: {"$y": 1}}] * 100), THINGS)
    assert answer.status == 422
    assert 0 < len(answer.json()["errors"]) < 100
    assert len(answer.body) < 64 * 1024


def test_what_a_client_prefers(api: Api, things: Things) -> None:
    """`return=minimal` is an empty 201, and a report without ids where there is more to say."""
    minimal = {"Prefer": "return=minimal"}
    answer = api.post('[{"_id":1},{"_id":2}]', THINGS, **minimal)
    assert (answer.status, answer.body) == (201, b"")
    assert answer.headers["Preference-Applied"] == "return=minimal"
    answer = api.post('[{"_id":1},{"_id":3}]', THINGS, **minimal)
    assert (answer.status, answer.json()["inserted"], "ids" in answer.json()) == (207, 1, False)
    assert _ids(things) == {1, 2, 3}


def test_the_guide_route_takes_one_object(api: Api, stored: Documents) -> None:
    """`/data` is as the guide has it: an array is no document, and NDJSON is not read."""
    assert api.post('[{"a":1}]').problem() == "invalid-document"
    assert api.post('{"a":1}', Content_Type=NDJSON).problem() == "unsupported-media-type"
    assert stored.count_documents({}) == 0


def test_an_array_with_a_key_has_one_effect(api: Api, things: Things) -> None:
    """The same key gets the same answer, and nothing more is inserted, whatever was deleted."""
    keep(things, {"_id": "there"})
    body = '[{"_id":"a"},{"_id":"there"},{"n":1},{"$x":1},{"_id":"a"},{"_id":1},{"_id":1.0}]'
    key = uuid.uuid4().hex
    first = api.post(body, THINGS, Idempotency_Key=key)
    assert first.status == 207
    assert [code[:2] for code in _codes(first)] == [
        (1, "duplicate-key"),
        (3, "invalid-document"),
        (4, "duplicate-key"),
        (6, "duplicate-key"),
    ]
    assert len(_ids(things)) == 4
    things.delete_many({"_id": "a"})
    again = api.post(body, THINGS, Idempotency_Key=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status, again.body) == (first.status, first.body)
    assert len(_ids(things)) == 3
    other = api.post("[]", THINGS, Idempotency_Key=key)
    assert other.problem() == "idempotency-key-reused"


def test_a_key_and_another_unique_index(api: Api, things: Things) -> None:
    """What it refuses is left out, the rest goes in; where that takes too often, nothing does."""
    things.create_index("email", unique=True, sparse=True)
    try:
        keep(things, {"_id": "there", "email": "e0"})
        some = [{"_id": f"a{at}", "email": f"e{at % 3}"} for at in range(6)]
        key = {"Idempotency_Key": uuid.uuid4().hex}
        answer = api.post(json.dumps(some), THINGS, **key)
        assert answer.status == 207
        assert [code[2] for code in _codes(answer)] == [f"/{at}/email" for at in (0, 3, 4, 5)]
        assert _ids(things) == {"there", "a1", "a2"}
        assert api.post(json.dumps(some), THINGS, **key).body == answer.body

        many = [{"email": "e0", "n": at} for at in range(30)] + [{"_id": "good"}]
        key = {"Idempotency_Key": uuid.uuid4().hex}
        refused = api.post(json.dumps(many), THINGS, **key)
        assert refused.status in (207, 409)
        assert ("good" in _ids(things)) == (refused.status == 207)
        assert api.post(json.dumps(many), THINGS, **key).body == refused.body
    finally:
        things.drop_index("email_1")


def test_what_is_kept_of_an_array_with_a_key(api: Api, things: Things) -> None:
    """An answer that would not fit beside its key has no ids, the first time and again."""
    body = json.dumps([{}] * 5_000)
    key = {"Idempotency_Key": uuid.uuid4().hex}
    first, again = (api.post(body, THINGS, **key) for _ in range(2))
    assert first.json() == {"inserted": 5_000, "failed": 0, "errors": []}
    assert (again.status, again.body) == (201, first.body)
    assert things.count_documents({}) == 5_000
    too_many = api.post(json.dumps([{}] * 10_001), THINGS, Idempotency_Key="many")
    assert too_many.problem() == "too-large"


def test_lines_are_documents(api: Api, things: Things) -> None:
    """Blank lines are none, either line end will do, and the last line needs none."""
    lines = _upload(api, '{"_id":"a"}\r\n\n \t\r\n{"_id":"b"}\n{"_id":"c"}')

    assert lines == [_summary(3, 0)]
    assert _ids(things) == {"a", "b", "c"}
    assert _upload(api, "") == [_summary(0, 0)]
    assert _upload(api, "\n\n") == [_summary(0, 0)]


def test_one_bad_line_stops_no_other(api: Api, things: Things) -> None:
    """Each is told with its number and what is wrong; all others are there."""
    keep(things, {"_id": "there"})
    bad = [
        (b'{"a":1', 400, "malformed-json", ""),
        (b'{"a":1}\r{"b":2}', 400, "malformed-json", ""),
        (b'{"a":"\xff"}', 400, "malformed-json", ""),
        (b'{"a":"\x00"}', 400, "malformed-json", ""),
        (b'\xef\xbb\xbf{"a":1}', 400, "malformed-json", ""),
        (b"[1,2]", 422, "invalid-document", ""),
        (b'{"a":{"$b":1}}', 422, "invalid-document", "/a/$b"),
        (b'{"_id":"there"}', 409, "duplicate-key", "/_id"),
        (b'"' + b"x" * (2 * MIB) + b'"', 413, "too-large", ""),
    ]
    body = b"".join(b'%b\n\n{"_id":%d}\n' % (each[0], at) for at, each in enumerate(bad))
    *told, summary = _upload(api, body)

    assert summary == _summary(len(bad), len(bad))
    assert [(each["line"], each["status"], each["code"], each["pointer"]) for each in told] == [
        (3 * at + 1, *each[1:]) for at, each in enumerate(bad)
    ]
    assert all(each["detail"] for each in told)
    assert _ids(things) == {"there", *range(len(bad))}


def test_a_line_may_be_as_long_as_a_body(api: Api, things: Things) -> None:
    """To the byte: one more is refused, and neither costs the lines around it."""
    head, tail = b'{"_id":"long","s":"', b'"}'
    longest = head + b"x" * (2 * MIB - len(head) - len(tail)) + tail
    lines = _upload(api, b'{"_id":1}\n' + longest + b'\r\n{"_id":2}')
    assert lines == [_summary(3, 0)]
    things.delete_one({"_id": "long"})
    *told, summary = _upload(api, b'{"_id":3}\n ' + longest + b'.\n{"_id":4}')
    assert [(each["line"], each["code"]) for each in told] == [(2, "too-large")]
    assert summary == _summary(2, 1)
    assert _ids(things) == {1, 2, 3, 4}


@pytest.mark.parametrize("mode", ["relaxed", "canonical"])
def test_lines_in_extended_json(api: Api, things: Things, mode: str) -> None:
    """With a mode the types are those of Extended JSON; without one such keys are refused."""
    assert _upload(api, DATE, f"{NDJSON}; mode={mode}") == [_summary(1, 0)]
    (kept,) = lying_in(things)
    assert bson.decode(kept)["at"].year == 2026
    (refused, _) = _upload(api, DATE)
    assert refused["pointer"] == "/at/$date"


def test_lines_by_the_thousand(api: Api, things: Things) -> None:
    """More than a batch, faults among them: all is told, counted and kept."""
    body = "".join(f'{{"_id":{n}}}\n' if n % 10 else f'{{"$":{n}}}\n' for n in range(5_000))
    *told, summary = _upload(api, body)
    assert summary == _summary(4_500, 500)
    assert sorted(each["line"] for each in told) == [n + 1 for n in range(0, 5_000, 10)]
    assert things.count_documents({}) == 4_500


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Idempotency-Key": "k"}, "idempotency-unsupported"),
        ({"If-Match": "*"}, "bad-parameter"),
        ({"Accept": "application/json"}, "not-acceptable"),
        ({"Content-Type": f"{NDJSON}; mode=plain"}, "unsupported-media-type"),
        ({"Content-Type": f"{NDJSON}; charset=latin1"}, "unsupported-media-type"),
        ({"Content-Encoding": "gzip"}, "unsupported-media-type"),
    ],
)
def test_an_upload_that_is_refused(
    api: Api, things: Things, headers: dict[str, str], code: str
) -> None:
    """By its head, before any of it is read."""
    answer = api.ask("POST", THINGS, '{"a":1}\n', {"Content-Type": NDJSON, **headers})
    assert answer.problem() == code
    assert lying_in(things) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/collections/_idempotency/documents", "bad-parameter"),
        (f"{THINGS}?a=b", "bad-parameter"),
        ("/livez", "method-not-allowed"),
        ("/nowhere", "not-found"),
    ],
)
def test_an_upload_to_the_wrong_place(api: Api, path: str, code: str) -> None:
    """Is refused as any request there."""
    answer = api.ask("POST", path, '{"a":1}\n', {"Content-Type": NDJSON})
    assert answer.problem() == code
