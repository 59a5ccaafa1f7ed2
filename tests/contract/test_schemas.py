"""Schemas and demands for conditions beside keys, and schemas that a hostile stranger sends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.conftest import Things, keep
from tests.support.api import ONE, THINGS, UPDATE, Answer, Api

THING = "/v1/collections/things"
DATA = "/v1/collections/data"
NUMBERED = {"properties": {"n": {"type": "integer"}}, "required": ["n"]}
GOOD, BAD = '{"_id":"one","n":1}', '{"_id":"one","n":"1"}'


def configure(api: Api, path: str = THING, **configuration: object) -> Answer:
    """Configure a collection."""
    return api.put(path, json.dumps(configuration))


@pytest.fixture
def client(shell_api: Api, things: Things) -> Iterator[Api]:
    """A client; before and after the collection is as if nobody had configured it."""
    configure(shell_api)
    things.delete_many({})
    yield shell_api
    shell_api.delete(THING)


def replayed(answer: Answer) -> bool:
    """Whether it is the answer that the first request with the key got."""
    return answer.headers.get("Idempotency-Replayed") == "true"


def test_what_was_done_under_a_key_is_told_again_under_a_new_schema(client: Api) -> None:
    """A retry gets its answer, though its document would be refused by now."""
    many = '[{"n":"a"},{"n":"b"}]'
    first = [
        client.post(BAD, THINGS, Idempotency_Key="post"),
        client.put(f"{THINGS}/two", '{"n":"2"}', Idempotency_Key="put"),
        client.patch(ONE, '{"m":1}', Idempotency_Key="patch"),
        client.post(many, THINGS, Idempotency_Key="array"),
    ]
    assert [each.status for each in first] == [201, 201, 200, 201]
    assert configure(client, schema=NUMBERED, require_if_match=True).status == 200

    again = [
        client.post(BAD, THINGS, Idempotency_Key="post"),
        client.put(f"{THINGS}/two", '{"n":"2"}', Idempotency_Key="put"),
        client.patch(ONE, '{"m":1}', Idempotency_Key="patch"),
        client.post(many, THINGS, Idempotency_Key="array"),
    ]

    assert [each.body for each in again] == [each.body for each in first]
    assert all(map(replayed, again))


def test_what_a_schema_refused_under_a_key_is_told_again(client: Api, things: Things) -> None:
    """The refusal is the key's outcome, also once the schema is gone; nothing is written."""
    assert configure(client, schema=NUMBERED).status == 200
    first = client.post(BAD, THINGS, Idempotency_Key="refused")
    assert (first.status, first.problem()) == (422, "invalid-document")
    configure(client)

    again = client.post(BAD, THINGS, Idempotency_Key="refused")

    assert (again.status, replayed(again)) == (422, True)
    assert things.count_documents({}) == 0


def test_a_condition_that_is_missing_is_no_outcome(client: Api, things: Things) -> None:
    """428 is not recorded: the same request with a condition and the same key is carried out."""
    keep(things, {"_id": "one", "n": 1})
    assert configure(client, require_if_match=True).status == 200
    tag = client.get(ONE).headers["ETag"]
    refused = client.put(ONE, '{"n":2}', Idempotency_Key="conditional")
    assert (refused.status, refused.problem()) == (428, "precondition-required")

    done = client.put(ONE, '{"n":2}', Idempotency_Key="conditional", If_Match=tag)

    assert (done.status, replayed(done), done.json()["n"]) == (200, False, 2)


def test_the_guides_route_keeps_to_the_schema(shell_api: Api) -> None:
    """`POST /data` is collection `data`."""
    assert configure(shell_api, DATA, schema=NUMBERED).status in (200, 201)
    try:
        refused = shell_api.post('{"n":"1"}')
        assert (refused.status, refused.pointers()) == (422, ["/n"])
        assert shell_api.post('{"n":1}').status == 201
    finally:
        configure(shell_api, DATA)


