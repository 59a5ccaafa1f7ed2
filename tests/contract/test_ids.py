"""Ids of every kind: one URL names one document, and Location names what was written."""

from __future__ import annotations

import json

import bson
import pytest
from bson import Int64, ObjectId

from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import CANONICAL, EJSON, JSON_PATCH, THINGS, UPDATE, Api

HEX = "0123456789abcdef01234567"
TYPED = (
    '{"$oid":"0123456789abcdef01234567"}',
    '"text"',
    f'"{HEX}"',
    '{"$numberInt":"5"}',
    '{"$numberInt":"-2147483648"}',
    '{"$numberLong":"9223372036854775807"}',
    '{"$numberLong":"7"}',
    '{"$numberDouble":"5.5"}',
    '{"$numberDouble":"8.0"}',
    '{"$numberDouble":"-0.0"}',
    '{"$numberDouble":"Infinity"}',
    '{"$numberDecimal":"1.10"}',
    '{"$date":{"$numberLong":"1795435200123"}}',
    '{"$date":{"$numberLong":"-1"}}',
    '{"$date":{"$numberLong":"-62135596800000"}}',
    '{"$binary":{"base64":"","subType":"00"}}',
    '{"$binary":{"base64":"AP8=","subType":"80"}}',
    '{"$binary":{"base64":"MDEyMzQ1Njc4OWFiY2RlZg==","subType":"04"}}',
    '{"$binary":{"base64":"MTEyMzQ1Njc4OWFiY2RlZg==","subType":"03"}}',
    '{"$timestamp":{"t":4294967295,"i":1}}',
    '{"$code":"f()"}',
    '{"$minKey":1}',
    '{"$maxKey":1}',
    "{}",
    '{"":{}}',
    '{"b":{"$numberInt":"1"},"a":[null,true,{"$numberLong":"1"}]}',
    '{"a":[null,true,{"$numberLong":"1"}],"b":{"$numberInt":"1"}}',
)
NAN = '{"$numberDouble":"NaN"}'
"""The database of the tests takes it for another `_id` than itself where it is written again."""
# fmt: off
TEXTS = (
    "", ".", "..", "...", "a/b", "/", "//", "/a", "a/", "a//b", "a/../b", "./a", "%2F", "%", "%2E",
    "a%00b", "a\nb", "a\n", "\n", "\r\n", "\0", "a\0", "\t", " ", "a b", "a ", "a+b", "a?b=c",
    "a#b", "a;b", "{", "}", "{}", '{"$oid":"0123456789abcdef01234567"}', '{"a":1}', '"', '"a"',
    '""', "'a'", HEX, HEX.upper(), HEX[:-1], HEX + "0", "null", "true", "5", "5.0", "-0.0", "[1]",
    "*", "\\", "ü", "u\u0308", "é", "😀", "\u2028", "\ufeff", "\x7f", "\x80", "\uffff",
    "documents", "_id", "$where", "$", "~0", "a~1b", ":", "@", "http://x/", "x" * 1022,
)
# fmt: on
"""Strings that look like something else, or that a path would bend."""


@pytest.mark.parametrize("document_id", TYPED)
def test_an_id_of_any_type(api: Api, things: Things, document_id: str) -> None:
    """Location leads to what was written, and its bytes are those that were sent."""
    text = f'{{"_id":{document_id},"n":{{"$numberInt":"1"}}}}'
    later = f'{{"_id":{document_id},"n":{{"$numberInt":"2"}}}}'
    made = api.post(text, THINGS, Content_Type=EJSON, Accept=CANONICAL)
    assert (made.status, made.body) == (201, text.encode() + b"\n")
    where = made.headers["Location"]
    read = api.get(where, Accept=CANONICAL)
    assert (read.status, read.body) == (200, made.body)
    assert read.headers["ETag"] == made.headers["ETag"]
    replaced = api.put(where, later, Content_Type=EJSON, Accept=CANONICAL)
    assert (replaced.status, replaced.body) == (200, later.encode() + b"\n")
    assert things.count_documents({}) == 1
    patched = api.patch(where, '{"n":1}', Accept=CANONICAL)
    assert (patched.status, patched.body) == (200, made.body)
    assert api.delete(where).status == 204
    assert things.count_documents({}) == 0


