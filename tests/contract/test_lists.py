"""Lists: filters, order, fields, pages and streams, as a client asks for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import bson
import pytest
from bson import ObjectId
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument

from tests.contract.conftest import Things
from tests.support.api import CANONICAL, EJSON, THINGS, Answer, Api
from tests.support.database import Documents

SEARCH = "/v1/collections/things/search"
NDJSON = "application/x-ndjson"
PEOPLE: list[dict[str, Any]] = [
    {"_id": "ada", "age": 36, "tags": ["maths"], "name": {"first": "Ada"}, "secret": 1},
    {"_id": "bob", "age": 40, "name": {"first": "Bob"}},
    {"_id": "cid", "age": 36, "open": True},
    {"_id": "dan", "age": None, "name": {"first": "Dan"}},
    {"_id": "eve", "age": "36"},
]


@pytest.fixture
def people(things: Things) -> Things:
    """A collection of five."""
    fill(things, *PEOPLE)
    return things


def fill(things: Things, *documents: dict[str, Any]) -> None:
    """Store these past the service."""
    things.insert_many([RawBSONDocument(bson.encode(each)) for each in documents])


def ask(api: Api, **parameters: object) -> Answer:
    """The list with these parameters."""
    return api.get(f"{THINGS}?{urlencode(parameters)}")


def ids(answer: Answer) -> list[object]:
    """The ids of a page."""
    assert answer.status == 200, answer.body
    return [each["_id"] for each in answer.json()["documents"]]


def follow(api: Api, path: str) -> Iterator[list[object]]:
    """Page after page, by `next`."""
    following: str | None = path
    while following is not None:
        answer = api.get(following)
        yield ids(answer)
        following = answer.json()["next"]


@pytest.mark.usefixtures("people")
def test_a_list_is_a_page_that_says_where_it_goes_on(api: Api) -> None:
    """Pages in the order of ids, `next`, `after` and `Link` on all but the last."""
    first = ask(api, limit=2)

    assert ids(first) == ["ada", "bob"]
    assert first.headers["Link"] == f'<{first.json()["next"]}>; rel="next"'
    assert first.json()["after"] in first.json()["next"]
    assert first.json()["documents"][0] == PEOPLE[0]
    assert list(follow(api, f"{THINGS}?limit=2")) == [["ada", "bob"], ["cid", "dan"], ["eve"]]
    last = ask(api, limit=5)
    assert last.json()["next"] is None
    assert last.json()["after"] is None
    assert "Link" not in last.headers


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"age": "36"}, ["ada", "cid"]),
        ({"age": '"36"'}, ["eve"]),
        ({"age": "null"}, ["dan"]),
        ({"age[gte]": "37"}, ["bob"]),
        ({"age[ne]": "36"}, ["bob", "dan", "eve"]),
        ({"age[in]": '36,"36"'}, ["ada", "cid", "eve"]),
        ({"age[nin]": "36,40"}, ["dan", "eve"]),
        ({"name.first[regex]": "^[AB]"}, ["ada", "bob"]),
        ({"name[exists]": "false"}, ["cid", "eve"]),
        ({"age[type]": "string"}, ["eve"]),
        ({"tags": "maths"}, ["ada"]),
        ({"open": "true"}, ["cid"]),
        ({"_id": "bob"}, ["bob"]),
        ({"_id[in]": "bob,eve"}, ["bob", "eve"]),
        ({"age": "36", "open[exists]": "true"}, ["cid"]),
        ({"age[gte]": "30", "age[lt]": "40"}, ["ada", "cid"]),
        ({"filter": '{"$or":[{"age":40},{"tags":"maths"}]}'}, ["ada", "bob"]),
        ({"filter": '{"age":36}', "open": "true"}, ["cid"]),
        ({"sort": "-age,name.first"}, ["eve", "bob", "cid", "ada", "dan"]),
        ({"sort": "-_id"}, ["eve", "dan", "cid", "bob", "ada"]),
    ],
)
def test_parameters_filter_and_sort(
    shell_api: Api, parameters: dict[str, str], expected: list[str]
) -> None:
    """What people write in a URL is the filter and the order that they mean."""
    assert ids(ask(shell_api, **parameters)) == expected


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "parameters",
    [
        {"password": '{"$ne":null}'},
        {"age": '{"$gt":0}'},
        {"age": "[36]"},
        {"name.first": '{"$regex":"."}'},
    ],
)
def test_equality_never_becomes_an_operator(shell_api: Api, parameters: dict[str, str]) -> None:
    """A value that looks like an operator is a string, which nothing here equals."""
    assert ids(ask(shell_api, **parameters)) == []


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("$where=1", "bad-parameter", 400),
        ("a[$gt]=1", "bad-parameter", 400),
        ("a[gtx]=1", "bad-parameter", 400),
        ("a[gt=1", "bad-parameter", 400),
        ("a.$b=1", "bad-parameter", 400),
        ("=1", "bad-parameter", 400),
        ("a=%FF", "bad-parameter", 400),
        ("limit=0", "bad-parameter", 400),
        ("limit=1001", "bad-parameter", 400),
        ("limit=1e2", "bad-parameter", 400),
        ("limit=1&limit=2", "bad-parameter", 400),
        ("sort=", "bad-parameter", 400),
        ("sort=a,a", "bad-parameter", 400),
        ("sort=a,a.b", "bad-parameter", 400),
        ("sort=$a", "bad-parameter", 400),
        ("fields=a,-b", "bad-parameter", 400),
        ("fields=a,a.b", "bad-parameter", 400),
        ("count=yes", "bad-parameter", 400),
        ("count=estimated&a=1", "bad-parameter", 400),
        ("all=true", "bad-parameter", 400),
        ("a[exists]=yes", "bad-parameter", 400),
        ("a[type]=nonsense", "bad-parameter", 400),
        ("a[regex]=" + 1001 * "a", "bad-parameter", 400),
        ("a=99999999999999999999", "bad-parameter", 400),
        ("filter=" + quote("{"), "malformed-json", 400),
        ("filter=" + quote("[]"), "invalid-filter", 422),
        ("filter=" + quote('{"$where":"1"}'), "forbidden-operator", 422),
        ("filter=" + quote('{"a":{"$function":{}}}'), "forbidden-operator", 422),
        ("filter=" + quote('{"$expr":{"$function":{}}}'), "forbidden-operator", 422),
        ("filter=" + quote('{"a":{"$in":1}}'), "invalid-filter", 422),
        ("filter=" + quote('{"a":{"$regex":"("}}'), "invalid-filter", 422),
        ("after=nonsense", "bad-cursor", 400),
        ("after=", "bad-cursor", 400),
    ],
)
def test_what_is_wrong_is_told(shell_api: Api, query: str, code: str, status: int) -> None:
    """Every wrong parameter has a problem of its own kind, never an empty or another list."""
    answer = shell_api.get(f"{THINGS}?{query}")

    assert (answer.status, answer.problem()) == (status, code)


@pytest.mark.usefixtures("people")
def test_a_filters_fault_is_pointed_at(shell_api: Api) -> None:
    """The pointer leads to the clause."""
    wrong = '{"$and":[{"a":1},{"b":{"$gt":1,"$where":"x"}}]}'

    answer = shell_api.get(f"{THINGS}?filter={quote(wrong)}")

    assert answer.pointers() == ["/$and/1/b/$where"]


@pytest.mark.usefixtures("people")
def test_fields_are_shown_or_left_out(shell_api: Api) -> None:
    """By path, also where the order is by a field that is not shown."""
    shown = ask(shell_api, fields="name.first", sort="-age", limit=2).json()
    hidden = ask(shell_api, fields="-age,-secret,-_id", sort="age", limit=2).json()
    ids_alone = ask(shell_api, fields="_id", limit=1).json()
    without_ids = ask(shell_api, fields="-_id", limit=1).json()

    assert shown["documents"] == [{"_id": "eve"}, {"_id": "bob", "name": {"first": "Bob"}}]
    assert hidden["documents"] == [
        {"name": {"first": "Dan"}},
        {"tags": ["maths"], "name": {"first": "Ada"}},
    ]
    assert ids_alone["documents"] == [{"_id": "ada"}]
    assert without_ids["documents"] == [
        {key: value for key, value in PEOPLE[0].items() if key != "_id"}
    ]


@pytest.mark.usefixtures("people")
def test_counts_are_given_where_asked_for(shell_api: Api) -> None:
    """Exact counts are of the filter, wherever the page is; nobody pays for one unasked."""
    assert ask(shell_api, count="exact", limit=1, age=36).json()["count"] == 2
    assert ask(shell_api, count="estimated").json()["count"] == 5
    lines = shell_api.get(f"{THINGS}?count=exact", Accept=NDJSON)
    assert (lines.status, lines.problem()) == (400, "bad-parameter")
    assert "count" not in ask(shell_api).json()


def test_ids_in_filters_are_as_in_plain_json(shell_api: Api, things: Things) -> None:
    """24 hex digits under `_id` are an ObjectId, in a parameter and in a filter."""
    known = ObjectId()
    fill(things, {"_id": known}, {"_id": ObjectId()})

    for parameters in (
        {"_id": str(known)},
        {"_id[in]": f"{known},x"},
        {"filter": json.dumps({"_id": str(known)})},
        {"filter": json.dumps({"_id": {"$in": [str(known)]}})},
        {"filter": json.dumps({"_id": {"$oid": str(known)}})},
    ):
        assert ids(ask(shell_api, **parameters)) == [str(known)]


@pytest.mark.usefixtures("people")
def test_cursors_of_another_list_are_told_apart(shell_api: Api) -> None:
    """A cursor is good for its collection, filter and sort; limit, fields and count may change."""
    cursor = ask(shell_api, limit=2, sort="age").json()["after"]

    assert len(ids(ask(shell_api, sort="age", after=cursor, limit=3, fields="age"))) == 3
    for others in ({}, {"sort": "-age"}, {"sort": "age", "open": "true"}):
        answer = ask(shell_api, **others, after=cursor)
        assert (answer.status, answer.problem()) == (400, "bad-cursor")
    elsewhere = shell_api.get(f"/v1/collections/other/documents?sort=age&after={cursor}")
    assert elsewhere.problem() == "bad-cursor"
    for at in range(0, len(cursor), 7):
        forged = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        answer = ask(shell_api, sort="age", after=forged)
        assert answer.status in (200, 400), answer.body


def test_arrays_along_the_sort_have_no_place(shell_api: Api, things: Things) -> None:
    """A page that meets an array says so; a filter can leave it out."""
    fill(things, {"_id": 1, "a": [1, 2]}, {"_id": 2, "a": 3})

    refused = ask(shell_api, sort="a")

    assert (refused.status, refused.problem()) == (422, "unsortable")
    assert refused.json()["path"] == "a"
    assert ids(ask(shell_api, sort="a", filter='{"a":{"$not":{"$type":"array"}}}')) == [2]
    fill(things, {"_id": 3, "b": [{"c": 1}]})
    assert ask(shell_api, sort="b.c").problem() == "unsortable"


def test_pages_end_early_where_documents_are_large(shell_api: Api, things: Things) -> None:
    """A page has about 4 MiB at most, and `next` goes on where it ends."""
    fill(things, *[{"_id": at, "text": 1_000_000 * "x"} for at in range(10)])

    found = [len(each) for each in follow(shell_api, f"{THINGS}?limit=10&fields=-text")]
    whole = [len(each) for each in follow(shell_api, f"{THINGS}?limit=10")]

    assert found == [10]
    assert whole == [4, 4, 2]


def test_lines_stream_the_whole_result(api: Api, things: Things) -> None:
    """As NDJSON there is no limit unless one is given; a line for each document."""
    fill(things, *[{"_id": at, "n": at % 7} for at in range(2_500)])

    lines = api.get(THINGS, Accept=NDJSON)
    some = api.get(f"{THINGS}?n=3&sort=-_id&limit=2", Accept=NDJSON)

    assert lines.headers["Content-Type"] == NDJSON
    assert sorted(json.loads(each)["_id"] for each in lines.body.splitlines()) == list(range(2_500))
    assert some.body == b'{"_id":2495,"n":3}\n{"_id":2488,"n":3}\n'


def test_a_stream_goes_on_after_a_cursor(shell_api: Api, things: Things) -> None:
    """What follows a page can be had as a stream."""
    fill(things, *[{"_id": at, "n": at % 3} for at in range(30)])
    first = ask(shell_api, sort="n", limit=7).json()

    rest = shell_api.get(f"{THINGS}?sort=n&after={first['after']}", Accept=NDJSON)
    some = shell_api.get(f"{THINGS}?sort=n&limit=5&after={first['after']}", Accept=NDJSON)

    found = [json.loads(each) for each in rest.body.splitlines()]
    assert [*first["documents"], *found] == sorted(
        ({"_id": at, "n": at % 3} for at in range(30)), key=lambda each: (each["n"], each["_id"])
    )
    assert some.body.splitlines() == rest.body.splitlines()[:5]


def test_documents_come_in_every_spelling(shell_api: Api, things: Things) -> None:
    """Pages and lines alike in plain, relaxed and canonical Extended JSON."""
    fill(things, {"_id": 1, "d": Decimal128("1.10")})
    plain, relaxed = '{"_id":1,"d":"1.10"}', '{"_id":1,"d":{"$numberDecimal":"1.10"}}'
    canonical = '{"_id":{"$numberInt":"1"},"d":{"$numberDecimal":"1.10"}}'

    for accept, text in (("application/json", plain), (EJSON, relaxed), (CANONICAL, canonical)):
        answer = shell_api.get(THINGS, Accept=accept)
        expected = f'{{"documents":[{text}],"next":null,"after":null}}\n'
        assert (answer.status, answer.body.decode()) == (200, expected)
    for accept, text in (
        (NDJSON, plain),
        (f"{NDJSON}; mode=relaxed", relaxed),
        (f"{NDJSON}; mode=canonical", canonical),
    ):
        answer = shell_api.get(THINGS, Accept=accept)
        assert (answer.headers["Content-Type"], answer.body.decode()) == (accept, f"{text}\n")
    assert shell_api.get(THINGS, Accept="text/html").problem() == "not-acceptable"


def test_a_collection_that_is_not_there_is_empty(shell_api: Api) -> None:
    """As in MongoDB; also as a stream."""
    assert ids(shell_api.get("/v1/collections/nowhere/documents")) == []
    lines = shell_api.get("/v1/collections/nowhere/documents", Accept=NDJSON)
    assert (lines.status, lines.body) == (200, b"")
    assert shell_api.get("/v1/collections/_own/documents").problem() == "bad-parameter"


def search(api: Api, body: object, **headers: str) -> Answer:
    """A search by this body."""
    return api.post(json.dumps(body), SEARCH, **headers)


@pytest.mark.usefixtures("people")
def test_a_search_is_a_list_by_a_body(shell_api: Api) -> None:
    """The same parameters, and the cursor in the body leads on."""
    asked = {"filter": {"age": {"$in": [36, 40]}}, "sort": "-age", "fields": "age", "limit": 2}

    first = search(shell_api, {**asked, "count": "exact"}).json()
    second = search(shell_api, {**asked, "after": first["after"]}).json()

    assert first["documents"] == [{"_id": "bob", "age": 40}, {"_id": "cid", "age": 36}]
    assert first["count"] == 3
    assert first["next"] == SEARCH
    assert second == {"documents": [{"_id": "ada", "age": 36}], "next": None, "after": None}
    assert len(search(shell_api, {}, Accept=NDJSON).body.splitlines()) == 5


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "bad-parameter"),
        ({"filtr": {}}, "bad-parameter"),
        ({"limit": "2"}, "bad-parameter"),
        ({"limit": 1.5}, "bad-parameter"),
        ({"sort": 1}, "bad-parameter"),
        ({"filter": []}, "invalid-filter"),
        ({"filter": {"$where": "1"}}, "forbidden-operator"),
        ({"after": "x"}, "bad-cursor"),
    ],
)
def test_a_wrong_search_is_told(shell_api: Api, body: object, code: str) -> None:
    """Faults in a body have the same problems."""
    assert search(shell_api, body).problem() == code


@pytest.mark.usefixtures("people")
def test_a_search_points_into_its_body(shell_api: Api) -> None:
    """The pointer begins at the body, not at the filter."""
    assert search(shell_api, {"filter": {"a": {"$where": 1}}}).pointers() == ["/filter/a/$where"]


def test_the_guides_list_takes_the_parameters(api: Api, stored: Documents) -> None:
    """Still an array without ids; with a limit it is a page, and `Link` leads on."""
    stored.insert_many([{"_id": at, "n": at} for at in range(5)])

    assert api.get("/data?n[gte]=3&sort=-n").json() == [{"n": 4}, {"n": 3}]
    first = api.get("/data?sort=-n&limit=3&fields=n")
    assert first.json() == [{"n": 4}, {"n": 3}, {"n": 2}]
    link = first.headers["Link"].partition(">")[0].removeprefix("<")
    assert link.startswith("/data?sort=-n&limit=3&fields=n&after=")
    second = api.get(link)
    assert second.json() == [{"n": 1}, {"n": 0}]
    assert "Link" not in second.headers
    assert api.get("/data?count=exact").problem() == "bad-parameter"


@pytest.mark.usefixtures("people")
def test_a_date_that_python_has_no_value_for(api: Api) -> None:
    """A filter of such a date is the database's to judge, however it is written."""
    far = {"$date": {"$numberLong": "9223372036854775807"}}
    plain, operator = (ask(api, filter=json.dumps({"age": each})) for each in (far, {"$eq": far}))
    assert plain.status == operator.status < 500
