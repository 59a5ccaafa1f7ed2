"""Documents in Extended JSON v2: the id set apart, and each fault told in its place."""

from __future__ import annotations

from collections.abc import Callable

import bson
import pytest
from bson.int64 import Int64
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.timestamp import Timestamp

from demijohn.errors import InvalidDocument, MalformedJson
from demijohn.formats.bson_values import NULL, Value, encode, from_python
from demijohn.formats.extended_in import parse_extended, parse_extended_value

HEX = "0123456789abcdef01234567"
UUID = "73ffd264-44b3-4c69-90e8-e7d1dfc035d4"
NAN, INFINITY = float("nan"), float("inf")


def stored(body: str | bytes) -> bytes:
    """The fields of a document as they would be stored."""
    text = body.encode() if isinstance(body, str) else body
    return encode(parse_extended(text).fields)


def pointers(
    body: str | bytes, parse: Callable[..., object] = parse_extended, **options: bool
) -> list[str]:
    """The pointers of the faults for which a body is refused."""
    text = body.encode() if isinstance(body, str) else body
    with pytest.raises(InvalidDocument) as caught:
        parse(text, **options)
    return [fault.pointer for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[]", [""]),
        ("5", [""]),
        (f'{{"$oid":"{HEX}"}}', [""]),
        ('{"$oid":5}', [""]),
        ('{"$set":{"a":1}}', ["/$set"]),
        ('{"$ref":"c","$id":1}', ["/$ref", "/$id"]),
        ('{"a":{"$gt":1},"b":[{"c":{"$x":{"$y":1}}}]}', ["/a/$gt", "/b/0/c/$x", "/b/0/c/$x/$y"]),
        ('{"a":{"$options":"i"},"b":{"$type":"00"}}', ["/a/$options", "/b/$type"]),
        ('{"a":{"$scope":{}}}', ["/a/$scope"]),
        ('{"a":{"$code":"f","$scope":{"b":{"$x":1}}}}', ["/a/$scope/b/$x"]),
        ('{"a":{"$code":"f","$scope":{"b\\u0000":1}}}', ["/a/$scope/b\0"]),
        ('{"a~/\\u0000":1,"b":9223372036854775808}', ["/a~0~1\0", "/b"]),
        ('{"a":[1e400,-1e999],"b":{"$oid":5},"c":{"$x":1}}', ["/a/0", "/a/1", "/b", "/c/$x"]),
        ('{"a":{"$timestamp":{"t":0,"i":0}}}', ["/a"]),
        ('{"_id":null}', ["/_id"]),
        ('{"_id":false}', ["/_id"]),
        ('{"_id":[]}', ["/_id"]),
        ('{"_id":{"$undefined":true}}', ["/_id"]),
        ('{"_id":{"$regex":"a","$options":""}}', ["/_id"]),
        ('{"_id":{"$ref":"c","$id":1}}', ["/_id"]),
        ('{"_id":{"a":{"$ref":"c","$id":1}}}', ["/_id"]),
        ('{"_id":{"a\\u0000":1}}', ["/_id/a\0"]),
        ('{"_id":{"$oid":5},"a":{"$x":1}}', ["/_id", "/a/$x"]),
        ('{"_id":"' + "x" * 1_023 + '"}', ["/_id"]),
        ('{"_id":{"$symbol":"' + "x" * 1_011 + '"}}', ["/_id"]),
        ('{"a":[' + '{"$oid":1},' * 30 + "1]}", [f"/a/{n}" for n in range(20)]),
    ],
)
def test_where_the_faults_are(body: str, expected: list[str]) -> None:
    """Every fault has its pointer, in the order of the text, up to 20 of them."""
    assert pointers(body) == expected


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ('"abc"', "abc"),
        (f'"{HEX}"', HEX),
        (f'{{"$oid":"{HEX}"}}', ObjectId(HEX)),
        ("5", 5),
        ("-0.0", -0.0),
        ('{"$numberLong":"5"}', Int64(5)),
        ('{"b":1,"a":[null]}', {"b": 1, "a": [None]}),
        ('{"$timestamp":{"t":0,"i":0}}', Timestamp(0, 0)),
        ('{"$minKey":1}', MinKey()),
        ('"' + "x" * 1_022 + '"', "x" * 1_022),
    ],
)
def test_the_id_is_set_apart(spelling: str, value: object) -> None:
    """An _id has exactly its type: 24 hex digits in a string are a string."""
    parsed = parse_extended(f'{{"a":1,"_id":{spelling},"b":2}}'.encode())
    assert parsed.id == from_python(value)
    assert encode(parsed.fields) == bson.encode({"a": 1, "b": 2})