def test_every_id_at_one_time(api: Api, things: Things) -> None:
    """No two documents answer to one URL: each Location is another, and leads to its own."""
    kept: dict[str, bytes] = {}
    for document_id in (*TYPED, NAN):
        made = api.post(f'{{"_id":{document_id}}}', THINGS, Content_Type=EJSON, Accept=CANONICAL)
        assert made.status == 201, document_id
        kept[made.headers["Location"]] = made.body
    for text in TEXTS:
        sent = f'{{"_id":{json.dumps(text)},"text":true}}'
        if text == HEX:
            continue
        made = api.post(sent, THINGS, Content_Type=EJSON, Accept=CANONICAL)
        assert made.status == 201, text
        assert json.loads(made.body)["_id"] == text
        kept[made.headers["Location"]] = made.body
    assert len(kept) == len(TYPED) + len(TEXTS) == things.count_documents({})
    for where, body in kept.items():
        assert api.get(where, Accept=CANONICAL).body == body, where
    for left, where in enumerate(kept, 1):
        assert api.delete(where).status == 204
        assert things.count_documents({}) == len(kept) - left, where


@pytest.mark.parametrize("text", ["a/b", "/a", "a/", "a//b", "%", "a+b", "ü", "a b", HEX + "0"])
def test_an_id_as_a_client_writes_it(api: Api, things: Things, text: str) -> None:
    """Slashes work as they are and encoded; what is created under a path has that string as id."""
    keep(things, {"_id": text, "n": 1})
    raw = text.replace("%", "%25").replace(" ", "%20")
    encoded = "".join(f"%{byte:02X}" for byte in text.encode())
    for spelling in (raw, encoded, encoded.lower()):
        assert api.get(f"{THINGS}/{spelling}").json() == {"_id": text, "n": 1}
    things.delete_many({})
    assert api.put(f"{THINGS}/{raw}", "{}").json() == {"_id": text}


def test_relaxed_spellings_name_the_same(api: Api, things: Things) -> None:
    """Hex in capitals, `$oid` and JSON in other spelling name the documents that they spell."""
    oid = ObjectId(HEX)
    for document_id in (oid, HEX, 5, Int64(6)):
        keep(things, {"_id": document_id})
    for segment, wanted in (
        (HEX.upper(), HEX),
        (f'{{"$oid":"{HEX}"}}', HEX),
        (f'{{ "$oid" : "{HEX}" }}', HEX),
        ('{"$numberInt":"5"}', 5),
        ('{"$numberLong":"6"}', 6),
    ):
        quoted = segment.replace('"', "%22").replace(" ", "%20").replace("{", "%7B")
        assert api.get(f"{THINGS}/{quoted}").json() == {"_id": wanted}, segment
    string = api.get(f"{THINGS}/%22{HEX}%22", Accept=CANONICAL)
    assert string.json() == {"_id": HEX}


def test_a_plain_hex_id_is_an_object_id(api: Api, things: Things) -> None:
    """In plain JSON, and in Extended JSON only where it is said."""
    plain = api.post(f'{{"_id":"{HEX}"}}', THINGS)
    extended = api.post(f'{{"_id":"{HEX}"}}', THINGS, Content_Type=EJSON)
    assert plain.headers["Location"] == f"{THINGS}/{HEX}"
    assert extended.headers["Location"] == f"{THINGS}/%22{HEX}%22"
    raw = lying_in(things)
    assert raw == sorted([bson.encode({"_id": ObjectId(HEX)}), bson.encode({"_id": HEX})])


