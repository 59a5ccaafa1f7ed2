"""The types of Extended JSON v2, read: each form of each type, and what is none of them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import InvalidDocument, MalformedJson
from demijohn.formats.bson_values import CODEC, Value, encode
from demijohn.formats.extended_in import parse_extended, parse_extended_value

HEX = "0123456789abcdef01234567"
UUID = "73ffd264-44b3-4c69-90e8-e7d1dfc035d4"
NAN, INFINITY = float("nan"), float("inf")

READ: list[tuple[str, object]] = [
    ("null", None),
    ("true", True),
    ("false", False),
    ('"a\\u0000b"', "a\0b"),
    (f'"{HEX}"', HEX),
    ('"2026-01-01T00:00:00Z"', "2026-01-01T00:00:00Z"),
    ("0", 0),
    ("-0", 0),
    ("2147483647", 2**31 - 1),
    ("2147483648", Int64(2**31)),
    ("-2147483648", -(2**31)),
    ("-2147483649", Int64(-(2**31) - 1)),
    ("9007199254740993", Int64(2**53 + 1)),
    ("9223372036854775807", Int64(2**63 - 1)),
    ("-9223372036854775808", Int64(-(2**63))),
    ("1.0", 1.0),
    ("1e2", 100.0),
    ("-0.0", -0.0),
    ("1e308", 1e308),
    ("1e-400", 0.0),
    ('{"$numberInt":"5"}', 5),
    ('{"$numberInt":"-0"}', 0),
    ('{"$numberLong":"5"}', Int64(5)),
    ('{"$numberLong":"-9223372036854775808"}', Int64(-(2**63))),
    ('{"$numberDouble":"5"}', 5.0),
    ('{"$numberDouble":"-0.0"}', -0.0),
    ('{"$numberDouble":"1e+308"}', 1e308),
    ('{"$numberDouble":"1.E-5"}', 1e-5),
    ('{"$numberDouble":"NaN"}', NAN),
    ('{"$numberDouble":"Infinity"}', INFINITY),
    ('{"$numberDouble":"-Infinity"}', -INFINITY),
    ('{"$numberDecimal":"1.50"}', Decimal128("1.50")),
    ('{"$numberDecimal":"-1E+6144"}', Decimal128("-1E+6144")),
    ('{"$numberDecimal":"0E-6176"}', Decimal128("0E-6176")),
    ('{"$numberDecimal":"nan"}', Decimal128("NaN")),
    ('{"$numberDecimal":"-inf"}', Decimal128("-Infinity")),
    (f'{{"$oid":"{HEX.upper()}"}}', ObjectId(HEX)),
    ('{"$date":{"$numberLong":"-1"}}', DatetimeMS(-1)),
    ('{"$date":"1969-12-31T23:59:59.999Z"}', DatetimeMS(-1)),
    ('{"$date":"0001-01-01T00:00:00Z"}', DatetimeMS(-62_135_596_800_000)),
    ('{"$date":"9999-12-31T23:59:59.9-23:59"}', DatetimeMS(253_402_387_139_900)),
    ('{"$date":"1970-01-01T01:30:00+01:30"}', DatetimeMS(0)),
    ('{"$date":"1970-01-01t00:00:00.120000z"}', DatetimeMS(120)),
    ('{"$date":"1970-01-01T00:00:00+0000"}', DatetimeMS(0)),
    ('{"$date":"1970-01-01T00:00:00-01"}', DatetimeMS(3_600_000)),
    ('{"$date":"2024-02-29T00:00:00Z"}', dt.datetime(2024, 2, 29, tzinfo=dt.UTC)),
    ('{"$binary":{"base64":"eHg=","subType":"00"}}', b"xx"),
    ('{"$binary":{"subType":"2","base64":"eHg="}}', Binary(b"xx", 2)),
    ('{"$binary":{"base64":"eHg=","subType":"fF"}}', Binary(b"xx", 255)),
    ('{"$binary":{"base64":"","subType":"04"}}', Binary(b"", 4)),
    ('{"$binary":"eHg=","$type":"02"}', Binary(b"xx", 2)),
    ('{"$type":"80","$binary":"eHg="}', Binary(b"xx", 128)),
    (f'{{"$uuid":"{UUID}"}}', Binary(bytes.fromhex(UUID.replace("-", "")), 4)),
    ('{"$regularExpression":{"options":"mix","pattern":"a/b"}}', Regex("a/b", "imx")),
    ('{"$regex":"a","$options":"mi"}', Regex("a", "im")),
    ('{"$code":"f\\u0000()"}', Code("f\0()")),
    ('{"$scope":{"a":{"$numberLong":"1"}},"$code":"f"}', Code("f", {"a": Int64(1)})),
    ('{"$code":"f","$scope":{"g":{"$code":"g","$scope":{}}}}', Code("f", {"g": Code("g", {})})),
    ('{"$timestamp":{"i":1,"t":4294967295}}', Timestamp(2**32 - 1, 1)),
    ('{"$minKey":1}', MinKey()),
    ('{"$maxKey":1}', MaxKey()),
    ('{"$id":1,"x":{"$ref":5},"$db":null}', {"$id": 1, "x": {"$ref": 5}, "$db": None}),
    ('{"a":[{"":[]},{"a.b":{"é":-0.0}}]}', {"a": [{"": []}, {"a.b": {"é": -0.0}}]}),
    ('{"a":1,"b":2,"a":{"$oid":"x","$oid":"' + HEX + '"}}', {"a": ObjectId(HEX), "b": 2}),
]
REFUSED = [
    '{"$oid":5}',
    '{"$oid":"0123456789abcdef0123456"}',
    f'{{"$oid":"{HEX}","x":1}}',
    f'{{"x":1,"$oid":"{HEX}"}}',
    f'{{"$oid":"{HEX}","$db":"d"}}',
    '{"$symbol":5}',
    '{"$numberInt":5}',
    '{"$numberInt":"2147483648"}',
    '{"$numberInt":"5.0"}',
    '{"$numberInt":"+5"}',
    '{"$numberInt":" 5"}',
    '{"$numberInt":"1_0"}',
    '{"$numberInt":"٣"}',
    '{"$numberInt":""}',
    '{"$numberLong":5}',
    '{"$numberLong":"9223372036854775808"}',
    '{"$numberLong":"' + "9" * 5_000 + '"}',
    '{"$numberDouble":5.0}',
    '{"$numberDouble":"1e400"}',
    '{"$numberDouble":"nan"}',
    '{"$numberDouble":"0x10"}',
    '{"$numberDouble":"1_0.0"}',
    '{"$numberDecimal":1}',
    '{"$numberDecimal":"x"}',
    '{"$numberDecimal":"1_0"}',
    '{"$numberDecimal":" 1"}',
    '{"$numberDecimal":"sNaN"}',
    '{"$numberDecimal":"1E6145"}',
    '{"$numberDecimal":"1E-999999999999"}',
    '{"$numberDecimal":"' + "1" * 35 + '"}',
    '{"$numberDecimal":"' + "0" * 20_000 + '"}',
    '{"$date":5}',
    '{"$date":{"$numberLong":5}}',
    '{"$date":{"$numberInt":"5"}}',
    '{"$date":"2026-01-01"}',
    '{"$date":"2026-01-01T00:00:00"}',
    '{"$date":"2026-01-01T00:00:00.1234Z"}',
    '{"$date":"2026-01-01T00:00:00.Z"}',
    '{"$date":"2026-02-29T00:00:00Z"}',
    '{"$date":"2026-13-01T00:00:00Z"}',
    '{"$date":"2026-01-01T24:00:00Z"}',
    '{"$date":"2026-12-31T23:59:60Z"}',
    '{"$date":"0000-01-01T00:00:00Z"}',
    '{"$date":"2026-01-01T00:00:00+24:00"}',
    '{"$date":"2026-01-01T00:00:00+01:60"}',
    '{"$date":"2026-01-01T00:00:00+01:"}',
    '{"$binary":"eHg="}',
    '{"$binary":{"base64":"eHg="}}',
    '{"$binary":{"base64":"eHg=","subType":"00","x":1}}',
    '{"$binary":{"base64":"eHg","subType":"00"}}',
    '{"$binary":{"base64":"eH g=","subType":"00"}}',
    '{"$binary":{"base64":"é","subType":"00"}}',
    '{"$binary":{"base64":5,"subType":"00"}}',
    '{"$binary":{"base64":"eHg=","subType":"100"}}',
    '{"$binary":{"base64":"eHg=","subType":"g"}}',
    '{"$binary":{"base64":"eHg=","subType":0}}',
    '{"$binary":"eHg=","$type":0}',
    '{"$binary":0,"$type":"00"}',
    '{"$binary":"eHg=","$type":"00","x":1}',
    '{"$uuid":5}',
    '{"$uuid":"73ffd26444b34c6990e8e7d1dfc035d4"}',
    '{"$uuid":"73ffd264-44b3-90e8-e7d1dfc035d4"}',
    '{"$regularExpression":"a"}',
    '{"$regularExpression":{"pattern":"a"}}',
    '{"$regularExpression":{"pattern":"a","options":"","x":1}}',
    '{"$regularExpression":{"pattern":5,"options":""}}',
    '{"$regularExpression":{"pattern":"a\\u0000","options":""}}',
    '{"$regularExpression":{"pattern":"a","options":"\\u0000"}}',
    '{"$regex":"a"}',
    '{"$regex":"a","$options":0}',
    '{"$regex":"a","$options":"","x":1}',
    '{"$code":5}',
    '{"$code":"f","$scope":5}',
    '{"$code":"f","$scope":[]}',
    f'{{"$code":"f","$scope":{{"$oid":"{HEX}"}}}}',
    '{"$code":5,"$scope":{}}',
    '{"$code":"f","$scope":{},"x":1}',
    '{"$timestamp":5}',
    '{"$timestamp":{"t":1}}',
    '{"$timestamp":{"t":1,"i":1,"x":1}}',
    '{"$timestamp":{"t":"1","i":1}}',
    '{"$timestamp":{"t":1.0,"i":1}}',
    '{"$timestamp":{"t":true,"i":1}}',
    '{"$timestamp":{"t":-1,"i":1}}',
    '{"$timestamp":{"t":1,"i":4294967296}}',
    '{"$timestamp":{"t":1,"i":18446744073709551616}}',
    '{"$dbPointer":5}',
    f'{{"$dbPointer":{{"$ref":5,"$id":{{"$oid":"{HEX}"}}}}}}',
    '{"$dbPointer":{"$ref":"c","$id":1}}',
    '{"$dbPointer":{"$ref":"c","$id":{"$oid":"x"}}}',
    '{"$minKey":0}',
    '{"$minKey":true}',
    '{"$minKey":1.0}',
    '{"$maxKey":"1"}',
    '{"$undefined":false}',
    '{"$undefined":1}',
]


def stored(body: str) -> bytes:
    """The fields of a document as they would be stored."""
    return encode(parse_extended(body.encode()).fields)


@pytest.mark.parametrize(("spelling", "value"), READ)
def test_what_is_read(spelling: str, value: object) -> None:
    """Canonical, relaxed and unambiguous old forms give the exact type, members in any order."""
    assert stored(f'{{"v":{spelling}}}') == bson.encode({"v": value})
    assert stored(f'{{"n":18,"v":[{{"v":{spelling}}}]}}') == bson.encode(
        {"n": 18, "v": [{"v": value}]}
    )


@pytest.mark.parametrize(
    ("spelling", "kind", "payload"),
    [
        ('{"$undefined":true}', 0x06, b""),
        ('{"$symbol":"é"}', 0x0E, b"\x03\0\0\0\xc3\xa9\0"),
        (
            f'{{"$dbPointer":{{"$id":{{"$oid":"{HEX}"}},"$ref":"c"}}}}',
            0x0C,
            b"\x02\0\0\0c\0" + bytes.fromhex(HEX),
        ),
    ],
)
def test_types_that_the_driver_cannot_write(spelling: str, kind: int, payload: bytes) -> None:
    """The old types come to be byte by byte, as themselves."""
    assert parse_extended(f'{{"v":{spelling}}}'.encode()).fields == {"v": Value(kind, payload)}


@pytest.mark.parametrize("spelling", REFUSED, ids=lambda spelling: spelling[:50])
def test_what_is_refused(spelling: str) -> None:
    """An object with a wrapper's key that is not exactly that wrapper is a fault, at its place."""
    with pytest.raises(InvalidDocument) as caught:
        parse_extended(f'{{"a":1,"v":[{spelling}]}}'.encode())
    assert [fault.pointer for fault in caught.value.faults] == ["/v/0"]


KEYS = ["$oid", "$code", "$scope", "$date", "$numberLong", "$numberDecimal", "$binary", "$type"]
KEYS += ["base64", "subType", "$regex", "$options", "$timestamp", "t", "i", "$dbPointer", "$ref"]
KEYS += ["$id", "$set", "a", "_id"]
WORDS = [json.loads(spelling) for spelling in REFUSED[:40]] + [
    json.loads(spelling) for spelling, _ in READ if "NaN" not in spelling
]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text() | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYS),
                inner | st.sampled_from(WORDS),
                max_size=3,
            )
        ),
        max_leaves=10,
    ),
    st.booleans(),
)
def test_any_json_is_valid_bson_or_refused(value: Any, operators: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever is accepted is BSON that the driver reads; the rest is a fault, never a crash."""
    body = json.dumps({"v": value}).encode()
    try:
        node = parse_extended_value(body, operators=operators)
    except (InvalidDocument, MalformedJson):
        return
    assert isinstance(node, dict)
    assert list(bson.decode(encode(node), CODEC)) == ["v"]
