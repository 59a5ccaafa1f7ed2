"""One document in plain JSON: what is kept, what is refused, and where the fault is said to be."""

from __future__ import annotations

import json
import math
from typing import Any

import bson
import pytest
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import InvalidDocument, MalformedJson, TooLarge
from demijohn.formats import json_faults
from demijohn.formats.bson_values import from_python
from demijohn.formats.plain_in import ParsedDocument, encode_fields, parse_document, parse_value
from demijohn.formats.spelling import Draft

INTEGERS = st.integers(-(2**63), 2**63 - 1)
KEYS = st.text(max_size=6).filter(lambda key: "\0" not in key and not key.startswith("$"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | INTEGERS
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)
DOCUMENTS = st.dictionaries(KEYS.filter(lambda key: key != "_id"), VALUES, max_size=5)


def encode(parsed: ParsedDocument, document_id: object) -> bytes:
    """The document as it is stored under an id."""
    return Draft(None, encode_fields(parsed.fields)).under(from_python(document_id))


def pointers(body: bytes) -> list[str]:
    """The pointers of the faults for which a body is refused."""
    with pytest.raises(InvalidDocument) as caught:
        parse_document(body)
    return [fault.pointer for fault in caught.value.faults]


def nested(levels: int, innermost: bytes = b"") -> bytes:
    """A document of so many levels: an object, and arrays below."""
    return b'{"a":' + b"[" * (levels - 1) + innermost + b"]" * (levels - 1) + b"}"


def look_up(document: Any, pointer: str) -> Any:
    """What a JSON Pointer names (RFC 6901)."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


@given(DOCUMENTS, st.booleans())
def test_what_is_accepted_is_kept_unchanged(document: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    """Values, their types and the order of keys survive the way into BSON and back."""
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    parsed = parse_document(body)
    kept = bson.decode(encode(parsed, ObjectId()))
    del kept["_id"]
    # The text tells 1 from 1.0 and 0.0 from -0.0, and shows the order of keys.
    assert json.dumps(kept) == json.dumps(parsed.fields) == json.dumps(document)


@given(
    st.recursive(
        st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(alphabet="$a/~\0", max_size=3), inner, max_size=3)
        ),
        max_leaves=10,
    ),
    st.booleans(),
)
def test_faults_are_all_found_and_nothing_else(value: Any, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    """A document is refused exactly for the integers and keys that an exhaustive look finds."""

    def expected(each: Any, pointer: str) -> list[str]:
        if isinstance(each, dict):
            found = []
            for key, child in each.items():
                below = pointer + "/" + key.replace("~", "~0").replace("/", "~1")
                found += [below] * (key.startswith("$") + ("\0" in key))
                found += expected(child, below)
            return found
        if isinstance(each, list):
            return [p for i, child in enumerate(each) for p in expected(child, f"{pointer}/{i}")]
        return [pointer] * (isinstance(each, int) and not -(2**63) <= each < 2**63)

    body = json.dumps({"v": value}, ensure_ascii=ascii_only).encode()
    wanted = expected(value, "/v")[:20]
    if wanted:
        assert pointers(body) == wanted
    else:
        assert parse_document(body).fields == {"v": value}


@pytest.mark.parametrize(
    ("given_id", "document_id"),
    [
        (b'"ada"', "ada"),
        (b'""', ""),
        (b"5", 5),
        (b"5.0", 5.0),
        (b'{"b":1,"a":[true,null]}', {"b": 1, "a": [True, None]}),
        (b'"0123456789abcdefABCDEF01"', ObjectId("0123456789abcdefabcdef01")),
        (b'"0123456789abcdefABCDEF0"', "0123456789abcdefABCDEF0"),
        ('"٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦٧٨٩٠١٢٣"'.encode(), "٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦٧٨٩٠١٢٣"),
    ],
)
def test_a_given_id_is_set_apart(given_id: bytes, document_id: object) -> None:
    """`_id` leaves the fields; 24 hex digits become an ObjectId, all else stays what it is."""
    parsed = parse_document(b'{"a":1,"_id":' + given_id + b',"b":2}')
    assert (parsed.fields, parsed.id) == ({"a": 1, "b": 2}, document_id)
    assert type(parsed.id) is type(document_id)


def test_no_id_and_hex_elsewhere() -> None:
    """Without `_id` the id is None; 24 hex digits in any other place stay a string."""
    hexadecimal = "0123456789abcdef01234567"
    parsed = parse_document(json.dumps({"a": {"_id": hexadecimal}, "b": hexadecimal}).encode())
    assert parsed.id is None
    assert parsed.fields == {"a": {"_id": hexadecimal}, "b": hexadecimal}


@pytest.mark.parametrize("given_id", [b"null", b"true", b"false", b"[]", b'["a"]'])
def test_an_id_that_no_path_can_name(given_id: bytes) -> None:
    """null, booleans and arrays are refused as `_id`, and faults elsewhere are told as well."""
    assert pointers(b'{"_id":' + given_id + b"}") == ["/_id"]
    assert pointers(b'{"$a":1,"_id":' + given_id + b"}") == ["/$a", "/_id"]


def test_an_id_with_an_operator() -> None:
    """An `_id` that would be an operator in a filter is refused by the rule for keys."""
    assert pointers(b'{"_id":{"$gt":""}}') == ["/_id/$gt"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":9223372036854775808}', ["/a"]),
        (b'{"a":-9223372036854775809}', ["/a"]),
        (b'{"a":[1,18446744073709551616]}', ["/a/1"]),
        (b'{"a":[1e400,-1E+400,1]}', ["/a/0", "/a/1"]),
        (b'{"a":1e400,"b":9223372036854775808,"$c":1}', ["/a", "/b", "/$c"]),
        (b'{"a/b":{"c~d":{"":1e309}}}', ["/a~1b/c~0d/"]),
        (b'{"a":{"$gt":1}}', ["/a/$gt"]),
        (b'{"\\u0024a":1}', ["/$a"]),
        (b'{"$":1}', ["/$"]),
        (b'{"$a\\"b"  \n :1}', ['/$a"b']),
        (b'{"x":"\\"","$a":1}', ["/$a"]),
        (b'{"a\\u0000b":1}', ["/a\0b"]),
        (b'{"$\\u0000":1}', ["/$\0", "/$\0"]),
        (b'{"price":"$5","$a":1}', ["/$a"]),
    ],
)
def test_where_the_fault_is(body: bytes, expected: list[str]) -> None:
    """Each fault has a pointer, escaped by RFC 6901, in the order of the text."""
    assert pointers(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"$5","b":"\\u0024","c":"x$"}',
        b'{"a":"\\u0000","b":"\\\\u0000"}',
        b'{"a":"9223372036854775808","b":0.9223372036854775808123,"c":9223372036854775808e0}',
        b'{"a":1e-9223372036854775808}',
        b'{"id":9223372036854775807,"other":-9223372036854775808}',
        b'{"a":9223372036854775808,"a":1}',
        b'{"a":1e400,"a":1}',
        b'{"a":{"$b":1},"a":1}',
    ],
)
def test_what_only_looks_like_a_fault(body: bytes) -> None:
    """Signs of a fault inside strings, fractions and dropped duplicates don't refuse a body."""
    infinite = b"1e400" in body
    assert parse_document(body).fields == ({"a": 1} if infinite else json.loads(body))


def test_at_most_twenty_faults() -> None:
    """Of more faults the first 20 are told."""
    body = json.dumps({f"$k{number}": 1 for number in range(1_000)}).encode()
    assert pointers(body) == [f"/$k{number}" for number in range(20)]


def test_a_pointer_does_not_grow_with_the_body() -> None:
    """Below a key of a megabyte the fault is told of the nearest parent with a short pointer."""
    body = json.dumps({"a": {"k" * 1_000_000: {"$b": 1, "c": 2**64}}}).encode()
    assert pointers(body) == ["/a", "/a"]


def test_the_deepest_document() -> None:
    """A hundred levels are kept, and so are brackets in strings; one level more is refused."""
    assert parse_document(nested(100)).id is None
    assert encode(parse_document(nested(100)), 1)
    assert parse_document(b'{"a":"' + b"[" * 1_000 + b'"}').fields == {"a": "[" * 1_000}
    assert pointers(nested(101)) == ["/a" + "/0" * 99]


@pytest.mark.parametrize("levels", [101, 102, 999, 1_000, 1_001, 1_023, 1_024, 1_025, 10_000])
def test_too_deep_by_any_measure(levels: int) -> None:
    """Too deep is 422 with the place, below and beyond the parser's own limit."""
    assert pointers(nested(levels)) == ["/a" + "/0" * 99]
    assert pointers(nested(levels, b'"]", 1e999, {"$a":"\\""}')) == ["/a" + "/0" * 99]


def test_the_place_where_it_gets_too_deep() -> None:
    """The pointer names the first place below level 100, among siblings and duplicate keys."""
    deep = b"[" * 97 + b"[{}]" + b"]" * 97
    body = b'{"x":[{}],"d":[1],"e":{"]":"[["},"d":{"y":[],"f~":' + deep + b',"z":' + deep + b"}}"
    expected = "/d/f~0" + "/0" * 98
    assert pointers(body) == [expected]
    assert look_up(json.loads(body), expected) == {}


@given(st.integers(95, 105), st.integers(0, 30), st.integers(0, 30))
def test_depth_is_judged_the_same_with_siblings(levels: int, before: int, after: int) -> None:
    """Siblings before and after the deepest place neither hide nor feign it."""
    wide = b",".join([b"[[],{}]"] * before + [nested(levels - 1)] + [b"{}"] * after)
    body = b'{"a":[' + wide + b"]}"
    too_deep = levels + 1 > 100
    assert json_faults.is_deep(json.loads(body)) is too_deep
    assert (json_faults.deep_fault(body) is not None) is too_deep


@pytest.mark.parametrize(
    ("body", "line", "column", "words"),
    [
        (b"", 1, 1, "empty"),
        (b" \n\t", 1, 1, "empty"),
        (b"\xef\xbb\xbf{}", 1, 1, "byte order mark"),
        (b'{"a":"\xff"}', 1, 7, "UTF-8"),
        ('{"é":"€",\n"b":"'.encode() + b'\xc0\x80"}', 2, 6, "UTF-8"),
        ('{"é": é}'.encode(), 1, 7, "unexpected é"),
        (b'{"a":1,\r\n\r\n "b" 2}', 3, 6, "wrong number"),
        (b'{"a":"\\ud800"}', 1, 7, "surrogate"),
        (b'{"a":"x\ty"}', 1, 8, "control character"),
        (b'{"a":1', 1, 7, "ends too early"),
        (b'{"a":1e999,\n"b":NaN}', 2, 5, "unexpected N"),
        (b'{"a":[1e999,01]}', 1, 13, "wrong number"),
        (b'{"a":1,}', 1, 7, "unexpected ,"),
    ],
)
def test_where_the_text_stops_being_json(body: bytes, line: int, column: int, words: str) -> None:
    """Line and column count characters from 1 and stand in the detail, which says what is wrong."""
    with pytest.raises(MalformedJson, match=words) as caught:
        parse_document(body)
    assert caught.value.extra == {"line": line, "column": column}
    if words not in ("empty", "byte order mark"):
        assert f"line {line}, column {column}" in caught.value.detail


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_001 + b'"' + b'\\"' * 1_000_000,
        b'{"a":1e999,"b":"' + b'\\"' * 1_000_000,
        b'{"a":"' + b'\\"$' * 700_000 + b'","$a":1}',
        b'{"a":"' + b"\\u0000" * 300_000 + b'","$a":1}',
        b'{"a":"' + b"-" * 1_000_000 + b"9" * 1_000_000 + b'","$a":1}',
        b'{"$a":' + b"[]," * 700_000 + b"1}",
        b'{"$a":[' + b"[]," * 300_000 + b"1e999]}",
    ],
    ids=lambda body: repr(body[-20:]),
)
@pytest.mark.timeout(60)
def test_no_body_makes_a_search_quadratic(body: bytes) -> None:
    """Two megabytes made to be searched again and again are refused in one pass over them."""
    with pytest.raises((MalformedJson, InvalidDocument)):
        parse_document(body)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0d8$1e9.- \ntrue', max_size=60))
