"""Collections: listed, configured, held to their schemas, dropped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import bson
import pymongo
import pytest
from bson import ObjectId
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.contract.conftest import Things
from tests.support.api import EJSON, JSON_PATCH, MERGE, ONE, THINGS, UPDATE, Answer, Api

COLLECTIONS = "/v1/collections"
THING = f"{COLLECTIONS}/things"
NDJSON = "application/x-ndjson"
SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
FOLLOWED = 2.1
"""Seconds after which every process goes by a configuration."""


def configure(api: Api, **configuration: object) -> Answer:
    """Configure the collection of things."""
    return api.put(THING, json.dumps(configuration))


@pytest.fixture
def configured(shell_api: Api) -> Iterator[Api]:
    """A client, after whose test the collection is as if nobody had configured it."""
    configure(shell_api)
    yield shell_api
    shell_api.delete(THING)


def fill(things: Things, *documents: dict[str, Any]) -> None:
    """Store these past the service."""
    things.insert_many([RawBSONDocument(bson.encode(each)) for each in documents])


def test_a_collection_is_made_described_and_dropped(configured: Api) -> None:
    """201 and 200, its description, and 404 once it is gone."""
    configured.delete(THING)

    made = configure(configured, schema=SCHEMA, require_if_match=True)

    assert (made.status, made.headers["Location"]) == (201, THING)
    described = {
        "name": "things",
        "count": 0,
        "schema": SCHEMA,
        "require_if_match": True,
        "indexes": [{"key": {"_id": 1}, "name": "_id_"}],
    }
    existing = {"checked": 0, "complete": True, "refused": 0, "examples": []}
    assert made.json() == {**described, "existing": existing}
    assert configured.get(THING).json() == described
    listed = configured.get(COLLECTIONS).json()["collections"]
    assert {"name": "things", "count": 0, "schema": True} in listed
    assert not [each for each in listed if each["name"].startswith("_")]
    assert configure(configured).status == 200
    assert configured.get(THING).json()["schema"] is None
    assert configured.delete(THING).status == 204
    assert configured.get(THING).problem() == "not-found"
    assert configured.delete(THING).problem() == "not-found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "malformed-json"),
        ("[]", "bad-parameter"),
        ('{"schem":{}}', "bad-parameter"),
        ('{"require_if_match":1}', "bad-parameter"),
        ('{"schema":true}', "invalid-schema"),
        ('{"schema":{"maximum":18446744073709551616}}', "invalid-document"),
        ('{"schema":{"maximum":1e400}}', "invalid-document"),
        ('{"schema":{"type":"nonsense"}}', "invalid-schema"),
        ('{"schema":{"$ref":"http://127.0.0.1:9/x"}}', "invalid-schema"),
    ],
)
def test_a_wrong_configuration_changes_nothing(shell_api: Api, body: str, code: str) -> None:
    """What is wrong is told; there is no collection after it."""
    path = f"{COLLECTIONS}/never"
    assert shell_api.put(path, body).problem() == code
    assert shell_api.get(path).problem() == "not-found"
    assert shell_api.put(f"{COLLECTIONS}/_own", "{}").problem() == "bad-parameter"
    key = {"Idempotency_Key": "a"}
    assert shell_api.put(path, "{}", **key).problem() == "idempotency-unsupported"


def test_a_schemas_fault_is_pointed_at(shell_api: Api) -> None:
    """The pointer leads into the body."""
    body = '{"schema":{"properties":{"a":{"type":"nonsense"}}}}'
    assert shell_api.put(f"{COLLECTIONS}/never", body).pointers() == ["/schema/properties/a/type"]


def test_every_way_to_write_is_held_to_the_schema(configured: Api, things: Things) -> None:
    """Whatever the method and the media type, what does not fit is refused and not stored."""
    fill(things, {"_id": "one", "name": "Ada", "age": 1})
    assert configure(configured, schema=SCHEMA).status == 200
    wrong = '{"name":"Ada","age":-1}'

    for answer in (
        configured.post(wrong, THINGS),
        configured.post('{"name":"A","age":{"$numberInt":"-1"}}', THINGS, Content_Type=EJSON),
        configured.put(ONE, wrong),
        configured.patch(ONE, '{"age":-1}', Content_Type=MERGE),
        configured.patch(ONE, '{"age":-1}', Content_Type=EJSON),
        configured.patch(
            ONE, '[{"op":"replace","path":"/age","value":-1}]', Content_Type=JSON_PATCH
        ),
        configured.patch(ONE, '{"$inc":{"age":-2}}', Content_Type=UPDATE),
        configured.patch(ONE, '{"$inc":{"age":-2}}', Content_Type=UPDATE, If_Match="*"),
        configured.patch(ONE, '{"$inc":{"age":-2}}', Content_Type=UPDATE, Idempotency_Key="k"),
        configured.post(wrong, THINGS, Idempotency_Key="l"),
    ):
        assert (answer.status, answer.problem()) == (422, "invalid-document")
        (fault,) = answer.json()["errors"]
        assert (fault["pointer"], fault["schema"]) == ("/age", "/properties/age/minimum")

    assert [bson.decode(each.raw) for each in things.find()] == [
        {"_id": "one", "name": "Ada", "age": 1}
    ]
    assert configured.patch(ONE, '{"$inc":{"age":2}}', Content_Type=UPDATE).json()["age"] == 3
    assert configured.post('{"_id":"two","name":"Bob"}', THINGS).status == 201


def test_many_documents_are_held_to_the_schema_one_by_one(configured: Api, things: Things) -> None:
    """Of an array and of NDJSON those that fit go in; a change of many is refused."""
    assert configure(configured, schema=SCHEMA).status == 200

    some = configured.post('[{"name":"A"},{"name":1}]', THINGS)
    lines = configured.post('{"name":"B"}\n{"nam":"C"}\n', THINGS, Content_Type=NDJSON)

    assert (some.status, some.json()["inserted"]) == (207, 1)
    (error,) = some.json()["errors"]
    assert (error["index"], error["pointer"]) == (1, "/1/name")
    refused, summary = map(json.loads, lines.body.splitlines())
    assert (refused["line"], refused["code"]) == (2, "invalid-document")
    assert (summary["inserted"], summary["failed"]) == (1, 1)
    many = configured.patch(f"{THINGS}?name=A", '{"$set":{"age":-1}}', Content_Type=UPDATE)
    assert many.problem() == "invalid-patch"
    assert things.count_documents({}) == 2


def test_existing_documents_that_do_not_fit_are_told(configured: Api, things: Things) -> None:
    """They stay, and are counted; some are named with what is wrong."""
    known = ObjectId()
    fill(things, {"_id": 1, "name": "A"}, {"_id": known, "name": 1}, {"_id": 3, "age": 1})

    existing = configure(configured, schema=SCHEMA).json()["existing"]

    assert (existing["checked"], existing["complete"], existing["refused"]) == (3, True, 2)
    assert [(each["id"], each["pointer"]) for each in existing["examples"]] == [
        (str(known), "/name"),
        (3, ""),
    ]
    assert things.count_documents({}) == 3


def test_a_schema_sees_the_plain_spelling_without_the_id(configured: Api, things: Things) -> None:
    """A date is its text, a decimal a string; `_id` is not the schema's business."""
    dated = {"type": "string", "format": "date-time"}
    schema = {"properties": {"at": dated, "price": {"type": "string"}}, "maxProperties": 2}
    assert configure(configured, schema=schema).status == 200
    body = '{"at":{"$date":"2026-01-01T00:00:00Z"},"price":{"$numberDecimal":"1.10"}}'

    assert configured.post(body, THINGS, Content_Type=EJSON).status == 201
    assert bson.decode(things.find_one({}).raw)["price"] == Decimal128("1.10")  # type: ignore[union-attr]


