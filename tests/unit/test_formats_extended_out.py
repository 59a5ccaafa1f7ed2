"""BSON to Extended JSON v2: every type has its spelling in each mode, and no bytes break it."""

from __future__ import annotations

import datetime as dt
import json
import struct

import bson
import pytest
from bson import json_util
from bson.binary import Binary, UuidRepresentation
from bson.code import Code
from bson.codec_options import DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import InternalError
from demijohn.formats.bson_values import CODEC, elements
from demijohn.formats.extended_out import render, render_value

HEX = "0123456789abcdef01234567"
NAN, INFINITY = float("nan"), float("inf")
UTC = dt.UTC
CANONICAL = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    tz_aware=False,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)

SAME: list[tuple[object, str]] = [
    (None, "null"),
    (True, "true"),
    (False, "false"),
    ('é\n€ \u2028\0\x1f\x7f"\\/', '"é\\n€ \u2028\\u0000\\u001f\x7f\\"\\\\/"'),
    ("", '""'),
    (ObjectId(HEX), f'{{"$oid":"{HEX}"}}'),
    (NAN, '{"$numberDouble":"NaN"}'),
    (INFINITY, '{"$numberDouble":"Infinity"}'),
    (-INFINITY, '{"$numberDouble":"-Infinity"}'),
    (Decimal128("1.50"), '{"$numberDecimal":"1.50"}'),
    (Decimal128("-0E+3"), '{"$numberDecimal":"-0E+3"}'),
    (Decimal128("NaN"), '{"$numberDecimal":"NaN"}'),
    (b"xx", '{"$binary":{"base64":"eHg=","subType":"00"}}'),
    (b"", '{"$binary":{"base64":"","subType":"00"}}'),
    (Binary(b"xx", 2), '{"$binary":{"base64":"eHg=","subType":"02"}}'),
    (Binary(b"xx", 4), '{"$binary":{"base64":"eHg=","subType":"04"}}'),
    (Binary(b"xx", 255), '{"$binary":{"base64":"eHg=","subType":"ff"}}'),
    (Code("f()"), '{"$code":"f()"}'),
    (Code("f()", {}), '{"$code":"f()","$scope":{}}'),
    (Timestamp(2**32 - 1, 2), '{"$timestamp":{"t":4294967295,"i":2}}'),
    (Regex('a"/', "xi"), '{"$regularExpression":{"pattern":"a\\"/","options":"ix"}}'),
    (MinKey(), '{"$minKey":1}'),
    (MaxKey(), '{"$maxKey":1}'),
    (DBRef("c", ObjectId(HEX), "d"), f'{{"$ref":"c","$id":{{"$oid":"{HEX}"}},"$db":"d"}}'),
    ({}, "{}"),
    ([], "[]"),
    ([None, [True], {}], "[null,[true],{}]"),
    ({"z": None, "": None, "a.b": None, "é\n": ""}, '{"z":null,"":null,"a.b":null,"é\\n":""}'),
]
UNLIKE: list[tuple[object, str, str]] = [
    (5, '{"$numberInt":"5"}', "5"),
    (-(2**31), '{"$numberInt":"-2147483648"}', "-2147483648"),
    (Int64(5), '{"$numberLong":"5"}', "5"),
    (2**53 + 1, '{"$numberLong":"9007199254740993"}', "9007199254740993"),
    (-(2**63), '{"$numberLong":"-9223372036854775808"}', "-9223372036854775808"),
    (1.0, '{"$numberDouble":"1.0"}', "1.0"),
    (-0.0, '{"$numberDouble":"-0.0"}', "-0.0"),
    (0.1, '{"$numberDouble":"0.1"}', "0.1"),
    (1e308, '{"$numberDouble":"1e+308"}', "1e+308"),
    (5e-324, '{"$numberDouble":"5e-324"}', "5e-324"),
    (float(2**53), '{"$numberDouble":"9007199254740992.0"}', "9007199254740992.0"),
    (
        Code("f", {"x": 1}),
        '{"$code":"f","$scope":{"x":{"$numberInt":"1"}}}',
        '{"$code":"f","$scope":{"x":1}}',
    ),
    ([1, {"a": [2]}], '[{"$numberInt":"1"},{"a":[{"$numberInt":"2"}]}]', '[1,{"a":[2]}]'),
]
DATES: list[tuple[int, str]] = [
    (0, '{"$date":"1970-01-01T00:00:00Z"}'),
    (1, '{"$date":"1970-01-01T00:00:00.001Z"}'),
    (1_356_351_330_500, '{"$date":"2012-12-24T12:15:30.500Z"}'),
    (253_402_300_799_999, '{"$date":"9999-12-31T23:59:59.999Z"}'),
    (253_402_300_800_000, '{"$date":{"$numberLong":"253402300800000"}}'),
    (-1, '{"$date":{"$numberLong":"-1"}}'),
    (2**63 - 1, '{"$date":{"$numberLong":"9223372036854775807"}}'),
    (-(2**63), '{"$date":{"$numberLong":"-9223372036854775808"}}'),
]