def test_numbers_that_are_equal_are_one_id(api: Api, things: Things) -> None:
    """To MongoDB 5 and 5.0 are one `_id`: a PUT to one keeps the one that is stored."""
    path = f"{THINGS}/%7B%22$numberDouble%22%3A%225.0%22%7D"
    for headers in ({}, {"If_Match": "*"}, {"Idempotency_Key": str(ObjectId())}):
        things.delete_many({})
        keep(things, {"_id": 5, "n": 1})
        answer = api.put(path, '{"n":2}', Accept=CANONICAL, **headers)
        assert answer.status == 200
        assert answer.json() == {"_id": {"$numberInt": "5"}, "n": {"$numberInt": "2"}}
        assert lying_in(things) == [bson.encode({"_id": 5, "n": 2})]
        assert api.get(path, Accept=CANONICAL).headers["ETag"] == answer.headers["ETag"]
    assert api.post('{"_id":5.0}', THINGS).problem() == "duplicate-key"


@pytest.mark.parametrize(
    ("document_id", "plain"),
    [
        (f'{{"$oid":"{HEX}"}}', f'"{HEX}"'),
        ('{"$date":{"$numberLong":"1795435200123"}}', '"2026-11-23T12:00:00.123Z"'),
        ('{"$numberDecimal":"1.10"}', '"1.10"'),
        ('{"$binary":{"base64":"AP8=","subType":"00"}}', '"AP8="'),
        ('{"$numberLong":"7"}', "7"),
        ('{"a":{"$numberInt":"1"}}', '{"a":1}'),
        (f'"{HEX}"', f'"{HEX}"'),
        ('"text"', '"text"'),
    ],
)
def test_the_bodys_id_is_compared_in_plain_spelling(
    api: Api, things: Things, document_id: str, plain: str
) -> None:
    """What a client has read it can send back: the `_id` is the same and keeps its type."""
    assert things.count_documents({}) == 0
    made = api.post(f'{{"_id":{document_id},"n":1}}', THINGS, Content_Type=EJSON)
    where = made.headers["Location"]
    body = f'{{"_id":{plain},"n":2}}'
    for answer in (
        api.put(where, body),
        api.patch(where, body),
        api.patch(where, f'{{"_id":{document_id}}}', EJSON),
    ):
        assert answer.status == 200, answer.body
        assert json.dumps(answer.json()["_id"]) == json.dumps(json.loads(plain))
    canonical = api.get(where, Accept=CANONICAL).body.decode()
    assert canonical == f'{{"_id":{document_id},"n":{{"$numberInt":"2"}}}}\n'


def test_an_id_that_differs_from_the_urls(api: Api, things: Things) -> None:
    """422 at `/_id`, for PUT on a document and on none, and for PATCH; nothing changes."""
    bodies = [f'{{"n":2,"_id":{each}}}' for each in ('"two"', '"One"', "1", f'"{HEX}"', '""')]
    for there in ([], [{"_id": "one", "n": 1}]):
        kept = [keep(things, each) for each in there]
        for body in bodies:
            put = api.put(f"{THINGS}/one", body)
            told = (put.status, put.problem(), put.pointers())
            assert told == (422, "invalid-document", ["/_id"]), body
            if kept:
                patch = api.patch(f"{THINGS}/one", body)
                told = (patch.status, patch.problem(), patch.pointers())
                assert told == (422, "invalid-patch", ["/_id"]), body
        assert lying_in(things) == kept


NO_IDS = (
    "null",
    "true",
    "[]",
    '{"$undefined":true}',
    '{"$regularExpression":{"pattern":"^","options":""}}',
    '{"$ref":"c","$id":{"$oid":"0123456789abcdef01234567"}}',
    '{"a":{"$ref":"c","$id":1}}',
    '{"$gt":""}',
    '{"a":{"$gt":""}}',
)


def test_what_can_be_no_id(api: Api, things: Things) -> None:
    """422 at `/_id` or below in a body."""
    for document_id in NO_IDS:
        answer = api.post(f'{{"_id":{document_id}}}', THINGS, Content_Type=EJSON)
        assert (answer.status, answer.problem()) == (422, "invalid-document"), document_id
        assert answer.pointers(), document_id
        assert all(each.startswith("/_id") for each in answer.pointers()), document_id
    assert things.count_documents({}) == 0