def test_a_collection_may_demand_conditions(configured: Api, things: Things) -> None:
    """Nobody changes or deletes a document unseen; creating needs `If-None-Match: *`."""
    fill(things, {"_id": "one", "n": 1})
    assert configure(configured, require_if_match=True).status == 200

    for answer in (
        configured.put(ONE, "{}"),
        configured.patch(ONE, "{}", Content_Type=MERGE),
        configured.delete(ONE),
        configured.delete(f"{THINGS}?n=1"),
        configured.patch(f"{THINGS}?n=1", '{"$set":{"n":2}}', Content_Type=UPDATE),
    ):
        assert (answer.status, answer.problem()) == (428, "precondition-required")
    tag = configured.get(ONE).headers["ETag"]
    assert configured.put(ONE, '{"n":2}', If_Match=tag).status == 200
    assert configured.put(f"{THINGS}/two", "{}", If_None_Match="*").status == 201
    assert configured.post("{}", THINGS).status == 201


def test_every_process_follows(shell_api: Api, api: Api, things: Things) -> None:
    """A schema that one process was given holds in the others within two seconds."""
    assert things is not None
    configure(shell_api, schema=SCHEMA)
    time.sleep(FOLLOWED)
    try:
        assert api.post("{}", THINGS).problem() == "invalid-document"
    finally:
        shell_api.delete(THING)
    time.sleep(FOLLOWED)
    assert api.post("{}", THINGS).status == 201


