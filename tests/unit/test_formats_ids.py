"""Ids as path segments: every id has its own, and the segment leads back to it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any
from urllib.parse import quote, unquote

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from demijohn.errors import BadParameter, InvalidDocument, MalformedJson
from demijohn.formats import bson_values as bv
from demijohn.formats.bson_values import Value, from_python, to_python
from demijohn.formats.extended_in import parse_extended
from demijohn.formats.ids import Unaddressable, from_segment, to_segment
from demijohn.formats.plain_in import parse_document

HEX = "0123456789abcdef01234567"
STRINGS = st.text(max_size=20) | st.sampled_from(
    [
        "",
        ".",
        "..",
        "...",
        HEX,
        HEX.upper(),
        HEX[:-1],
        "{",
        "{}",
        '{"$oid":"x"}',
        '"',
        '""',
        "a/b",
        "/",
        "a%2Fb",
        "%",
        "null",
        "5",
        "true",
        "[1]",
        "é ü",
        "\0",
        "a?b#c",
        "+",
        " ",
    ]
)
KEYS = st.text(max_size=4).filter(lambda key: "\0" not in key and not key.startswith("$"))
NUMBERS = (
    st.integers(-(2**31), 2**31 - 1)
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.floats(allow_nan=False)
    | st.sampled_from([Decimal128("5"), Decimal128("5.0"), Decimal128("-Infinity")])
)
OTHERS = (
    st.binary(max_size=6)
    | st.builds(Binary, st.binary(min_size=16, max_size=16), st.sampled_from([3, 4, 5, 128]))
    | st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(  # noqa: DTZ001 - as BSON has it
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    )
    | st.builds(DatetimeMS, st.integers(2**60, 2**62))
    | st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
    | st.binary(min_size=12, max_size=12).map(ObjectId)
    | st.sampled_from([MinKey(), MaxKey(), Code("f()")])
)
MEMBERS = st.recursive(
    STRINGS | NUMBERS | OTHERS | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
IDS = STRINGS | NUMBERS | OTHERS | st.dictionaries(KEYS, MEMBERS, max_size=3)


def segment_of(document_id: object) -> str:
    """The segment of an id in the driver's types."""
    return to_segment(from_python(document_id))


def named_by(segment: str) -> Any:
    """The id that a segment names, in the driver's types."""
    return to_python(from_segment(segment))


def as_bson(document_id: object) -> bytes:
    """What the database would hold: exact in value and type."""
    return bson.encode({"_id": document_id})


@given(IDS)
@example(HEX)
@example(ObjectId(HEX))
@example(float("nan"))
def test_a_segment_leads_back_to_its_id(document_id: object) -> None:
    """Every id has a segment of URL characters alone, which names the same BSON value."""
    segment = segment_of(document_id)
    assert segment not in ("", ".", "..")
    assert segment == quote(unquote(segment), safe="")
    assert as_bson(named_by(unquote(segment))) == as_bson(document_id)


@given(IDS, IDS)
@example(HEX, ObjectId(HEX))
@example(5, 5.0)
@example(5, Int64(5))
@example("", '""')
@example({"a": 1, "b": 2}, {"b": 2, "a": 1})
def test_no_two_ids_share_a_segment(one: object, other: object) -> None:
    """Segments are equal exactly when the ids are the same BSON."""
    assert (segment_of(one) == segment_of(other)) is (as_bson(one) == as_bson(other))


@given(st.text(max_size=30) | st.text(alphabet='{}[]":$oidnumberLg12,', max_size=40))
def test_any_segment_is_an_id_or_a_bad_parameter(segment: str) -> None:
    """Arbitrary text names an id that BSON takes and that has a segment, or is refused."""
    try:
        document_id = named_by(segment)
    except BadParameter:
        return
    assert as_bson(document_id)
    assert as_bson(named_by(unquote(segment_of(document_id)))) == as_bson(document_id)


@given(st.dictionaries(st.just("_id"), STRINGS | st.integers() | st.floats() | MEMBERS, min_size=1))
def test_every_id_that_plain_json_can_give_has_a_segment(document: dict[str, Any]) -> None:
    """What `parse_document` lets through as `_id` is addressable."""
    try:
        body = json.dumps(document).encode()
        parsed = parse_document(body)
    except (TypeError, MalformedJson, InvalidDocument):
        return
    assert as_bson(named_by(unquote(segment_of(parsed.id)))) == as_bson(parsed.id)


@pytest.mark.parametrize(
    ("document_id", "text"),
    [
        (ObjectId(HEX), HEX),
        ("ada", "ada"),
        ("a/b c", "a/b c"),
        (HEX, f'"{HEX}"'),
        (HEX.upper(), f'"{HEX.upper()}"'),
        ("", '""'),
        (".", '"."'),
        ("{x", '"{x"'),
        ('"x', '"\\"x"'),
        ("null", "null"),
        (5, '{"$numberInt":"5"}'),
        (Int64(5), '{"$numberLong":"5"}'),
        (5.0, '{"$numberDouble":"5.0"}'),
        ({"a": "é"}, '{"a":"é"}'),
        (Binary(b"x" * 16, 4), '{"$binary":{"base64":"eHh4eHh4eHh4eHh4eHh4eA==","subType":"04"}}'),
        (dt.datetime(1970, 1, 1), '{"$date":{"$numberLong":"0"}}'),  # noqa: DTZ001 - as BSON has it
    ],
)
def test_how_ids_are_spelt(document_id: object, text: str) -> None:
    """The spelling is part of the API: people write such URLs by hand."""
    assert unquote(segment_of(document_id)) == text
    assert as_bson(named_by(text)) == as_bson(document_id)