def test_any_bytes_get_an_answer(body: bytes | str) -> None:
    """Whatever comes, the outcome is a document that BSON takes or one of the two problems."""
    data = body.encode() if isinstance(body, str) else body
    try:
        parsed = parse_document(data)
    except (MalformedJson, InvalidDocument):
        return
    assert bson.decode(encode(parsed, 1))["_id"] == 1


def test_the_id_comes_first() -> None:
    """BSON has `_id` first and then the fields in their order."""
    parsed = parse_document(b'{"z":1,"_id":"i","a":-0.0}')
    kept = bson.decode(encode(parsed, parsed.id))
    assert list(kept) == ["_id", "z", "a"]
    assert math.copysign(1, kept["a"]) == -1


def test_the_largest_document() -> None:
    """16 MiB of BSON to the byte are taken; one more is too large."""
    overhead = len(encode(ParsedDocument({"a": ""}, None), 1))
    room = 16 * 1024 * 1024 - overhead
    assert len(encode(ParsedDocument({"a": "x" * room}, None), 1)) == 16 * 1024 * 1024
    with pytest.raises(TooLarge, match="16,777,217"):
        encode(ParsedDocument({"a": "x" * (room + 1)}, None), 1)


@pytest.mark.parametrize("value", [2**63, "\ud800", {"a\0": 1}, object()])
def test_what_bson_refuses(value: object) -> None:
    """A value that never came through `parse_document` is refused, not a crash."""
    with pytest.raises(InvalidDocument):
        encode(ParsedDocument({"a": value}, None), 1)


