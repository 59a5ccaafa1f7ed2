"""Indexes over HTTP: listed, made, dropped, and what is refused, on a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.conftest import Things, keep
from tests.support.api import EJSON, THINGS, Api

INDEXES = "/v1/collections/things/indexes"
OF_ID = {"key": {"_id": 1}, "name": "_id_"}


@pytest.fixture(autouse=True)
def _no_index_before(things: Things) -> Iterator[None]:
    """The collection has no index but that of `_id`, before and after."""
    things.drop()
    yield
    things.drop()


def make(api: Api, index: Any) -> Any:
    """Ask for an index; the answer."""
    return api.post(json.dumps(index), INDEXES)


def listed(api: Api) -> list[Any]:
    """The indexes that there are."""
    answer = api.get(INDEXES)
    assert answer.status == 200
    found: list[Any] = answer.json()["indexes"]
    return found


def test_an_index_is_made_read_and_dropped(api: Api) -> None:
    """201 and where it is; the same again is 200; dropped it is gone, and the second time 404."""
    assert listed(api) == []
    asked = {"key": {"b.c": -1, "a": 1}, "unique": True, "name": "first/second #1"}

    made = make(api, asked)

    assert made.status == 201
    assert made.json() == asked
    assert list(made.json()["key"]) == ["b.c", "a"]
    place = made.headers["Location"]
    assert place == f"{INDEXES}/first%2Fsecond%20%231"
    assert api.get(place).json() == asked
    assert listed(api) == [OF_ID, asked]
    again = make(api, asked)
    assert (again.status, again.json(), again.headers["Location"]) == (200, asked, place)
    assert api.delete(place).status == 204
    assert listed(api) == [OF_ID]
    assert api.delete(place).problem() == "not-found"
    assert api.get(place).problem() == "not-found"


def test_an_index_without_a_name_gets_one(shell_api: Api) -> None:
    """Its paths and directions, as drivers call it; pairs keep an order that objects might lose."""
    assert make(shell_api, {"key": [["b", 1], ["a", -1.0]]}).json() == {
        "key": {"b": 1, "a": -1},
        "name": "b_1_a_-1",
    }
    assert make(shell_api, {"key": {"a.$**": 1}}).json()["name"] == "a.$**_1"


@pytest.mark.parametrize(
    "options",
    [
        {"sparse": True},
        {"expireAfterSeconds": 5.0},
        {"unique": False},
        {
            "partialFilterExpression": {
                "a": {"$gt": 5},
                "d": {"$lt": {"$date": "2026-01-01T00:00:00Z"}},
            }
        },
        {"collation": {"locale": "en", "strength": 2, "caseFirst": "off", "backwards": False}},
    ],
    ids=lambda options: str(next(iter(options))),
)
def test_options_come_back_as_they_were_given(shell_api: Api, options: dict[str, Any]) -> None:
    """Each of MongoDB's options that are taken, values in Extended JSON both ways."""
    made = make(shell_api, {"key": {"a": 1}, **options})

    assert made.status == 201
    assert made.json() == {"key": {"a": 1}, "name": "a_1", **options}
    assert make(shell_api, {"key": {"a": 1}, **options}).status == 200
    kept = shell_api.get(f"{INDEXES}/a_1").json()
    assert {**options, **kept} == kept or options == {"unique": False}


def test_what_an_index_says_is_done(shell_api: Api, things: Things) -> None:
    """A unique partial index holds writes to it: 409 with the index and its fields, dotted too."""
    index = {"key": {"u.v": 1, "w": -1}, "unique": True, "name": "one"}
    index["partialFilterExpression"] = {"w": {"$exists": True}}
    assert make(shell_api, index).status == 201
    for body in ('{"_id":1,"u":{"v":1},"w":2}', '{"_id":2,"u":{"v":1}}', '{"_id":3,"u":{"v":1}}'):
        assert shell_api.post(body, THINGS).status == 201

    refused = shell_api.post('{"_id":4,"u":{"v":1},"w":2}', THINGS)

    assert (refused.status, refused.problem()) == (409, "duplicate-key")
    assert (refused.json()["index"], refused.json()["fields"]) == ("one", ["u.v", "w"])
    patched = shell_api.patch(f"{THINGS}/%7B%22$numberInt%22:%222%22%7D", '{"w":2}')
    assert (patched.status, patched.json()["index"]) == (409, "one")
    assert things.count_documents({}) == 3


