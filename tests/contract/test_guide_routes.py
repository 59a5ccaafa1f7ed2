"""The guide's three requests, kept to the byte."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.raw_bson import RawBSONDocument

from tests.support.api import Api
from tests.support.database import Documents


def test_the_greeting(api: Api) -> None:
    """`GET /` says the guide's words and the server's local time, as HTML."""
    answer = api.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    words = rb"Welcome to the Flask app! The current time is: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)"
    match = re.fullmatch(words, answer.body)
    assert match is not None
    told = datetime.fromisoformat(match[1].decode())
    assert abs((datetime.now() - told).total_seconds()) < 60  # noqa: DTZ005 — local, as told


def test_an_object_is_kept(api: Api, stored: Documents) -> None:
    """`POST /data` answers 201 with the guide's bytes, and the document is in the database."""
    answer = api.post('{"name":"Ada","n":1,"x":1.5,"tags":["a",null,true],"in":{"z":1,"a":2}}')
    assert (answer.status, answer.body) == (201, b'{"status":"Data inserted"}\n')
    assert answer.headers["Content-Type"] == "application/json"
    (document,) = stored.find()
    prefix = "/v1/collections/data/documents/"
    assert answer.headers["Location"] == prefix + str(document["_id"])
    assert list(document) == ["_id", "name", "n", "x", "tags", "in"]
    assert isinstance(document.pop("_id"), ObjectId)
    assert document == {
        "name": "Ada",
        "n": 1,
        "x": 1.5,
        "tags": ["a", None, True],
        "in": {"z": 1, "a": 2},
    }
    assert list(document["in"]) == ["z", "a"]


def test_every_document_comes_back(api: Api, stored: Documents) -> None:
    """`GET /data` is a JSON array of all documents, without `_id`, keys in stored order."""
    for each in ('{"b":1,"a":"ü—😀"}', "{}", '{"_id":"mine","n":-0.0}'):
        assert api.post(each).status == 201
    answer = api.get("/data")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == '[{"b":1,"a":"ü—😀"},{},{"n":-0.0}]\n'.encode()
    assert stored.count_documents({"_id": "mine"}) == 1


def test_an_empty_collection_is_an_empty_array(api: Api, stored: Documents) -> None:
    """With nothing inserted there is still valid JSON."""
    assert stored.count_documents({}) == 0
    assert api.get("/data").json() == []


@pytest.mark.parametrize(
    ("given", "kept", "segment"),
    [
        ('"0123456789abcdef01234567"', ObjectId("0123456789abcdef01234567"), "same"),
        ('"a/b c"', "a/b c", "a%2Fb%20c"),
        ('"{"', "{", "%22%7B%22"),
        ("7", 7, "%7B%22%24numberInt%22%3A%227%22%7D"),
        ('{"a":1}', {"a": 1}, "%7B%22a%22%3A%7B%22%24numberInt%22%3A%221%22%7D%7D"),
    ],
)
def test_an_id_of_the_clients_own(
    api: Api, stored: Documents, given: str, kept: Any, segment: str
) -> None:
    """A given `_id` is kept, and Location names exactly it."""
    answer = api.post(f'{{"a":1,"_id":{given}}}')
    assert answer.status == 201, answer.body
    assert stored.find_one({}) == {"_id": kept, "a": 1}
    wanted = str(kept) if segment == "same" else segment
    location = answer.headers["Location"].rpartition("/documents/")[2]
    assert location.replace("%20", "").upper() == wanted.replace("%20", "").upper()


def test_a_second_document_of_the_same_id_is_refused(api: Api, stored: Documents) -> None:
    """409 says which index and which fields; the first document stays."""
    assert api.post('{"_id":"one","a":1}').status == 201
    answer = api.post('{"_id":"one","a":2}')
    assert (answer.status, answer.problem()) == (409, "duplicate-key")
    assert answer.json()["index"] == "_id_"
    assert answer.json()["fields"] == ["_id"]
    assert answer.pointers() == ["/_id"]
    assert list(stored.find()) == [{"_id": "one", "a": 1}]


