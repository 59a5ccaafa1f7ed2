"""BSON to plain JSON: every type has its spelling, and a stream of them is one array."""

from __future__ import annotations

import datetime as dt
import json
import struct
from collections.abc import Iterator
from typing import Any

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

from demijohn.errors import InternalError
from demijohn.formats.batches import CHUNK_BYTES, GROUP_BYTES
from demijohn.formats.bson_values import Value, elements
from demijohn.formats.plain_out import plain_value, render_array, render_document

HEX = "0123456789abcdef01234567"
NAN, INFINITY = float("nan"), float("inf")
UTC = dt.UTC

SPELLINGS: list[tuple[object, str]] = [
    (None, "null"),
    (True, "true"),
    (5, "5"),
    (Int64(2**62), str(2**62)),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    ("é\n€ \u2028", '"é\\n€ \u2028"'),
    (ObjectId(HEX), f'"{HEX}"'),
    (dt.datetime(2026, 11, 23, 12, 0, 0, 123000, UTC), '"2026-11-23T12:00:00.123Z"'),
    (dt.datetime(2026, 11, 23, 12, tzinfo=UTC), '"2026-11-23T12:00:00.000Z"'),
    (dt.datetime(1969, 12, 31, 23, 59, 59, 999000, UTC), '"1969-12-31T23:59:59.999Z"'),
    (dt.datetime(1, 1, 1, tzinfo=UTC), '"0001-01-01T00:00:00.000Z"'),
    (dt.datetime(9999, 12, 31, 23, 59, 59, 999000, UTC), '"9999-12-31T23:59:59.999Z"'),
    (DatetimeMS(253402300800000), '{"$date":{"$numberLong":"253402300800000"}}'),
    (DatetimeMS(-62135596800001), '{"$date":{"$numberLong":"-62135596800001"}}'),
    (DatetimeMS(-(2**63)), '{"$date":{"$numberLong":"-9223372036854775808"}}'),
    (Decimal128("1.50"), '"1.50"'),
    (Decimal128("NaN"), '"NaN"'),
    (b"xx", '"eHg="'),
    (Binary(b"xx", 2), '"eHg="'),
    (Binary(b"x" * 16, 3), '"eHh4eHh4eHh4eHh4eHh4eA=="'),
    (Binary(b"x" * 16, 4), '"eHh4eHh4eHh4eHh4eHh4eA=="'),
    (Binary(b"xx", 200), '"eHg="'),
    (NAN, '{"$numberDouble":"NaN"}'),
    (INFINITY, '{"$numberDouble":"Infinity"}'),
    (-INFINITY, '{"$numberDouble":"-Infinity"}'),
    (Regex("^a", "im"), '{"$regularExpression":{"pattern":"^a","options":"im"}}'),
    (Code("f()"), '{"$code":"f()"}'),
    (Code("f()", {"x": 1}), '{"$code":"f()","$scope":{"x":1}}'),
    (Code("f()", {"x": NAN}), '{"$code":"f()","$scope":{"x":{"$numberDouble":"NaN"}}}'),
    (Timestamp(1, 2), '{"$timestamp":{"t":1,"i":2}}'),
    (MinKey(), '{"$minKey":1}'),
    (MaxKey(), '{"$maxKey":1}'),
    (DBRef("c", ObjectId(HEX)), f'{{"$ref":"c","$id":"{HEX}"}}'),
    (DBRef("c", NAN, "d", x=1), '{"$ref":"c","$id":{"$numberDouble":"NaN"},"$db":"d","x":1}'),
    ({"z": 1, "a": [2, {"b": []}]}, '{"z":1,"a":[2,{"b":[]}]}'),
]


def element(kind: int, payload: bytes, name: bytes = b"v") -> bytes:
    """A BSON document of one element, byte by byte."""
    body = bytes([kind]) + name + b"\0" + payload + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def text(content: bytes) -> bytes:
    """The payload of a BSON string."""
    return struct.pack("<i", len(content) + 1) + content + b"\0"


def render(*batches: bytes) -> bytes:
    """The whole array of some batches."""
    return b"".join(render_array(iter(batches)))


