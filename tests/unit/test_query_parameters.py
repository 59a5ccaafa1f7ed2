"""Parameters of a list, in a URL and in a body: what people write, and what it comes to."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import bson
import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import BadParameter, ForbiddenOperator, InvalidFilter, MalformedJson, Problem
from demijohn.query import parameters
from demijohn.query.fields import read_fields
from demijohn.query.parameters import ALL, LIST, parse_query, read_body, read_parameters
from demijohn.query.sort import read_sort

HEX = "65a1f0c2b9d4e83a7c15f206"
CONTAINERS = (dict, list, bson.DBRef)


def asked_filter(query: str) -> dict[str, Any]:
    """The filter that a query string comes to, its values percent-encoded here."""
    pairs = [each.partition("=") for each in query.split("&")]
    raw = "&".join(f"{quote(name)}={quote_plus(value)}" for name, _, value in pairs)
    return bson.decode(read_parameters(parse_query(raw.encode())).filter.bson)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=open", {"status": {"$eq": "open"}}),
        ("age=21", {"age": {"$eq": 21}}),
        ("age=-1.5e1", {"age": {"$eq": -15.0}}),
        ('age="21"', {"age": {"$eq": "21"}}),
        ('name="a\\"b\\u00e4"', {"name": {"$eq": 'a"bä'}}),
        ('name="a"b"', {"name": {"$eq": '"a"b"'}}),
        ('name="', {"name": {"$eq": '"'}}),
        ("a=true", {"a": {"$eq": True}}),
        ("a=false", {"a": {"$eq": False}}),
        ("a=null", {"a": {"$eq": None}}),
        ("a=True", {"a": {"$eq": "True"}}),
        ("a=021", {"a": {"$eq": "021"}}),
        ("a=+1", {"a": {"$eq": "+1"}}),
        ("a= 1", {"a": {"$eq": " 1"}}),
        ("a=1_000", {"a": {"$eq": "1_000"}}),
        ("a=１", {"a": {"$eq": "１"}}),
        ("a=NaN", {"a": {"$eq": "NaN"}}),
        ("a=", {"a": {"$eq": ""}}),
        ("a=x=y", {"a": {"$eq": "x=y"}}),
        ('a={"$ne":null}', {"a": {"$eq": '{"$ne":null}'}}),
        ('a={"$oid":"x"}', {"a": {"$eq": '{"$oid":"x"}'}}),
        ("a=[1]", {"a": {"$eq": "[1]"}}),
        (f"a={HEX}", {"a": {"$eq": HEX}}),
        ("a.b.0=x", {"a.b.0": {"$eq": "x"}}),
        ("a[eq]=1", {"a": {"$eq": 1}}),
        ("a[ne]=1", {"a": {"$ne": 1}}),
        ("a[gt]=1", {"a": {"$gt": 1}}),
        ("a[gte]=x", {"a": {"$gte": "x"}}),
        ("a[lt]=1.0", {"a": {"$lt": 1.0}}),
        ("a[lte]=null", {"a": {"$lte": None}}),
        ("a[in]=a,1,true", {"a": {"$in": ["a", 1, True]}}),
        ('a[in]="x,y",z', {"a": {"$in": ["x,y", "z"]}}),
        ("a[in]=a, b", {"a": {"$in": ["a", " b"]}}),
        ("a[in]=", {"a": {"$in": [""]}}),
        ("a[nin]=a,", {"a": {"$nin": ["a", ""]}}),
        ("a[regex]=^A|1", {"a": {"$regex": "^A|1"}}),
        ("a[regex]=1", {"a": {"$regex": "1"}}),
        ("a[exists]=false", {"a": {"$exists": False}}),
        ("a[type]=string", {"a": {"$type": "string"}}),
        ("a[type]=2", {"a": {"$type": 2}}),
        (f"_id={HEX}", {"_id": {"$eq": ObjectId(HEX)}}),
        (f'_id="{HEX}"', {"_id": {"$eq": HEX}}),
        ("_id=5", {"_id": {"$eq": "5"}}),
        ('_id={"$numberInt":"5"}', {"_id": {"$eq": 5}}),
        (f"_id[in]=5,{HEX}", {"_id": {"$in": ["5", ObjectId(HEX)]}}),
        (f"_id[gt]={HEX}", {"_id": {"$gt": ObjectId(HEX)}}),
        ("_id[type]=7", {"_id": {"$type": 7}}),
        ("a=1&a=2", {"$and": [{"a": {"$eq": 1}}, {"a": {"$eq": 2}}]}),
        ("a[gte]=1&a[lt]=5", {"$and": [{"a": {"$gte": 1}}, {"a": {"$lt": 5}}]}),
        ('a=1&filter={"b":2}', {"$and": [{"b": 2}, {"a": {"$eq": 1}}]}),
        ("a=1&filter={}", {"a": {"$eq": 1}}),
        (f'filter={{"_id":"{HEX}"}}', {"_id": ObjectId(HEX)}),
    ],
)
def test_filters_for_people(query: str, expected: dict[str, Any]) -> None:
    """A value is what it looks like in JSON, or else a string; all conditions are to be met."""
    assert asked_filter(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        *("$where=1", "a.$where=1", "a[$gt]=1", "a[$ne]=", "a[gtx]=1", "a[]=1", "a[gt=1", "a]=1"),
        *("a[gt][lt]=1", "[gt]=1", "=1", "a..b=1", ".a=1", "a.=1", "a.$=1", "a.$[]=1", "$=1"),
        *("a\0=1", "$ref=1", "a.$id=1", f"{'a' * 1001}=1", f"{'a.' * 100}a=1"),
        *("a[exists]=1", "a[exists]=", "a[type]=strin", "a[type]=1.5.", "a[regex]=a\0b"),
        *(f"a[regex]={'a' * 1001}", 'a[in]="x', 'a[in]="x"y,z', "a=1e999", f"a={2**64}"),
        *(f"a[type]={2**64}", f"a[in]=1,{2**63}"),
        *("_id=", '_id={"$gt":""}', '_id={"$regularExpression":{"pattern":"","options":""}}'),
        *('_id={"a":{"$ne":1}}', '_id={"a"', '_id="x', "_id[in]=a,"),
        *("limit=0", "limit=-1", "limit=1e2", "limit=", "limit=1001", "limit=01", "limit=1.0"),
        *("limit=١", "limit= 1", "limit=1&limit=1", "filter={}&filter={}", "sort=a&sort=a"),
        *("count=", "count=all", "sort=", "fields=", "all=true", "all=false"),
    ],
)
def test_what_is_no_parameter(query: str) -> None:
    """A wrong name or value is a 400, never passed over."""
    with pytest.raises(BadParameter):
        asked_filter(query)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("filter=", MalformedJson),
        ("filter={", MalformedJson),
        ("filter=[]", InvalidFilter),
        ('filter={"a":{"$size":"1"}}', InvalidFilter),
        ('filter={"$where":"1"}', ForbiddenOperator),
    ],
)
def test_what_is_no_filter(query: str, problem: type[Problem]) -> None:
    """A filter has the problems of a filter, in a URL too."""
    with pytest.raises(problem):
        asked_filter(query)


@given(
    path=st.text("ab.$[]é", min_size=1, max_size=4), value=st.text() | st.from_regex(r'\A[{"\[].*')
)
def test_equality_is_with_a_value(path: str, value: str) -> None:
    """Whatever is given, a parameter without an operator compares one path with one scalar."""
    query = f"{quote(path)}={quote(value, safe='')}".encode()
    try:
        found = bson.decode(read_parameters(parse_query(query)).filter.bson)
    except BadParameter:
        return

    ((name, condition),) = found.items()
    assert not name.startswith("$")
    if name == path:
        ((operator, operand),) = condition.items()
        assert operator == "$eq"
        assert not isinstance(operand, CONTAINERS)


@given(st.binary(max_size=30))
def test_any_bytes_are_parameters_or_a_problem(raw: bytes) -> None:
    """No query string is a defect of the service."""
    with suppress(BadParameter, MalformedJson, InvalidFilter, ForbiddenOperator):
        read_parameters(parse_query(raw))


@pytest.mark.parametrize("raw", [b"a=%", b"a=%4", b"a=%zz", b"%=a", b"a=%FF", b"\xff=a", b"a=%C3"])
def test_bytes_that_are_no_text(raw: bytes) -> None:
    """What is not percent-encoded UTF-8 is a 400, and nothing takes the place of it."""
    with pytest.raises(BadParameter):
        parse_query(raw)


def test_a_query_string_is_a_form() -> None:
    """`+` is a space, `&&` nothing, a name without `=` has an empty value, bytes may be bare."""
    assert parse_query(b"") == []
    assert parse_query(b"a=1+2&&b&c=%2B%26%3D&d=\xc3\xa4&=") == [
        ("a", "1 2"),
        ("b", ""),
        ("c", "+&="),
        ("d", "ä"),
        ("", ""),
    ]
    most = parameters.MOST_PARAMETERS
    parse_query(b"&".join([b"a=1"] * most))
    with pytest.raises(BadParameter):
        parse_query(b"&".join([b"a=1"] * (most + 1)))


def test_what_else_is_asked() -> None:
    """Order, fields, how many, from where, whether to count; what is not said is None."""
    query = {"sort": "-age,name", "fields": "age", "limit": "7", "after": "x", "count": "exact"}
    asked = read_parameters(parse_query(urlencode(query).encode()))
    nothing = read_parameters([])

    assert asked.sort == read_sort("-age,name")
    assert asked.fields == read_fields("age")
    assert (asked.limit, asked.after, asked.count) == (7, "x", "exact")
    assert nothing.filter.is_empty
    assert {nothing.sort, nothing.fields, nothing.limit, nothing.after, nothing.count} == {None}
    assert not nothing.is_all
    assert read_parameters([(ALL, "true")], (ALL,)).is_all
    assert not read_parameters([(ALL, "false")], (ALL,)).is_all
    with pytest.raises(BadParameter):
        read_parameters([(ALL, "1")], (ALL,))


@pytest.mark.parametrize("name", sorted(LIST))
def test_a_route_takes_what_it_names(name: str) -> None:
    """A reserved name that means nothing to a route is no field's name there either."""
    with pytest.raises(BadParameter, match="does not take it"):
        read_parameters([(name, "1")], ())


