"""Pipelines and distinct values over HTTP, on a real server."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from demijohn.query.pipeline import STAGES
from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import CANONICAL, EJSON, Answer, Api
from tests.support.service import ROOT

AGGREGATE = "/v1/collections/things/aggregate"
DISTINCT = "/v1/collections/things/distinct"
NDJSON = "application/x-ndjson"
WHEN = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def people(things: Things) -> Things:
    """Three people of two cities, each with a date, an array, and the length of the name."""
    for name, city, tags in (
        ("Ada", "London", ["a", "b"]),
        ("Alan", "London", []),
        ("Grace", "New York", ["b"]),
    ):
        person = {"_id": bson.ObjectId(f"{len(name):024x}"), "name": name, "city": city}
        more = {"tags": tags, "at": datetime(2026, 1, 1, tzinfo=UTC), "n": bson.Int64(len(name))}
        keep(things, {**person, **more, "home": {"city": city}})
    return things


def ask(api: Api, *stages: object, **headers: str) -> Answer:
    """Have a pipeline carried out."""
    return api.post(json.dumps({"pipeline": stages}), AGGREGATE, **headers)


def made(api: Api, *stages: object) -> list[Any]:
    """What a pipeline makes."""
    answer = ask(api, *stages)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    documents: list[Any] = answer.json()["documents"]
    return documents


def test_a_pipeline_is_answered(api: Api, people: Things) -> None:
    """Filtered, grouped and sorted by the database; the documents in an array, in their order."""
    group = {"$group": {"_id": "$city", "people": {"$sum": 1}, "longest": {"$max": "$n"}}}
    assert made(api, {"$match": {"n": {"$gte": 3}}}, group, {"$sort": {"_id": 1}}) == [
        {"_id": "London", "people": 2, "longest": 4},
        {"_id": "New York", "people": 1, "longest": 5},
    ]
    assert made(api, {"$match": {"n": 99}}) == []
    assert len(made(api)) == people.count_documents({})


@pytest.mark.usefixtures("people")
def test_each_spelling(api: Api) -> None:
    """Plain JSON, both kinds of Extended JSON, and each of them line by line."""
    stages = ({"$match": {"name": "Ada"}}, {"$project": {"at": 1, "n": 1}})
    identity = f"{3:024x}"
    plain = {"_id": identity, "at": WHEN, "n": 3}
    relaxed = {"_id": {"$oid": identity}, "at": {"$date": "2026-01-01T00:00:00Z"}, "n": 3}
    for accepted, expected in (("application/json", plain), (EJSON, relaxed)):
        assert ask(api, *stages, Accept=accepted).json() == {"documents": [expected]}
    canonical = ask(api, *stages, Accept=CANONICAL).json()["documents"][0]
    assert canonical["n"] == {"$numberLong": "3"}
    for accepted, first in (
        (NDJSON, plain),
        (f"{NDJSON}; mode=relaxed", relaxed),
        (f"{NDJSON}; mode=canonical", canonical),
    ):
        answer = ask(api, *stages, Accept=accepted)
        assert answer.headers["Content-Type"] == accepted
        assert answer.body.endswith(b"}\n")
        assert [json.loads(line) for line in answer.body.splitlines()] == [first]
    assert ask(api, {"$match": {"n": 99}}, Accept=NDJSON).body == b""
    assert ask(api, *stages, Accept="text/html").problem() == "not-acceptable"


@pytest.mark.usefixtures("people")
def test_values_are_extended_json(shell_api: Api) -> None:
    """Dates and ObjectIds can be said; 24 hex digits under `_id` are one, but not in ejson."""
    identity = f"{3:024x}"
    date = {"$date": "2026-01-01T00:00:00Z"}
    assert len(made(shell_api, {"$match": {"at": date, "_id": identity}})) == 1
    assert len(made(shell_api, {"$match": {"_id": {"$oid": identity}}})) == 1
    exact = ask(shell_api, {"$match": {"_id": identity}}, Content_Type=EJSON)
    assert exact.json() == {"documents": []}


def test_many_documents_are_one_array(shell_api: Api, things: Things) -> None:
    """More than one batch and more than one group of it: one valid array with all of them."""
    documents = [bson.encode({"_id": at, "text": "x\n" * 1_000}) for at in range(2_500)]
    things.insert_many([RawBSONDocument(each) for each in documents])
    stages = ({"$sort": {"_id": 1}},)
    assert [each["_id"] for each in made(shell_api, *stages)] == list(range(2_500))
    lines = ask(shell_api, *stages, Accept=NDJSON).body.splitlines()
    assert [json.loads(line)["_id"] for line in lines] == list(range(2_500))


@pytest.mark.usefixtures("people")
def test_other_collections_are_looked_up(shell_api: Api) -> None:
    """`$lookup` reaches what clients reach, with a pipeline of its own too."""
    lookup = {"from": "things", "localField": "city", "foreignField": "home.city", "as": "same"}
    assert [len(each["same"]) for each in made(shell_api, {"$lookup": lookup})] == [2, 2, 1]
    for stage, pointer in (
        ({"$lookup": {**lookup, "from": "_idempotency"}}, "/pipeline/0/$lookup/from"),
        ({"$unionWith": "system.users"}, "/pipeline/0/$unionWith"),
        (
            {"$graphLookup": {"from": "_collections", "as": "same"}},
            "/pipeline/0/$graphLookup/from",
        ),
        (
            {"$lookup": {"from": "things", "as": "x", "pipeline": [{"$unionWith": "_jobs"}]}},
            "/pipeline/0/$lookup/pipeline/0/$unionWith",
        ),
    ):
        refused = ask(shell_api, stage)
        assert (refused.status, refused.problem()) == (422, "invalid-pipeline")
        assert refused.pointers() == [pointer]


@pytest.mark.parametrize(
    ("stages", "pointer"),
    [
        ([{"$out": "other"}], "/pipeline/0/$out"),
        ([{"$match": {}}, {"$merge": {"into": "other"}}], "/pipeline/1/$merge"),
        ([{"$match": {"$where": "1"}}], "/pipeline/0/$match/$where"),
        ([{"$facet": {"a": [{"$out": "other"}]}}], "/pipeline/0/$facet/a/0/$out"),
        ([{"$collStats": {}}], "/pipeline/0/$collStats"),
        ([{"$currentOp": {}}], "/pipeline/0/$currentOp"),
        ([{"$changeStream": {}}], "/pipeline/0/$changeStream"),
        ([{"$documents": [{"a": 1}]}], "/pipeline/0/$documents"),
    ],
    ids=lambda each: str(each) if isinstance(each, str) else "",
)
def test_only_stages_that_read_are_let_through(
    api: Api, people: Things, stages: list[object], pointer: str
) -> None:
    """422 that points at the stage, and nothing is written."""
    before = lying_in(people)
    refused = ask(api, *stages)
    assert (refused.status, refused.problem()) == (422, "forbidden-operator")
    assert refused.pointers() == [pointer]
    assert lying_in(people) == before
    assert "other" not in people.database.list_collection_names()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("body", "code", "pointers"),
    [
        ("{", "malformed-json", []),
        ("[]", "invalid-pipeline", [""]),
        ("{}", "invalid-pipeline", [""]),
        ('{"pipeline":{}}', "invalid-pipeline", ["/pipeline"]),
        ('{"pipeline":[1]}', "invalid-pipeline", ["/pipeline/0"]),
        ('{"pipeline":[{}]}', "invalid-pipeline", ["/pipeline/0"]),
        ('{"pipeline":[],"explain":true}', "invalid-pipeline", ["/explain"]),
        ('{"pipeline":[{"$count":""}]}', "invalid-pipeline", [""]),
        ('{"pipeline":[{"$limit":-1}]}', "invalid-pipeline", [""]),
    ],
)
def test_what_is_no_pipeline(shell_api: Api, body: str, code: str, pointers: list[str]) -> None:
    """Refused here with a pointer, or by the database with its number; never a broken stream."""
    refused = shell_api.post(body, AGGREGATE)
    assert (refused.problem(), refused.pointers()) == (code, pointers)


def test_the_page_names_every_stage() -> None:
    """The reference lists exactly the stages that are let through."""
    page = (ROOT / "docs/reference/aggregate.md").read_text(encoding="utf-8")
    listed = page.partition("**Stages that read**: ")[2].partition(". `$out`")[0]
    assert set(re.findall(r"`(\$\w+)`", listed)) == set(STAGES)


def test_what_a_pipeline_does_not_take(api: Api) -> None:
    """Parameters, conditions, other media types, collections that clients cannot reach."""
    body = '{"pipeline":[]}'
    assert api.post(body, f"{AGGREGATE}?a=1").problem() == "bad-parameter"
    assert api.post(body, AGGREGATE, If_Match="*").problem() == "bad-parameter"
    assert api.post(body, AGGREGATE, Content_Type=NDJSON).problem() == "unsupported-media-type"
    assert api.post(body, "/v1/collections/_x/aggregate").problem() == "bad-parameter"
    assert api.post(body, "/v1/collections/nobody/aggregate").json() == {"documents": []}


def distinct(api: Api, path: str, query: str = "", **headers: str) -> Any:
    """The different values at a path."""
    answer = api.get(f"{DISTINCT}/{path}{query}", **headers)
    assert answer.status == 200
    return answer.json()["values"]


@pytest.mark.usefixtures("people")
def test_distinct_values(api: Api) -> None:
    """Each value once, those of arrays one by one, inside documents too; a filter narrows them."""
    assert sorted(distinct(api, "city")) == ["London", "New York"]
    assert sorted(distinct(api, "home.city")) == ["London", "New York"]
    assert sorted(distinct(api, "tags")) == ["a", "b"]
    where = quote('{"n":{"$gt":3}}')
    assert sorted(distinct(api, "name", f"?filter={where}&city=London")) == ["Alan"]
    assert distinct(api, "nothing") == []
    assert api.get("/v1/collections/nobody/distinct/a").json() == {"values": []}


def test_distinct_values_keep_their_types(shell_api: Api, people: Things) -> None:
    """Each spelling of a document is there for values too."""
    assert distinct(shell_api, "at") == [WHEN]
    assert distinct(shell_api, "at", Accept=EJSON) == [{"$date": "2026-01-01T00:00:00Z"}]
    numbers = distinct(shell_api, "n", Accept=CANONICAL)
    assert {"$numberLong": "3"} in numbers
    people.update_one({"name": "Ada"}, {"$set": {"n": {"deep": [1]}}})
    assert {"deep": [1]} in distinct(shell_api, "n")


def test_a_field_may_be_called_as_it_likes(shell_api: Api, things: Things) -> None:
    """The path is the rest of the address, so no name is reserved, and slashes are no trouble."""
    keep(things, {"_id": 1, "filter": 1, "a/b": 2, "ä ?": {"&": 3}})
    assert distinct(shell_api, "filter") == [1]
    assert distinct(shell_api, "a/b") == distinct(shell_api, "a%2Fb") == [2]
    assert distinct(shell_api, quote("ä ?.&", safe="")) == [3]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "bad-parameter"),
        ("a..b", "bad-parameter"),
        ("$where", "bad-parameter"),
        ("a.$b", "bad-parameter"),
        ("a%00b", "bad-parameter"),
        ("a?limit=1", "bad-parameter"),
        ("a?sort=a", "bad-parameter"),
        ("a?all=true", "bad-parameter"),
        ("a?filter={", "malformed-json"),
        ("a?filter=%7B%22$where%22:1%7D", "forbidden-operator"),
        ("a?filter=%7B%22$expr%22:%7B%22$divide%22:[1,0]%7D%7D", "invalid-filter"),
    ],
)
def test_what_has_no_distinct_values(shell_api: Api, path: str, code: str) -> None:
    """A path that is none, a parameter that is not taken, a filter that is none."""
    assert shell_api.get(f"{DISTINCT}/{path}").problem() == code


def test_too_many_distinct_values(shell_api: Api, things: Things) -> None:
    """What is more than MongoDB answers at once is 413, not a part of it."""
    for at in range(20):
        keep(things, {"_id": at, "text": f"{at:02}" + "x" * 1_000_000})
    answer = shell_api.get(f"{DISTINCT}/text")
    assert answer.status == 413
    assert answer.problem() == "too-large"