def test_a_document_without_an_id() -> None:
    """No _id is None, and an `_id` further down is a key like any other."""
    parsed = parse_extended(b'{"a":{"_id":null}}')
    assert parsed.id is None
    assert encode(parsed.fields) == bson.encode({"a": {"_id": None}})


def test_zeros_are_a_timestamp_below_the_top() -> None:
    """MongoDB replaces an empty timestamp only among a document's own fields."""
    body = '{"a":[{"$timestamp":{"t":0,"i":0}}],"b":{"$timestamp":{"t":0,"i":1}}}'
    assert stored(body) == bson.encode({"a": [Timestamp(0, 0)], "b": Timestamp(0, 1)})


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [(b"", 1, 1), (b'{"a":\n}', 2, 1), (b'{"a":NaN}', 1, 6), (b'{"a":"\\ud800"}', 1, 7)],
)
def test_what_is_no_json(body: bytes, line: int, column: int) -> None:
    """Text that is no JSON, half of a surrogate pair too, is told with its line and column."""
    with pytest.raises(MalformedJson) as caught:
        parse_extended(body)
    assert (caught.value.extra["line"], caught.value.extra["column"]) == (line, column)


@pytest.mark.parametrize(
    "leaf", ["1", f'{{"$dbPointer":{{"$ref":"c","$id":{{"$oid":"{HEX}"}}}}}}', "18e400", "[]"]
)
def test_the_levels_are_those_of_the_document(leaf: str) -> None:
    """100 levels of documents and arrays are kept, whatever braces their values are written in."""
    body = '{"a":' * 99 + '{"a":' + leaf + "}" * 100
    if leaf in ("18e400", "[]"):
        assert pointers(body) == ["/a" * 100]
    else:
        assert bson.decode(stored(body))
        # What looks like too wide an integer brings the careful parser in.
        assert bson.decode(stored('{"n":"99999999999999999999",' + body[1:]))
    assert pointers('{"a":' * 100 + body[:-1] + "}" * 101) == ["/a" * 100]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"a":[1e400,' + b"[" * 300 + b"]" * 300 + b"]}",
        b'{"a":[9223372036854775808,' + b"[" * 300 + b"]" * 300 + b"]}",
        b'{"a":' + b'{"$code":"f","$scope":{"a":' * 101 + b"1" + b"}}" * 101 + b"}",
    ],
    ids=range(5),
)
def test_any_depth_is_a_fault_and_no_crash(body: bytes) -> None:
    """However deep, also where the careful parser would have to go, there is one fault."""
    assert len(pointers(body)) == 1


def test_a_tree_for_patches() -> None:
    """`parse_extended_value` opens objects and arrays, and closes all else, null too."""
    tree = parse_extended_value(b'{"a":[null,{"$numberLong":"5"}],"_id":null}')
    null = Value(NULL, b"")
    assert tree == {"a": [null, from_python(Int64(5))], "_id": null}
    assert parse_extended_value(b"[]") == []
    assert parse_extended_value(b'{"$minKey":1}') == from_python(MinKey())
    assert pointers('{"a":{"$x":1}}', parse_extended_value, operators=False) == ["/a/$x"]
    assert pointers(
        '{"a":{"$timestamp":{"t":0,"i":0}}}', parse_extended_value, operators=False
    ) == ["/a"]


def test_operators_are_left_to_who_knows_them() -> None:
    """Other keys with $ pass on request; types are still types, and wrong ones still faults."""
    body = b'{"$set":{"a":{"$numberLong":"5"}},"$pull":{"b":{"$regex":"x","$options":"i"}}}'
    assert parse_extended_value(body, operators=True) == {
        "$set": {"a": from_python(Int64(5))},
        "$pull": {"b": {"$regex": from_python("x"), "$options": from_python("i")}},
    }
    kept = parse_extended_value(b'{"$currentDate":{"a":{"$type":"date"}}}', operators=True)
    assert kept == {"$currentDate": {"a": {"$type": from_python("date")}}}
    assert pointers('{"$set":{"a":{"$date":5}}}', parse_extended_value, operators=True) == [
        "/$set/a"
    ]
    assert pointers('{"$set":{"\\u0000":5}}', parse_extended_value, operators=True) == ["/$set/\0"]