@pytest.mark.parametrize(("value", "spelling"), SPELLINGS)
def test_how_a_type_is_spelt(value: object, spelling: str) -> None:
    """Each type has one spelling: at the top, nested, and beside a double that is not finite."""
    assert render_document(bson.encode({"v": value})).decode() == f'{{"v":{spelling}}}\n'
    nested = {"n": NAN, "v": [{"v": value}]}
    expected = f'{{"n":{{"$numberDouble":"NaN"}},"v":[{{"v":{spelling}}}]}}'
    assert render_document(bson.encode(nested)).decode() == expected + "\n"
    assert render(bson.encode({"v": value})).decode() == f'[{{"v":{spelling}}}]\n'


@pytest.mark.parametrize(("value", "spelling"), SPELLINGS)
def test_a_value_alone_is_spelt_as_in_its_document(value: object, spelling: str) -> None:
    """`plain_value` gives the JSON value of the same text, integers and doubles kept apart."""
    [(_, stored)] = elements(bson.encode({"v": value}))
    alone = plain_value(stored)
    assert json.dumps(alone) == json.dumps(json.loads(spelling))


@pytest.mark.parametrize(
    ("raw", "spelling"),
    [
        (element(0x06, b""), '{"v":null}'),
        (element(0x0E, text(b"symbol")), '{"v":"symbol"}'),
        (element(0x0C, text(b"c") + b"x" * 12), '{"v":{"$ref":"c","$id":"' + "78" * 12 + '"}}'),
        (element(0x02, text(b"a\xffb")), '{"v":"a\ufffdb"}'),
        (element(0x02, text(b"\xed\xa0\x80")), '{"v":"\ufffd\ufffd\ufffd"}'),
        (element(0x0A, b"", b"k\xff"), '{"k\ufffd":null}'),
        (element(0x0D, text(b"\xff")), '{"v":{"$code":"\ufffd"}}'),
        (element(0x01, b"\1\0\0\0\0\0\xf0\x7f", b"\1"), '{"\\u0001":{"$numberDouble":"NaN"}}'),
        (element(0x01, b"\0\0\0\0\0\0\xf8\xff", b""), '{"":{"$numberDouble":"NaN"}}'),
        (bson.encode({"a": {"$ref": 5, "$id": 1}}), '{"a":{"$ref":5,"$id":1}}'),
    ],
)
def test_what_only_other_writers_store(raw: bytes, spelling: str) -> None:
    """Old types, bytes that are no UTF-8, odd names and odd NaNs are spelt, and break nothing."""
    assert render_document(raw).decode() == spelling + "\n"
    [(_, value)] = elements(raw)
    assert [plain_value(value)] == list(json.loads(spelling).values())