def test_documents_that_are_there_can_speak_against_an_index(api: Api, things: Things) -> None:
    """A unique index over equal values is 409 that says which, and is not made."""
    for identity in (1, 2):
        keep(things, {"_id": identity, "a": 1, "b": {"c": 2}})

    refused = make(api, {"key": {"a": 1, "b.c": 1}, "unique": True, "name": "one"})

    assert (refused.status, refused.problem()) == (409, "duplicate-key")
    assert (refused.json()["index"], refused.json()["fields"]) == ("one", ["a", "b.c"])
    assert refused.pointers() == ["/key"]
    assert listed(api) == [OF_ID]


@pytest.mark.parametrize(
    "other",
    [
        {"key": {"b": 1}, "name": "a_1"},
        {"key": {"a": 1}, "name": "other"},
        {"key": {"a": 1}, "sparse": True},
    ],
    ids=["name", "key", "options"],
)
def test_another_index_is_in_the_way(api: Api, other: dict[str, Any]) -> None:
    """409 where the name is another's, or the key has another name or other options."""
    assert make(api, {"key": {"a": 1}}).status == 201

    refused = make(api, other)

    assert (refused.status, refused.problem()) == (409, "index-conflict")
    assert len(listed(api)) == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ("[]", ""),
        ("{}", ""),
        ("1", ""),
        ('{"name":"a"}', ""),
        ('{"key":{}}', "/key"),
        ('{"key":[]}', "/key"),
        ('{"key":"a"}', "/key"),
        ('{"key":{"_id":1}}', "/key"),
        ('{"key":{"a":0}}', "/key/a"),
        ('{"key":{"a":2}}', "/key/a"),
        ('{"key":{"a":"text"}}', "/key/a"),
        ('{"key":{"a":true}}', "/key/a"),
        ('{"key":{"a":{"$numberDouble":"NaN"}}}', "/key/a"),
        ('{"key":{"a":{"$meta":"textScore"}}}', "/key/a"),
        ('{"key":{"a..b":1}}', "/key/a..b"),
        ('{"key":{"":1}}', "/key/"),
        ('{"key":{"$a":1}}', "/key/$a"),
        ('{"key":{"$**.a":1}}', "/key/$**.a"),
        ('{"key":{"a\\u0000b":1}}', "/key/a\0b"),
        ('{"key":[["a",1],["a",-1]]}', "/key/1"),
        ('{"key":[["a"]]}', "/key/0"),
        ('{"key":[[1,1]]}', "/key/0"),
        ('{"key":["ab"]}', "/key/0"),
        ('{"key":{"a":1},"name":"*"}', "/name"),
        ('{"key":{"a":1},"name":"_id_"}', "/name"),
        ('{"key":{"a":1},"name":""}', "/name"),
        ('{"key":{"a":1},"name":1}', "/name"),
        ('{"key":{"a":1},"name":"a\\u0000b"}', "/name"),
        ('{"key":{"a":1},"name":"' + "n" * 201 + '"}', "/name"),
        ('{"key":{"' + "n" * 201 + '":1}}', "/name"),
        ('{"key":{"a":1},"unique":1}', "/unique"),
        ('{"key":{"a":1},"sparse":null}', "/sparse"),
        ('{"key":{"a":1},"sparse":true,"partialFilterExpression":{"a":1}}', "/sparse"),
        ('{"key":{"a":1},"expireAfterSeconds":-1}', "/expireAfterSeconds"),
        ('{"key":{"a":1},"expireAfterSeconds":2147483648}', "/expireAfterSeconds"),
        ('{"key":{"a":1},"expireAfterSeconds":1.5}', "/expireAfterSeconds"),
        ('{"key":{"a":1,"b":1},"expireAfterSeconds":1}', "/expireAfterSeconds"),
        ('{"key":{"_id":-1},"expireAfterSeconds":1}', "/expireAfterSeconds"),
        ('{"key":{"a":1},"collation":{}}', "/collation"),
        ('{"key":{"a":1},"collation":{"strength":1}}', "/collation"),
        ('{"key":{"a":1},"collation":{"locale":1}}', "/collation/locale"),
        ('{"key":{"a":1},"collation":{"locale":""}}', "/collation/locale"),
        ('{"key":{"a":1},"collation":{"locale":"en","strength":6}}', "/collation/strength"),
        ('{"key":{"a":1},"collation":{"locale":"en","rule":1}}', "/collation/rule"),
        ('{"key":{"a":1},"background":true}', "/background"),
        ('{"key":{"a":1},"storageEngine":{}}', "/storageEngine"),
        ('{"key":{"a":1},"$where":"1"}', "/$where"),
    ],
)
def test_what_is_no_index(shell_api: Api, body: str, pointer: str) -> None:
    """422 with a pointer, and nothing is made."""
    refused = shell_api.post(body, INDEXES)

    assert (refused.status, refused.problem()) == (422, "invalid-index")
    assert refused.pointers() == [pointer]
    assert listed(shell_api) == []