def test_near_misses_are_told() -> None:
    """A wrong operator or member has the one that was probably meant."""
    with pytest.raises(BadParameter, match=r"did you mean gte\?"):
        asked_filter("a[gtee]=1")
    with pytest.raises(BadParameter, match=r"did you mean filter\?"):
        read_body(b'{"filtre":{}}', extended=False)


def test_a_body_says_the_same() -> None:
    """Filter as an object, the rest as in a URL; a sort as MongoDB has it, too; null is nothing."""
    body = {"filter": {"a": 1}, "sort": "-b,c", "fields": "-d", "limit": 5, "after": "x",
            "count": "estimated"}  # fmt: skip
    query = urlencode({**body, "filter": '{"a":1}'})
    asked = read_body(json.dumps(body).encode(), extended=False)

    assert asked == read_parameters(parse_query(query.encode()))
    body["sort"] = {"b": -1, "c": 1}
    assert read_body(json.dumps(body).encode(), extended=False) == asked
    nothing = json.dumps(dict.fromkeys(LIST)).encode()
    assert read_body(nothing, extended=False) == read_body(b"{}", extended=False)
    assert read_body(b"{}", extended=False) == read_parameters([])


def test_a_body_in_extended_json_leaves_strings_alone() -> None:
    """24 hex digits are an ObjectId under `_id` in plain JSON only."""
    body = json.dumps({"filter": {"_id": HEX}}).encode()

    assert bson.decode(read_body(body, extended=False).filter.bson) == {"_id": ObjectId(HEX)}
    assert bson.decode(read_body(body, extended=True).filter.bson) == {"_id": HEX}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", MalformedJson),
        ("{", MalformedJson),
        *((each, BadParameter) for each in ("[]", "1", "null", f'{{"$oid":"{HEX}"}}')),
        *((f'{{"limit":{each}}}', BadParameter) for each in ("0", "1001", "5.0", '"5"', "true")),
        *(
            (f'{{"sort":{each}}}', BadParameter)
            for each in ("1", "{}", "[]", '{"a":2}', '{"a":"1"}')
        ),
        *((f'{{"sort":{{"{each}":1}}}}', BadParameter) for each in ("-a", "a,b", "$a", "")),
        ('{"fields":["a"]}', BadParameter),
        ('{"after":1}', BadParameter),
        ('{"count":true}', BadParameter),
        ('{"all":"true"}', BadParameter),
        ('{"status":"open"}', BadParameter),
        ('{"$where":1}', BadParameter),
        ('{"filter":"{}"}', InvalidFilter),
        ('{"filter":{"a":{"$size":"x"}}}', InvalidFilter),
        ('{"filter":{"$where":"1"}}', ForbiddenOperator),
        ('{"filter":' + '{"a":' * 500 + "1" + "}" * 501, InvalidFilter),
    ],
)
def test_what_is_no_body(body: str, problem: type[Problem]) -> None:
    """Every fault has its problem, the same as in a URL."""
    with pytest.raises(problem):
        read_body(body.encode(), extended=False)


def test_pointers_lead_into_the_body() -> None:
    """A fault of the filter is told by its place in what was sent."""
    with pytest.raises(InvalidFilter) as caught:
        read_body(b'{"filter":{"a":{"$in":1}}}', extended=False)

    assert [fault.pointer for fault in caught.value.faults] == ["/filter/a/$in"]
