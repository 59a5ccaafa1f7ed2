"""Filter-wide updates and deletes: what they meet, what they refuse, what a failure leaves."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import EJSON, JSON_PATCH, MERGE, THINGS, UPDATE, Answer, Api

SET = '{"$set":{"seen":true}}'


@pytest.fixture
def ten(things: Things) -> Things:
    """Ten documents: `_id` and `n` from 0 to 9, and whether `n` is even."""
    for n in range(10):
        keep(things, {"_id": n, "n": n, "even": n % 2 == 0})
    return things


def of(**filters: Any) -> str:
    """The address of the documents that a filter meets."""
    return f"{THINGS}?filter={quote(json.dumps(filters))}"


def update(api: Api, path: str, body: str = SET, **headers: str) -> Answer:
    """PATCH by update operators."""
    return api.patch(path, body, UPDATE, **headers)


def numbers(things: Things, where: dict[str, Any]) -> list[int]:
    """The `n` of the documents that are met."""
    return sorted(each["n"] for each in things.find(where))


def test_an_update_changes_what_its_filter_meets(api: Api, ten: Things) -> None:
    """200 with how many were met and changed; the second time the same are met and none changes."""
    for expected in ({"matched": 3, "modified": 3}, {"matched": 3, "modified": 0}):
        answer = update(api, of(n={"$gt": 6}))
        assert (answer.status, answer.json()) == (200, expected)
    assert numbers(ten, {"seen": True}) == [7, 8, 9]


def test_a_delete_takes_what_its_filter_meets(api: Api, ten: Things) -> None:
    """200 with how many, and the others stay."""
    for expected in (5, 0):
        answer = api.delete(of(even=True))
        assert (answer.status, answer.json()) == (200, {"deleted": expected})
    assert numbers(ten, {}) == [1, 3, 5, 7, 9]


def test_parameters_for_people_are_filters_here_too(shell_api: Api, ten: Things) -> None:
    """`n[gte]=8` is a filter, alone and beside another."""
    assert update(shell_api, f"{THINGS}?n[gte]=8").json() == {"matched": 2, "modified": 2}
    assert shell_api.delete(f"{of(even=True)}&n[in]=1,2,3,4").json() == {"deleted": 2}
    assert numbers(ten, {"even": True}) == [0, 6, 8]


def test_values_are_extended_json(shell_api: Api, ten: Things) -> None:
    """In the filter and in the operators, so that every type can be met and set."""
    body = '{"$set":{"at":{"$date":"2026-01-01T00:00:00Z"}}}'
    assert update(shell_api, of(n={"$numberLong": "3"}), body).json()["modified"] == 1
    assert shell_api.delete(of(at={"$date": "2026-01-01T00:00:00Z"})).json() == {"deleted": 1}
    assert numbers(ten, {"n": 3}) == []


@pytest.mark.parametrize("query", ["", "?", "?filter={}", "?all=false", "?all=false&filter={}"])
def test_no_filter_has_to_be_meant(api: Api, ten: Things, query: str) -> None:
    """Without a filter it is every document: 400 that says how to say so, and nothing done."""
    for refused in (update(api, THINGS + query), api.delete(THINGS + query)):
        assert (refused.status, refused.problem()) == (400, "bad-parameter")
        assert "all=true" in refused.json()["detail"]
    assert numbers(ten, {"seen": {"$exists": False}}) == list(range(10))


def test_every_document_where_that_is_meant(api: Api, ten: Things) -> None:
    """`all=true` without a filter is all of them; beside a filter the filter still counts."""
    assert update(api, f"{THINGS}?all=true").json() == {"matched": 10, "modified": 10}
    assert api.delete(f"{of(n=1)}&all=true").json() == {"deleted": 1}
    assert api.delete(f"{THINGS}?all=true").json() == {"deleted": 9}
    assert lying_in(ten) == []


def test_an_unknown_collection_has_nothing_to_change(shell_api: Api) -> None:
    """Zero, and 200."""
    path = "/v1/collections/nobody/documents?a=1"
    assert update(shell_api, path).json() == {"matched": 0, "modified": 0}
    assert shell_api.delete(path).json() == {"deleted": 0}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("filter={", 400, "malformed-json"),
        ("filter=", 400, "malformed-json"),
        ("filter=[]", 422, "invalid-filter"),
        ('filter={"$where":"1"}', 422, "forbidden-operator"),
        ('filter={"n":{"$gt":1,"b":2}}', 422, "invalid-filter"),
        ("n[$gt]=1", 400, "bad-parameter"),
        ("$where=1", 400, "bad-parameter"),
        ("limit=1&n=1", 400, "bad-parameter"),
        ("sort=n&n=1", 400, "bad-parameter"),
        ("all=yes", 400, "bad-parameter"),
        ("all=true&all=true", 400, "bad-parameter"),
        ("n=%ff", 400, "bad-parameter"),
    ],
)
def test_a_filter_that_is_none_meets_nothing(
    shell_api: Api, ten: Things, query: str, status: int, code: str
) -> None:
    """It is refused as in a list, and nothing is changed."""
    path = f"{THINGS}?{quote(query, safe='=&[]$%')}"
    for refused in (update(shell_api, path), shell_api.delete(path)):
        assert (refused.status, refused.problem()) == (status, code)
    assert numbers(ten, {"seen": {"$exists": False}}) == list(range(10))


@pytest.mark.parametrize(
    ("body", "code", "pointers"),
    [
        ("{", "malformed-json", []),
        ("[]", "invalid-patch", [""]),
        ("{}", "invalid-patch", [""]),
        ('{"seen":true}', "invalid-patch", ["/seen"]),
        ('{"$set":{"_id":1}}', "invalid-patch", ["/$set/_id"]),
        ('{"$set":{"a":{"$b":1}}}', "invalid-patch", ["/$set/a/$b"]),
        ('{"$setOnInsert":{"a":1}}', "forbidden-operator", ["/$setOnInsert"]),
        ('[{"$set":{"a":"$n"}}]', "invalid-patch", [""]),
        ('{"$set":{"a.$[x]":1}}', "invalid-patch", ["/$set/a.$[x]"]),
    ],
)
def test_an_update_that_is_none(
    shell_api: Api, ten: Things, body: str, code: str, pointers: list[str]
) -> None:
    """It is refused as for one document, with a pointer, and nothing may have been changed."""
    before = lying_in(ten)
    refused = update(shell_api, f"{THINGS}?n[gte]=0", body)
    assert (refused.problem(), refused.pointers()) == (code, pointers)
    assert "partial" not in refused.json()
    assert lying_in(ten) == before


def test_an_update_that_fails_half_way_says_so(api: Api, ten: Things) -> None:
    """An operator that one document does not take: 422 with `partial`, and no pointer into it."""
    ten.update_one({"_id": 5}, {"$set": {"n": "five"}})

    refused = update(api, f"{THINGS}?all=true", '{"$inc":{"n":100}}')

    assert (refused.status, refused.problem()) == (422, "invalid-patch")
    assert refused.json()["partial"] is True
    assert "may be changed already" in refused.json()["detail"]
    assert refused.pointers() == []
    assert ten.count_documents({"n": "five"}) == 1


def test_an_update_that_meets_a_unique_index_half_way(shell_api: Api, ten: Things) -> None:
    """409 with the index, its fields and `partial`; at most one document has the value now."""
    ten.create_index([("u.v", 1), ("w", -1)], unique=True, sparse=True, name="one")
    try:
        refused = update(shell_api, f"{THINGS}?n[lt]=3", '{"$set":{"u.v":1,"w":2}}')
        assert (refused.status, refused.problem()) == (409, "duplicate-key")
        assert refused.json()["index"] == "one"
        assert refused.json()["fields"] == ["u.v", "w"]
        assert refused.json()["partial"] is True
        assert ten.count_documents({"u.v": 1}) <= 1
    finally:
        ten.drop_index("one")


def test_a_filter_that_a_document_does_not_take(shell_api: Api, ten: Things) -> None:
    """A fault of the request, not a defect: of an update the database does not say which part."""
    where = of(**{"$expr": {"$gt": [{"$divide": ["$n", 0]}, 1]}})
    refused = shell_api.delete(where)
    assert (refused.status, refused.problem()) == (422, "invalid-filter")
    assert isinstance(refused.json()["database_code"], int)
    assert refused.json()["partial"] is True
    refused = update(shell_api, where)
    assert (refused.status, refused.problem()) == (422, "invalid-patch")
    assert refused.json()["partial"] is True
    assert numbers(ten, {"seen": {"$exists": False}}) == list(range(10))


@pytest.mark.parametrize("kind", ["application/json", EJSON, MERGE, JSON_PATCH])
def test_only_operators_change_many(shell_api: Api, ten: Things, kind: str) -> None:
    """Another patch is 415, which says what there is."""
    before = lying_in(ten)
    refused = shell_api.patch(f"{THINGS}?n=1", '{"a":1}', kind)
    assert (refused.status, refused.problem()) == (415, "unsupported-media-type")
    assert refused.headers["Accept"] == UPDATE
    assert lying_in(ten) == before


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Idempotency_Key": "k"}, 400, "idempotency-unsupported"),
        ({"If_Match": "*"}, 400, "bad-parameter"),
        ({"If_None_Match": "*"}, 400, "bad-parameter"),
        ({"Accept": EJSON}, 406, "not-acceptable"),
    ],
    ids=str,
)
def test_what_filter_wide_writes_cannot_promise(
    api: Api, ten: Things, headers: dict[str, str], status: int, code: str
) -> None:
    """Keys, conditions and other spellings are refused rather than passed over."""
    before = lying_in(ten)
    path = f"{THINGS}?all=true"
    for refused in (update(api, path, **headers), api.delete(path, **headers)):
        assert (refused.status, refused.problem()) == (status, code)
    assert lying_in(ten) == before


@pytest.mark.parametrize("name", ["_idempotency", "_collections", "system.users", "a..b"])
def test_the_services_own_collections_are_out_of_reach(shell_api: Api, name: str) -> None:
    """400, whatever the filter."""
    path = f"/v1/collections/{name}/documents?all=true"
    assert update(shell_api, path).problem() == "bad-parameter"
    assert shell_api.delete(path).problem() == "bad-parameter"


def test_what_a_collection_demands_counts_for_many_too(shell_api: Api) -> None:
    """Under a schema many are not changed, and where If-Match is demanded not deleted either."""
    place = "/v1/collections/guarded_many"
    many = f"{place}/documents?all=true"
    try:
        assert shell_api.put(place, '{"schema":{"type":"object"}}').status == 201
        assert shell_api.post('{"n":1}', f"{place}/documents").status == 201
        refused = update(shell_api, many)
        assert (refused.status, refused.problem()) == (422, "invalid-patch")
        assert "partial" not in refused.json()
        assert shell_api.put(place, '{"require_if_match":true}').status == 200
        for answer in (update(shell_api, many), shell_api.delete(many)):
            assert (answer.status, answer.problem()) == (428, "precondition-required")
        assert shell_api.put(place, "{}").status == 200
        assert shell_api.delete(many).json() == {"deleted": 1}
    finally:
        shell_api.delete(place)
