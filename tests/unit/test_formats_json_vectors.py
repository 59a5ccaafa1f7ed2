"""JSON texts that a parser must accept, must reject, or may do either with (RFC 8259).

In the spirit of the public JSON parsing suites; each text stands as the value of a member, so
that it arrives in a document, or as a whole body.
"""

from __future__ import annotations

import json
import math
from typing import Any

import bson
import pytest

from demijohn.errors import InvalidDocument, MalformedJson
from demijohn.formats.bson_values import from_python
from demijohn.formats.plain_in import ParsedDocument, encode_fields, parse_document
from demijohn.formats.spelling import Draft

ACCEPTED_VALUES: list[tuple[bytes, Any]] = [
    (b"null", None),
    (b"true", True),
    (b"false", False),
    (b"0", 0),
    (b"-0", 0),
    (b"-0.0", -0.0),
    (b"1", 1),
    (b"1.0", 1.0),
    (b"-1", -1),
    (b"1e2", 100.0),
    (b"1E+2", 100.0),
    (b"1e-2", 0.01),
    (b"0e1", 0.0),
    (b"123.456e78", 123.456e78),
    (b"1e-400", 0.0),
    (b"1.7976931348623157e308", 1.7976931348623157e308),
    (b"5e-324", 5e-324),
    (b"0.1234567890123456789012345", 0.1234567890123456789012345),
    (b"123456789012345678901234567890.0", 123456789012345678901234567890.0),
    (b"1e19", 1e19),
    (b"2147483648", 2**31),
    (b"9223372036854775807", 2**63 - 1),
    (b"-9223372036854775808", -(2**63)),
    (b'""', ""),
    (b'"plain"', "plain"),
    (b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'),
    (b'"\\u0041\\u00e9\\u20AC"', "Aé€"),
    (b'"\\uD834\\uDd1e"', "\U0001d11e"),
    (b'"\\uDBFF\\uDFFF"', "\U0010ffff"),
    (b'"\\u0000"', "\0"),
    (b'"\\uFFFE \\uffff"', "\ufffe \uffff"),
    (b'"\\u2028"', "\u2028"),
    (b'"\x7f"', "\x7f"),
    ('"é€𝄞 \u2028\ufeff"'.encode(), "é€𝄞 \u2028\ufeff"),
    (b'"$5, [not] {a} bracket"', "$5, [not] {a} bracket"),
    (b'"99999999999999999999999"', "99999999999999999999999"),
    (b'"1e999"', "1e999"),
    (b"[]", []),
    (b"{}", {}),
    (b"[ ]", []),
    (b'[null, 1, "a", [], {}]', [None, 1, "a", [], {}]),
    (b'{"":0}', {"": 0}),
    (b'{"a.b":1,"a$":2,"x y":3}', {"a.b": 1, "a$": 2, "x y": 3}),
    (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
    (b" \t\r\n 1 \t\r\n ", 1),
]

REJECTED_VALUES = [
    b"",
    b"nul",
    b"NULL",
    b"True",
    b"truee",
    b"undefined",
    b"NaN",
    b"-NaN",
    b"Infinity",
    b"-Infinity",
    b"inf",
    b"01",
    b"-01",
    b"00",
    b"+1",
    b".5",
    b"-.5",
    b"1.",
    b"1.e1",
    b"1e",
    b"1e+",
    b"1eE2",
    b"1.2.3",
    b"0x10",
    b"1_000",
    b"1 000",
    b"--1",
    b"-",
    b"1+2",
    "１".encode(),
    b"'a'",
    b'"',
    b'"\\"',
    b'"\\x41"',
    b'"\\a"',
    b'"\\u12"',
    b'"\\u12G4"',
    b'"\\U0041"',
    b'"\n"',
    b'"\t"',
    b'"\x00"',
    b'"\x1f"',
    b'"\\ud800"',
    b'"\\ud800\\u0041"',
    b'"\\udc00"',
    b'"\\udc00\\ud800"',
    b'"\xff"',
    b'"\xc0\x80"',
    b'"\xe0\x80\xaf"',
    b'"\xed\xa0\x80"',
    b'"\xf4\x90\x80\x80"',
    b'"\xc3"',
    b"[1,]",
    b"[,1]",
    b"[1,,2]",
    b"[1 2]",
    b"[1",
    b"1]",
    b"[1}",
    b'{"a":1,}',
    b'{"a"}',
    b'{"a":}',
    b"{:1}",
    b"{1:1}",
    b"{a:1}",
    b"{'a':1}",
    b'{"a" 1}',
    b'{"a":1 "b":2}',
    b'{"a":1;"b":2}',
    b'{"a"::1}',
    b"{null:1}",
    b"1 // comment",
    b"/* comment */ 1",
    b"1 # comment",
    b"\x0c1",
    b"\xc2\xa01",
    b"1e999 x",
    b"[1e999, 01]",
    b"[1e999, NaN]",
    b'[1e999, "\\ud800"]',
    b"01e999",
]

REJECTED_BODIES = [
    b"",
    b" \n ",
    b"\x00",
    b"{",
    b"}",
    b"{}}",
    b"{}{}",
    b"{} x",
    b"{}\x00",
    b"{}\x0c",
    b'{"a"',
    b'{"a":',
    b'{"a":1',
    b'{"a":"x',
    b"\xef\xbb\xbf{}",
    '{"a":1}'.encode("utf-16"),
    '{"a":1}'.encode("utf-16-le"),
    '{"a":1}'.encode("utf-32-be"),
    '{"a":"é"}'.encode("latin-1"),
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 50_000 + b"}" * 50_000,
]

OTHER_THAN_OBJECTS = [b"null", b"true", b"1", b"-0.0", b'"x"', b"[]", b'[{"a":1}]', b"1e999"]

EITHER_VALUES = [
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"1" * 400,
    b"1" * 5_000,
    b"1e400",
    b"-1e400",
    b"123123e100000",
    b"0.4e00669999999999999999999999999999999999999999999999999999999999969999999006",
    b"[" * 500 + b"]" * 500,
    b"[" * 100_000 + b"]" * 100_000,
]
"""The standard leaves these to the parser: here JSON, but not to be kept (422)."""


def encode(parsed: ParsedDocument, document_id: object) -> bytes:
    """The document as it is stored under an id."""
    return Draft(None, encode_fields(parsed.fields)).under(from_python(document_id))


def as_member(value: bytes) -> bytes:
    """The value in a document."""
    return b'{"value":' + value + b"}"


@pytest.mark.parametrize(("text", "value"), ACCEPTED_VALUES)
def test_must_accept(text: bytes, value: object) -> None:
    """A valid text is parsed to the right value of the right type, and BSON gives it back."""
    parsed = parse_document(as_member(text))
    kept = bson.decode(encode(parsed, "id"))
    assert kept == {"_id": "id", "value": value}
    assert type(parsed.fields["value"]) is type(value)
    if isinstance(value, float):
        assert math.copysign(1, kept["value"]) == math.copysign(1, value)


@pytest.mark.parametrize("text", REJECTED_VALUES)
def test_must_reject_as_a_value(text: bytes) -> None:
    """An invalid text inside a document is malformed JSON, with a place inside the body."""
    body = as_member(text)
    with pytest.raises(MalformedJson) as caught:
        parse_document(body)
    line, column = caught.value.extra["line"], caught.value.extra["column"]
    assert isinstance(line, int)
    assert isinstance(column, int)
    lines = body.split(b"\n")
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


@pytest.mark.parametrize("body", REJECTED_BODIES, ids=lambda body: repr(body[:30]))
def test_must_reject_as_a_body(body: bytes) -> None:
    """A body that is no JSON text in UTF-8 is malformed, however long or deep it is."""
    with pytest.raises(MalformedJson) as caught:
        parse_document(body)
    assert set(caught.value.extra) == {"line", "column"}


@pytest.mark.parametrize("body", OTHER_THAN_OBJECTS)
def test_other_values_are_no_documents(body: bytes) -> None:
    """JSON that is not an object is refused as a whole: the pointer is empty."""
    with pytest.raises(InvalidDocument) as caught:
        parse_document(body)
    assert [fault.pointer for fault in caught.value.faults] == [""]


@pytest.mark.parametrize("text", EITHER_VALUES, ids=lambda text: repr(text[:30]))
def test_may_do_either(text: bytes) -> None:
    """What the standard leaves open is refused as not to be kept, with a pointer into it."""
    with pytest.raises(InvalidDocument) as caught:
        parse_document(as_member(text))
    assert [fault.pointer[:6] for fault in caught.value.faults] == ["/value"]


@pytest.mark.parametrize(("text", "value"), ACCEPTED_VALUES)
def test_the_table_agrees_with_another_parser(text: bytes, value: object) -> None:
    """Control: the values that the table demands are what the standard library reads."""
    assert json.loads(text) == value