def _stored(**changes: object) -> dict[str, object]:
    """A configuration as it lies in the database, changed by hand."""
    ours = {"version": ObjectId(), "require_if_match": False, "schema": b"{}"}
    return {name: each for name, each in (ours | changes).items() if each is not None}


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(_stored(schema=b"{"), id="cut"),
        pytest.param(_stored(schema=b"5"), id="a-number"),
        pytest.param(_stored(schema=b'{"$ref":"#/nothing"}'), id="leads-nowhere"),
        pytest.param(_stored(schema=b'{"allOf":5}'), id="no-schema"),
        pytest.param(_stored(schema=b"\xff"), id="no-text"),
        pytest.param(_stored(schema=b"[" * 5000), id="deep"),
        pytest.param(_stored(schema="{}"), id="no-bytes"),
        pytest.param(_stored(version=None), id="without-version"),
        pytest.param(_stored(version=5), id="odd-version"),
        pytest.param(_stored(require_if_match=None), id="without-a-member"),
        pytest.param(_stored(require_if_match="yes"), id="odd-member"),
    ],
)
def test_a_configuration_broken_by_hand_is_the_harm_of_its_collection_alone(
    configured: Api, raw_client: pymongo.MongoClient[RawBSONDocument], stored: dict[str, object]
) -> None:
    """Nobody writes there until it is put anew or dropped; all else goes on, the lists too."""
    torn = f"{COLLECTIONS}/torn"
    kept = raw_client["flask_db"]["_collections"]
    for each in ({"_id": "torn", **stored}, {"_id": 5, **stored}):
        kept.replace_one({"_id": each["_id"]}, each, upsert=True)
    configure(configured, schema=SCHEMA)

    refused = configured.post("{}", f"{torn}/documents")

    assert (refused.status, refused.problem()) == (500, "internal-error")
    assert "put it anew, or drop the collection" in refused.json()["detail"]
    assert configured.post('{"name":"a"}', THINGS).status == 201
    described = configured.get("/openapi.json")
    assert described.json()["components"]["schemas"]["collection.things"] == SCHEMA
    left_out = described.json().get("x-collections-left-out", 0)
    assert left_out == (0 if stored["schema"] == b"{}" else 1)
    listed = configured.get(COLLECTIONS)
    assert {"torn", "things"} <= {each["name"] for each in listed.json()["collections"]}
    assert configured.delete(torn).status == 204
    assert configured.delete(torn).status == 404
    kept.replace_one({"_id": "torn"}, stored, upsert=True)
    assert configured.put(torn, "{}").status == 201
    assert configured.post("{}", f"{torn}/documents").status == 201
    configured.delete(torn)
    kept.delete_one({"_id": 5})


def test_the_description_grows_by_the_schema(configured: Api) -> None:
    """`/openapi.json` has the collection's own paths and schema while it has one, and is valid."""
    path = "/v1/collections/things/documents"
    before = configured.get("/openapi.json")
    assert path not in before.json()["paths"]

    assert configure(configured, schema=SCHEMA).status == 200
    grown = configured.get("/openapi.json", If_None_Match=before.headers["ETag"])

    assert grown.status == 200
    assert grown.json()["components"]["schemas"]["collection.things"] == SCHEMA
    assert grown.json()["paths"][path]["post"]["operationId"] == "createDocument.things"
    assert list(OpenAPIV31SpecValidator(grown.json()).iter_errors()) == []
    again = configured.get("/openapi.json", If_None_Match=grown.headers["ETag"])
    assert again.status == 304
    configure(configured)
    assert configured.get("/openapi.json").body == before.body