@given(
    st.recursive(
        st.floats() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=12) | st.none(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(alphabet="\1a\x7f", max_size=3), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
@example([INFINITY, -1, NAN, -INFINITY])
def test_no_double_becomes_null(value: Any) -> None:
    """Doubles that are not finite are found wherever they are, among whatever other bytes."""

    def expected(each: Any) -> Any:
        if isinstance(each, dict):
            return {key: expected(child) for key, child in each.items()}
        if isinstance(each, list):
            return [expected(child) for child in each]
        if isinstance(each, bytes):
            return bson.json_util.default(each, bson.json_util.CANONICAL_JSON_OPTIONS)["$binary"][
                "base64"
            ]
        if isinstance(each, float) and (each != each or each in (INFINITY, -INFINITY)):  # noqa: PLR0124 - NaN
            name = {INFINITY: "Infinity", -INFINITY: "-Infinity"}.get(each, "NaN")
            return {"$numberDouble": name}
        return each

    assert json.loads(render_document(bson.encode({"v": value}))) == {"v": expected(value)}


@given(
    st.lists(
        st.lists(
            st.dictionaries(
                st.text(max_size=3).filter(lambda k: "\0" not in k), st.integers(0, 9), max_size=3
            ),
            max_size=4,
        ),
        max_size=4,
    )
)
def test_batches_make_one_array(batches: list[list[dict[str, int]]]) -> None:
    """However documents are spread over batches, the array has all of them in order."""
    raws = [b"".join(map(bson.encode, batch)) for batch in batches]
    output = render(*raws)
    assert json.loads(output) == [document for batch in batches for document in batch]
    assert output.endswith(b"]\n")


def test_nothing_is_an_empty_array() -> None:
    """No batch, or none with documents, is `[]` and a newline."""
    assert render() == render(b"") == b"[]\n"


def test_a_large_batch_comes_in_pieces() -> None:
    """A batch of 16 MiB is rendered in chunks of bounded size, documents kept whole."""
    document = bson.encode({"n": 1, "text": "x" * 1_000})
    count = 16 * 1024 * 1024 // len(document)
    chunks = list(render_array(iter([document * count])))
    assert max(map(len, chunks)) < CHUNK_BYTES + 2 * GROUP_BYTES
    assert len(chunks) > 60
    assert len(json.loads(b"".join(chunks))) == count


def test_nothing_is_held_back() -> None:
    """The first documents are out before the second batch has been asked for."""
    asked = []

    def batches() -> Iterator[bytes]:
        for number in range(3):
            asked.append(number)
            yield bson.encode({"n": number})

    chunks = render_array(batches())
    assert next(chunks) == b'[{"n":0}'
    assert asked == [0]
    assert next(chunks) == b',{"n":1}'
    assert asked == [0, 1]
    assert b"".join(chunks) == b',{"n":2}]\n'


GOOD = bson.encode({"n": 1})


@pytest.mark.parametrize(
    "damaged",
    [
        GOOD[:-1],
        GOOD[:4],
        b"\x00\x00\x00\x00\x00",
        b"\x04\x00\x00\x00\x00",
        b"\xff\xff\xff\xff\x00",
        b"\xff\xff\xff\x7f\x00",
        element(0x08, b"\x05"),
        element(0x20, b""),
        element(0x02, b"\xff\xff\xff\x7fx\0"),
        element(0x03, b"\x05\x00\x00\x00\x01"),
    ],
)
def test_a_damaged_document_cuts_the_array(damaged: bytes) -> None:
    """What can't be decoded raises; it is not passed over, and the array is not closed."""
    chunks = []
    with pytest.raises(InternalError):  # noqa: PT012 - what came before the error is the point
        for chunk in render_array(iter([GOOD, damaged, GOOD])):
            chunks.append(chunk)  # noqa: PERF402 - kept up to the error
    assert b"".join(chunks) == b'[{"n":1}'
    for alone in (damaged, GOOD + damaged, damaged + GOOD):
        with pytest.raises(InternalError):
            render_document(alone)


def test_one_document_is_exactly_one() -> None:
    """Two documents, or one and a byte more, are no document: nothing is passed over."""
    assert render_document(GOOD) == b'{"n":1}\n'
    for others in (b"", GOOD + GOOD, GOOD + b"\0"):
        with pytest.raises(InternalError):
            render_document(others)


def test_a_damaged_value_is_an_internal_error() -> None:
    """A value whose bytes are no BSON of its type raises; it is not spelt as something else."""
    for value in (Value(0x08, b"\x05"), Value(0x03, b"\x05\0\0\0\1"), Value(0x20, b"")):
        with pytest.raises(InternalError):
            plain_value(value)


@given(st.binary(max_size=40), st.integers(0, 200), st.integers(0, 255))
def test_any_bytes_are_rendered_or_an_internal_error(
    noise: bytes, position: int, byte: int
) -> None:
    """Damage anywhere ends in valid JSON or InternalError, never in another exception."""
    values = [value for value, _ in SPELLINGS]
    whole = bytearray(bson.encode({"v": values[position % len(values)], "w": noise}))
    whole[4 + position % (len(whole) - 4)] = byte
    for raw in (bytes(whole), struct.pack("<i", len(noise) + 4) + noise):
        try:
            output = render(raw)
        except InternalError:
            continue
        json.loads(output)


@pytest.mark.parametrize("levels", [100, 180, 254, 255, 400])
@pytest.mark.parametrize("innermost", [{}, {"x": NAN}, {"x": [ObjectId(HEX), Code("f")]}])
def test_deep_documents(levels: int, innermost: dict[str, Any]) -> None:
    """Documents nested deeper than any limit of the writer come out all the same."""
    document: dict[str, Any] = innermost
    for _ in range(levels):
        document = {"a": document}
    output = render_document(bson.encode(document)).decode()
    inner = render_document(bson.encode(innermost)).decode()[:-1]
    assert output == '{"a":' * levels + inner + "}" * levels + "\n"


def test_an_endless_run_of_ones_is_searched_in_one_pass() -> None:
    """Megabytes of the byte that begins a double don't make the search for NaN quadratic."""
    raw = bson.encode({"v": "\1" * 4_000_000, "n": NAN})
    assert render_document(raw).endswith(b'"n":{"$numberDouble":"NaN"}}\n')