def element(kind: int, payload: bytes, name: bytes = b"v") -> bytes:
    """A BSON document of one element, byte by byte."""
    body = bytes([kind]) + name + b"\0" + payload + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def text(content: bytes) -> bytes:
    """The payload of a BSON string."""
    return struct.pack("<i", len(content) + 1) + content + b"\0"


def check(raw: bytes, canonical: str, relaxed: str) -> None:
    """Compare a document of one member with its spellings, and the value by itself."""
    [(_, value)] = elements(raw)
    for is_canonical, expected in ((True, canonical), (False, relaxed)):
        assert render(raw, canonical=is_canonical).decode() == f'{{"v":{expected}}}\n'
        assert render_value(value, canonical=is_canonical).decode() == expected


@pytest.mark.parametrize(("value", "spelling"), SAME)
def test_types_with_one_spelling(value: object, spelling: str) -> None:
    """Most types are spelt alike in both modes, alone and in a document."""
    check(bson.encode({"v": value}), spelling, spelling)


@pytest.mark.parametrize(("value", "canonical", "relaxed"), UNLIKE)
def test_numbers_are_plain_when_relaxed(value: object, canonical: str, relaxed: str) -> None:
    """Relaxed numbers are JSON's: a double always has a point or an exponent, so it stays one."""
    check(bson.encode({"v": value}), canonical, relaxed)


@pytest.mark.parametrize(("milliseconds", "relaxed"), DATES)
def test_dates(milliseconds: int, relaxed: str) -> None:
    """Dates are text where RFC 3339 reaches and the standard lets it: relaxed, 1970 to 9999."""
    raw = bson.encode({"v": DatetimeMS(milliseconds)})
    check(raw, f'{{"$date":{{"$numberLong":"{milliseconds}"}}}}', relaxed)


@pytest.mark.parametrize(
    ("raw", "spelling"),
    [
        (element(0x06, b""), '{"$undefined":true}'),
        (element(0x0E, text(b"s")), '{"$symbol":"s"}'),
        (
            element(0x0C, text(b"d.c") + bytes.fromhex(HEX)),
            f'{{"$dbPointer":{{"$ref":"d.c","$id":{{"$oid":"{HEX}"}}}}}}',
        ),
        (element(0x02, text(b"a\xffb")), '"a\ufffdb"'),
        (element(0x02, text(b"\xed\xa0\x80")), '"\ufffd\ufffd\ufffd"'),
        (element(0x0D, text(b"\xff")), '{"$code":"\ufffd"}'),
        (element(0x0B, b"a\0mi\0"), '{"$regularExpression":{"pattern":"a","options":"mi"}}'),
        (element(0x01, b"\1\0\0\0\0\0\xf8\xff"), '{"$numberDouble":"NaN"}'),
        (element(0x04, element(0x0A, b"", b"7")), "[null]"),
        (element(0x03, element(0x0A, b"", b"$oid")), '{"$oid":null}'),
    ],
)
def test_what_only_other_writers_store(raw: bytes, spelling: str) -> None:
    """Old types, bytes that are no UTF-8, odd keys and NaNs are spelt, and break nothing."""
    check(raw, spelling, spelling)