def test_an_index_has_at_most_32_paths(shell_api: Api) -> None:
    """32 are taken and 33 refused."""
    keys = {f"k{at}": 1 for at in range(33)}
    assert make(shell_api, {"key": keys, "name": "many"}).pointers() == ["/key"]
    del keys["k32"]
    assert make(shell_api, {"key": keys, "name": "many"}).status == 201


@pytest.mark.parametrize(
    ("partial", "code", "pointer"),
    [
        (1, "invalid-filter", "/partialFilterExpression"),
        ({"a": {"$size": "x"}}, "invalid-filter", "/partialFilterExpression/a/$size"),
        ({"$where": "1"}, "forbidden-operator", "/partialFilterExpression/$where"),
        ({"$expr": {"$toInt": "$a"}}, "forbidden-operator", "/partialFilterExpression/$expr"),
        ({"a": {"$regex": "x"}}, "forbidden-operator", "/partialFilterExpression/a/$regex"),
    ],
)
def test_the_filter_of_a_partial_index_is_a_filter(
    shell_api: Api, partial: object, code: str, pointer: str
) -> None:
    """It is held to fewer operators than a list's, with pointers to where they stand."""
    refused = make(shell_api, {"key": {"a": 1}, "partialFilterExpression": partial})

    assert (refused.status, refused.problem(), refused.pointers()) == (422, code, [pointer])


def test_all_indexes_cannot_be_dropped_by_a_star(api: Api) -> None:
    """`*`, which is all of them to MongoDB, is a name that no index has; and `_id_` stays."""
    make(api, {"key": {"a": 1}})
    assert api.delete(f"{INDEXES}/*").problem() == "not-found"
    assert api.delete(f"{INDEXES}/%2A").problem() == "not-found"
    assert api.delete(f"{INDEXES}/").problem() == "not-found"
    refused = api.delete(f"{INDEXES}/_id_")
    assert (refused.status, refused.problem()) == (422, "invalid-index")
    assert len(listed(api)) == 2


def test_what_the_routes_of_indexes_do_not_take(api: Api) -> None:
    """Parameters, conditions, keys, other media types and collections of the service's own."""
    body = '{"key":{"a":1}}'
    assert api.get(f"{INDEXES}?a=1").problem() == "bad-parameter"
    assert api.post(body, INDEXES, If_Match="*").problem() == "bad-parameter"
    assert api.post(body, INDEXES, Idempotency_Key="k").problem() == "idempotency-unsupported"
    assert api.delete(f"{INDEXES}/a_1", Idempotency_Key="k").problem() == "idempotency-unsupported"
    assert api.post(body, INDEXES, Content_Type=EJSON).problem() == "unsupported-media-type"
    assert api.post(body, INDEXES, Accept=EJSON).problem() == "not-acceptable"
    assert api.post("{", INDEXES).problem() == "malformed-json"
    for name in ("_collections", "system.indexes", "_idempotency"):
        path = f"/v1/collections/{name}/indexes"
        assert api.get(path).problem() == "bad-parameter"
        assert api.post(body, path).problem() == "bad-parameter"
        assert api.delete(f"{path}/a_1").problem() == "bad-parameter"
    assert listed(api) == []