def test_a_unique_index_of_others_is_named(api: Api, stored: Documents) -> None:
    """409 names an index that somebody made by the shell, and its fields."""
    stored.create_index([("user.mail", 1)], unique=True, name="mail")
    try:
        assert api.post('{"user":{"mail":"a@b"}}').status == 201
        answer = api.post('{"user":{"mail":"a@b"}}')
        assert (answer.status, answer.problem()) == (409, "duplicate-key")
        assert (answer.json()["index"], answer.json()["fields"]) == ("mail", ["user.mail"])
        assert answer.pointers() == ["/user/mail"]
    finally:
        stored.drop_index("mail")


def test_every_bson_type_comes_out_as_json(api: Api, stored: Documents) -> None:
    """What others put there by the shell is valid JSON in the spelling of the contract."""
    moment = datetime(2026, 11, 23, 12, 0, 0, 123000, UTC)
    stored.insert_one(
        {
            "_id": 1,
            "id": ObjectId("0123456789abcdef01234567"),
            "date": moment,
            "decimal": Decimal128("1.10"),
            "binary": Binary(b"\x00\xff"),
            "uuid": Binary(b"0123456789abcdef", 4),
            "long": Int64(2**62),
            "regex": Regex("^a", "i"),
            "code": Code("f()"),
            "time": Timestamp(5, 6),
            "min": MinKey(),
            "max": MaxKey(),
            "ref": DBRef("c", 1),
            "nan": float("nan"),
            "inf": [float("-inf")],
        }
    )
    (document,) = api.get("/data").json()
    assert document == {
        "id": "0123456789abcdef01234567",
        "date": "2026-11-23T12:00:00.123Z",
        "decimal": "1.10",
        "binary": "AP8=",
        "uuid": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "long": 2**62,
        "regex": {"$regularExpression": {"pattern": "^a", "options": "i"}},
        "code": {"$code": "f()"},
        "time": {"$timestamp": {"t": 5, "i": 6}},
        "min": {"$minKey": 1},
        "max": {"$maxKey": 1},
        "ref": {"$ref": "c", "$id": 1},
        "nan": {"$numberDouble": "NaN"},
        "inf": [{"$numberDouble": "-Infinity"}],
    }


def test_numbers_come_back_as_they_were(api: Api, stored: Documents) -> None:
    """Integers and floats keep apart, at their extremes too."""
    text = "[9223372036854775807,-9223372036854775808,9007199254740993,1.0,1,-0.0,1e308,5e-324]"
    assert api.post(f'{{"n":{text}}}').status == 201
    assert stored.count_documents({}) == 1
    (document,) = api.get("/data").json()
    wanted = [2**63 - 1, -(2**63), 2**53 + 1, 1.0, 1, -0.0, 1e308, 5e-324]
    assert list(map(repr, document["n"])) == list(map(repr, wanted))


def test_a_large_collection_streams_whole(api: Api, stored: Documents) -> None:
    """Many batches make one array, nothing missing and nothing twice."""
    raw = [RawBSONDocument(bson.encode({"_id": n, "n": n, "x": "y" * 100})) for n in range(5000)]
    stored.insert_many(raw)
    answer = api.get("/data")
    assert sorted(each["n"] for each in answer.json()) == list(range(5000))


def test_head_is_get_without_a_body(api: Api, stored: Documents) -> None:
    """HEAD of both pages: the same status and type, no body."""
    stored.insert_one({"a": 1})
    for path in ("/", "/data"):
        answer = api.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Type"] == api.get(path).headers["Content-Type"]


def test_a_request_right_after_head(api: Api, stored: Documents) -> None:
    """HEAD of a stream is over for a client before it is for the service: both go well."""
    stored.insert_one({"a": 1})
    for _ in range(30):
        assert api.ask("HEAD", "/data").status == 200
        assert api.get("/data").json() == [{"a": 1}]


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_a_condition_is_not_passed_over(api: Api, stored: Documents, name: str) -> None:
    """A collection has no version, so a condition on an insert is refused, and nothing kept."""
    answer = api.post('{"n":1}', **{name: "*"})
    assert (answer.status, answer.problem()) == (400, "bad-parameter")
    assert stored.count_documents({}) == 0