def test_members_with_one_key_are_all_told() -> None:
    """Of members with the same key none is hidden, and broken keys are still keys."""
    raw = element(0x0A, b"\x0ak\0\x0ak\xff\0\x08k\0\1", b"k")
    assert render(raw, canonical=True).decode() == '{"k":null,"k":null,"k\ufffd":null,"k":true}\n'


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats()
        | st.text(max_size=5)
        | st.integers(-(2**63), 2**63 - 1)
        | st.integers(-(2**31), 2**31).map(Int64)
        | st.binary(max_size=9)
        | st.builds(Binary, st.binary(max_size=9), st.integers(0, 255))
        | st.builds(DatetimeMS, st.integers(-(2**63), 2**63 - 1))
        | st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
        | st.builds(Code, st.text(max_size=3), st.none() | st.just({"x": 1})),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.é", max_size=2), inner)
        ),
        max_leaves=12,
    )
)
def test_it_says_what_the_driver_says(value: object) -> None:
    """Where the driver's own writer loses nothing, the canonical text has the same JSON value."""
    raw = bson.encode({"v": value})
    theirs = json_util.dumps(bson.decode(raw, CODEC), json_options=CANONICAL)
    assert json.loads(render(raw, canonical=True)) == json.loads(theirs)


GOOD = bson.encode({"n": 1})


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        GOOD + GOOD,
        element(0x08, b"\x05"),
        element(0x20, b""),
        element(0x02, b"\xff\xff\xff\x7fx\0"),
        element(0x02, b"\x02\0\0\0xx"),
        element(0x02, b"\0\0\0\0"),
        element(0x03, b"\x05\0\0\0\1"),
        element(0x04, element(0x08, b"\x05")),
        element(0x05, b"\x02\0\0\0\x02xx"),
        element(0x05, b"\x05\0\0\0\x02\x02\0\0\0x"),
        element(0x0C, b"\0\0\0\0" + b"x" * 12),
        element(0x0F, b"\x04\0\0\0"),
        element(0x0F, b"\x0e\0\0\0\x05\0\0\0\0" + bson.encode({})),
        element(0x0F, b"\x0e\0\0\0\0\0\0\0\0" + bson.encode({})),
        element(0x0F, b"\x0e\0\0\0\x01\0\0\0\0" + b"\x05\0\0\0\1"),
    ],
)
def test_a_damaged_document_is_an_internal_error(damaged: bytes) -> None:
    """What is no BSON raises InternalError; it is not spelt as something else."""
    for canonical in (True, False):
        with pytest.raises(InternalError):
            render(damaged, canonical=canonical)


@given(st.binary(max_size=40), st.integers(0, 200), st.integers(0, 255))
def test_any_bytes_are_rendered_or_an_internal_error(
    noise: bytes, position: int, byte: int
) -> None:
    """Damage anywhere ends in valid JSON or InternalError, never in another exception."""
    values = [value for value, _ in SAME]
    whole = bytearray(bson.encode({"v": values[position % len(values)], "w": noise}))
    whole[4 + position % (len(whole) - 4)] = byte
    for raw in (bytes(whole), struct.pack("<i", len(noise) + 4) + noise):
        for canonical in (True, False):
            try:
                output = render(raw, canonical=canonical)
            except InternalError:
                continue
            json.loads(output)


def test_deep_documents() -> None:
    """Depth costs no recursion: 1,000 levels, of which MongoDB allows a fifth, come out."""
    raw = bson.encode({})
    for level in range(1_000):
        raw = element(0x04 if level % 2 else 0x03, raw, b"0")
    assert render(raw, canonical=True).decode() == '{"0":[' * 500 + "{}" + "]}" * 500 + "\n"