@given(VALUES)
def test_any_value_can_be_a_patch(value: Any) -> None:
    """`parse_value` takes what need not be an object, with its types."""
    assert json.dumps(parse_value(json.dumps(value).encode())) == json.dumps(value)


def test_a_patch_is_refused_like_a_document() -> None:
    """Keys, numbers and depth have the same bounds in any text; only `_id` is not looked at."""
    assert parse_value(b'{"_id":null}') == {"_id": None}
    for body, pointer in [
        (b'[{"$a":1}]', "/0/$a"),
        (b"[1e400]", "/0"),
        (b"18446744073709551616", ""),
        (b"[" * 101 + b"]" * 101, "/0" * 100),
    ]:
        with pytest.raises(InvalidDocument) as caught:
            parse_value(body)
        assert [fault.pointer for fault in caught.value.faults] == [pointer]
    with pytest.raises(MalformedJson):
        parse_value(b"[1,]")


def test_any_keys() -> None:
    """A caller that sees to the keys itself gets them, and still no number that is not exact."""
    assert parse_value(b'[{"$numberDouble":"NaN"}]', any_keys=True) == [{"$numberDouble": "NaN"}]
    many = b"[" + b'{"$a":1},' * 30 + b"18446744073709551616]"
    with pytest.raises(InvalidDocument) as caught:
        parse_value(many, any_keys=True)
    assert [fault.pointer for fault in caught.value.faults] == ["/30"]