NO_SEGMENTS = (
    "%7B%22$gt%22%3A%22%22%7D",
    "%7B%22$ne%22%3Anull%7D",
    "%7B%22$in%22%3A[%22one%22]%7D",
    "%7B%22$exists%22%3Atrue%7D",
    "%7B%22$where%22%3A%221%22%7D",
    "%7B%22$not%22%3A%7B%22$gt%22%3A%22%22%7D%7D",
    "%7B%22a%22%3A%7B%22$gt%22%3A%22%22%7D%7D",
    "%7B%22$regularExpression%22%3A%7B%22pattern%22%3A%22%22%2C%22options%22%3A%22%22%7D%7D",
    "%7B%22$regex%22%3A%22%22%7D",
    "%7B",
    "%22",
    "%22a%22b",
    "",
    "%FF",
    "%C3",
    "%ED%A0%80",
)


def test_no_path_is_a_filter(api: Api, things: Things) -> None:
    """400 for an operator, a pattern and what can't be read; nothing is read or written."""
    raw = keep(things, {"_id": "one", "n": 1})
    for segment in NO_SEGMENTS:
        path = f"{THINGS}/{segment}"
        answers = [
            api.get(path),
            api.put(path, '{"n":2}'),
            api.patch(path, '{"n":2}'),
            api.patch(path, '{"$set":{"n":2}}', UPDATE),
            api.patch(path, "[]", JSON_PATCH),
            api.delete(path),
        ]
        told = [(each.status, each.problem()) for each in answers]
        assert told == [(400, "bad-parameter")] * 6, segment
    assert lying_in(things) == [raw]


@pytest.mark.parametrize("text", ["x" * 1022, "ü" * 511, "€" * 340])
def test_the_longest_id(api: Api, things: Things, text: str) -> None:
    """1,024 bytes of JSON can be addressed; one more is refused, in a body and in a path."""
    made = api.post(json.dumps({"_id": text}), THINGS)
    assert made.status == 201
    assert api.get(made.headers["Location"]).json() == {"_id": text}
    assert api.delete(made.headers["Location"]).status == 204
    longer = text + "xxx"
    refused = api.post(json.dumps({"_id": longer}), THINGS)
    assert (refused.problem(), refused.pointers()) == ("invalid-document", ["/_id"])
    encoded = "".join(f"%{byte:02X}" for byte in longer.encode())
    assert api.put(f"{THINGS}/{encoded}", "{}").status in (400, 422)
    assert things.count_documents({}) == 0


# fmt: off
NO_NAMES = (
    "_idempotency", "_x", "_", "system.users", "system.", ".a", "a.", "a..b", "a$b", "a%20b",
    "%C3%BC", "a%00b", "%5Fidempotency", "%73ystem.users", "a%0A", "x" * 121,
)
# fmt: on


def test_names_that_are_no_collections(api: Api, things: Things) -> None:
    """400 by every method; nothing is made, and the service's own collections are out of reach."""
    before = things.database.list_collection_names()
    for name in NO_NAMES:
        path = f"/v1/collections/{name}/documents"
        one = f"{path}/one"
        answers = [
            api.post("{}", path),
            api.get(one),
            api.put(one, "{}"),
            api.patch(one, "{}"),
            api.delete(one),
        ]
        told = [(each.status, each.problem()) for each in answers]
        assert told == [(400, "bad-parameter")] * 5, name
        assert api.ask("HEAD", one).status == 400
    assert sorted(things.database.list_collection_names()) == sorted(before)


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "9", "-", "system", "systems.x", "x" * 120])
def test_names_of_collections(api: Api, things: Things, name: str) -> None:
    """1 to 120 characters of the alphabet are a name."""
    path = f"/v1/collections/{name}/documents"
    try:
        made = api.post('{"n":1}', path)
        assert made.status == 201
        assert made.headers["Location"].startswith(f"{path}/")
        assert api.get(made.headers["Location"]).json()["n"] == 1
        assert things.database[name].count_documents({}) == 1
    finally:
        things.database.drop_collection(name)