def test_one_that_does_not_fit_is_read_mended_and_deleted(client: Api, things: Things) -> None:
    """A patch that leaves it unfit is refused, one that makes it fit is not."""
    keep(things, {"_id": "one", "n": "1"})
    existing = configure(client, schema=NUMBERED).json()["existing"]
    assert existing["refused"] == 1
    assert client.get(ONE).json() == {"_id": "one", "n": "1"}

    assert client.patch(ONE, '{"m":1}').pointers() == ["/n"]
    assert client.patch(ONE, '{"$set":{"m":1}}', Content_Type=UPDATE).pointers() == ["/n"]
    assert client.put(ONE, '{"n":"1"}').pointers() == ["/n"]
    assert client.patch(ONE, '{"n":1}').status == 200
    keep(things, {"_id": "two", "n": "2"})
    assert client.delete(f"{THINGS}/two").status == 204


def test_not_all_of_a_large_collection_is_looked_at(client: Api, things: Things) -> None:
    """Few are named however many do not fit, and each in bounded length."""
    for at in range(300):
        keep(things, {"_id": f"{at:03}", "long": "x" * 1_000})
    wrong = {"properties": {"long": {"enum": ["y" * 10_000]}}}

    existing = configure(client, schema=wrong).json()["existing"]

    assert (existing["checked"], existing["complete"], existing["refused"]) == (300, True, 300)
    assert len(existing["examples"]) == 20
    assert max(len(each["detail"]) for each in existing["examples"]) < 400


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "http://169.254.169.254/"}}},
        {"allOf": [{"pattern": f"\\w{{{at}}}"} for at in range(250)]},
        {"description": "x" * 300_000},
        {"pattern": "(a)\\1"},
        {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        {"properties": {"a": {"minimum": "1"}}},
    ],
)
def test_a_schema_that_is_refused_changes_nothing(client: Api, schema: object) -> None:
    """What was configured before holds on."""
    assert configure(client, schema=NUMBERED).status == 200
    refused = configure(client, schema=schema)
    assert (refused.status, refused.problem()) == (422, "invalid-schema")
    assert refused.pointers()[0].startswith("/schema")
    assert client.get(THING).json()["schema"] == NUMBERED


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"not": {}},
        {"properties": {"__proto__": False, "ключ": {"const": "значение"}, "a/b~c": True}},
        {"$id": "https://a.example/b", "$ref": "#/$defs/%25", "$defs": {"%": {"minProperties": 0}}},
        {"properties": {f"p{at}": {"type": "integer"} for at in range(5_000)}},
        {"properties": {"a": {"enum": list(range(20_000))}}},
        {"default": {"$ref": "http://a/"}, "title": "</script>", "x-own": [1, 1.0, 1e300, -0.0]},
    ],
)
def test_a_schema_is_kept_as_it_was_sent(client: Api, schema: Any) -> None:
    """Whatever it has in it comes back, and is in a description that can be read."""
    assert configure(client, schema=schema).json()["schema"] == schema
    assert client.get(THING).json()["schema"] == schema
    described = client.get("/openapi.json").json()["components"]["schemas"]["collection.things"]
    assert described.get("properties") == schema.get("properties")


def test_patterns_and_long_arrays_are_answered(client: Api) -> None:
    """Neither a pattern that makes other engines go back nor many unique items hold anybody up."""
    held = {"properties": {"a": {"pattern": "^(a+)+$"}, "b": {"uniqueItems": True}}}
    assert configure(client, schema=held).status == 200
    assert client.post(json.dumps({"a": "a" * 65_536 + "b"}), THINGS).pointers() == ["/a"]
    items = [[at] for at in range(50_000)]
    assert client.post(json.dumps({"b": items}), THINGS).status == 201
    assert client.post(json.dumps({"b": [*items, [7]]}), THINGS).pointers() == ["/b"]


def test_a_process_that_is_behind_follows(api: Api, things: Things) -> None:
    """A configuration that is gone again, by another process, holds no more after two seconds."""
    things.delete_many({})
    configuration = things.database["_collections"]
    api.post("{}", THINGS)
    try:
        assert configure(api, schema=NUMBERED).status in (200, 201)
        assert api.post("{}", THINGS).problem() == "invalid-document"
        configuration.delete_one({"_id": "things"})
        time.sleep(2)
        assert api.post("{}", THINGS).status == 201
    finally:
        configuration.delete_one({"_id": "things"})
        time.sleep(2)