@pytest.mark.parametrize(
    ("segment", "document_id"),
    [
        (HEX.upper(), ObjectId(HEX)),
        (f'{{"$oid":"{HEX}"}}', ObjectId(HEX)),
        ('{"$date":"1970-01-01T00:00:00Z"}', dt.datetime(1970, 1, 1)),  # noqa: DTZ001 - as BSON has it
        ('{"a":5}', {"a": 5}),
        (' { "a": 5 }', ' { "a": 5 }'),
        ('"plain"', "plain"),
        ("[1]", "[1]"),
        ("5", "5"),
    ],
)
def test_other_spellings_are_read(segment: str, document_id: object) -> None:
    """Relaxed forms name the same ids; numbers and arrays without braces are strings."""
    assert as_bson(named_by(segment)) == as_bson(document_id)


@pytest.mark.parametrize(
    "segment",
    [
        "",
        ".",
        "..",
        "{",
        "{x",
        '"',
        '"a" b',
        '{"a":1}x',
        '{"a":NaN}',
        '{"$gt":""}',
        '{"$ne":null}',
        '{"a":{"$gt":""}}',
        '{"a":[{"$where":"1"}]}',
        '{"$where":"sleep(1000)"}',
        '{"$regularExpression":{"pattern":".*","options":""}}',
        '{"$regex":".*","$options":""}',
        '{"$ref":"c","$id":1}',
        '{"$undefined":true}',
        '{"$oid":"xyz"}',
        '{"$oid":5}',
        '{"$numberInt":"x"}',
        '{"$numberInt":5}',
        '{"$numberLong":"99999999999999999999"}',
        '{"$numberDecimal":"x"}',
        '{"$date":"yesterday"}',
        '{"$date":{"$numberLong":"x"}}',
        '{"$binary":{"base64":"*","subType":"zz"}}',
        '{"$uuid":"x"}',
        '{"$timestamp":{"t":-1,"i":1}}',
        '{"$timestamp":5}',
        '{"$code":5}',
        '{"a":18446744073709551616}',
        '{"a":"\\ud800"}',
        '{"a\\u0000b":1}',
        '"\\ud800"',
        "\ud800",
        '{"a":' * 100_000,
        '{"a":' * 101 + "1" + "}" * 101,
        '{"a":' + "1" * 5_000 + "}",
    ],
    ids=lambda segment: repr(segment[:40]),
)
def test_what_names_no_id(segment: str) -> None:
    """Malformed values, operators and patterns are refused, so an id can stand in a filter."""
    with pytest.raises(BadParameter):
        named_by(segment)


@pytest.mark.parametrize(
    "document_id",
    [
        None,
        True,
        False,
        [],
        [1],
        Regex("a"),
        DBRef("c", 1),
        {"$a": 1},
        {"a": [{"$b": 1}]},
        {"a": DBRef("c", 1)},
    ],
)
def test_ids_without_an_address(document_id: object) -> None:
    """What no path can name is an error of its own, not a wrong address."""
    with pytest.raises(Unaddressable):
        segment_of(document_id)


def test_a_uuid_keeps_its_subtype() -> None:
    """A UUID as the driver reads it, Binary of subtype 4, comes back as such."""
    document_id = Binary(uuid.UUID(int=7).bytes, 4)
    assert named_by(unquote(segment_of(document_id))) == document_id


@given(IDS)
def test_both_kinds_of_ids_have_one_segment(document_id: object) -> None:
    """An id as its bytes has the segment, and comes from it, like an id as a Python value."""
    value = from_python(document_id)
    segment = to_segment(value)
    assert segment == segment_of(document_id)
    assert from_segment(unquote(segment)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            Value(bv.DOCUMENT, bv.encode({"a": Value(bv.UNDEFINED, b"")})),
            '{"a":{"$undefined":true}}',
        ),
        (
            from_python({"a": Timestamp(0, 0)}),
            '{"a":{"$timestamp":{"t":0,"i":0}}}',
        ),
    ],
)
def test_ids_that_no_python_value_is(value: Value, text: str) -> None:
    """Ids that hold what Python has no value for have their segments, and are inserted as such."""
    assert unquote(to_segment(value)) == text
    assert from_segment(text) == value
    assert parse_extended(f'{{"_id":{text}}}'.encode()).id == value


@pytest.mark.parametrize(
    "value",
    [
        Value(bv.STRING, b"\2\0\0\0\xff\0"),
        Value(bv.SYMBOL, b"\2\0\0\0\xff\0"),
        Value(bv.DOUBLE, b"\1\0\0\0\0\0\xf8\xff"),
        Value(bv.DOCUMENT, b"\x0b\0\0\0\x0ak\0\x0ak\0\0"),
        Value(bv.DOCUMENT, bv.encode({"a": Value(bv.REGEX, b"a\0mi\0")})),
        Value(bv.UNDEFINED, b""),
        Value(bv.SYMBOL, b"\2\0\0\0s\0"),
        Value(bv.DB_POINTER, b"\2\0\0\0c\0" + bytes.fromhex(HEX)),
        from_python(Code("f()", {"x": 1})),
    ],
)
def test_no_segment_is_shared_with_a_neighbour(value: Value) -> None:
    """An id whose spelling would be another's, or that MongoDB takes for another's, has none."""
    with pytest.raises(Unaddressable):
        to_segment(value)


def test_an_id_deeper_than_any_that_is_read() -> None:
    """An id that other clients nested past our levels has no address; it is no crash."""
    value = from_python(1)
    for _ in range(101):
        value = Value(bv.DOCUMENT, bv.encode({"a": value}))
    with pytest.raises(Unaddressable):
        to_segment(value)
