"""Input four times as long costs about four times as much, in steps and in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.auth.keys import parse
from demijohn.documents.patch import READERS
from demijohn.documents.versions import parse_tags
from demijohn.formats import media_types
from demijohn.formats.bson_values import encode, from_python
from demijohn.formats.extended_in import parse_extended, parse_extended_value
from demijohn.formats.ids import from_segment
from demijohn.formats.json_array import array_texts
from demijohn.formats.json_stream import RecordSplitter, SplitError
from demijohn.formats.ndjson import Lines
from demijohn.formats.plain_in import parse_document, parse_value
from demijohn.query.fields import read_fields
from demijohn.query.filters import read_filter
from demijohn.query.parameters import RESERVED, parse_query, read_body, read_parameters
from demijohn.query.pipeline import check_pipeline
from demijohn.query.rows import read_rows
from demijohn.query.sort import read_sort
from demijohn.schemas.schema import compile_schema
from demijohn.telemetry import trace
from tests.support.fuzz import fuzz
from tests.support.fuzz_growth import Parse, bytes_held, lines_run

_PIECE = 64
_STORED = encode({"_id": from_python("ada"), "a": from_python([{"b": 1}] * 5)})


def _split(body: bytes) -> None:
    splitter = RecordSplitter()
    with suppress(SplitError):
        for at in range(0, len(body), _PIECE):
            list(splitter.feed(body[at : at + _PIECE]))


def _lines(body: bytes) -> None:
    lines = Lines(1_000)
    for at in range(0, len(body), _PIECE):
        lines.feed(body[at : at + _PIECE])
        while lines.size() is not None:
            lines.take()


def _patch(media_type: str) -> Parse:
    return lambda body: READERS[media_type](body)(_STORED)


PARSERS: Mapping[str, Parse] = MappingProxyType(
    {
        "document": parse_document,
        "value": parse_value,
        "extended document": parse_extended,
        "extended value": lambda body: parse_extended_value(body, operators=True),
        "array": lambda body: list(array_texts(body, 10_000)),
        "records": _split,
        "lines": _lines,
        "filter": read_filter,
        "search": lambda body: read_body(body, extended=False),
        "pipeline": lambda body: check_pipeline(parse_extended_value(body, operators=True)),
        "query string": lambda body: read_parameters(parse_query(body), RESERVED),
        "sort": lambda body: read_sort(body.decode("latin-1")),
        "fields": lambda body: read_fields(body.decode("latin-1")),
        "segment": lambda body: from_segment(body.decode("latin-1")),
        "tags": lambda body: parse_tags("If-Match", body.decode("latin-1")),
        "trace": lambda body: trace.begin(body.decode("latin-1"), body.decode("latin-1")),
        "key": lambda body: parse(body.decode("latin-1")),
        "rows": read_rows,
        "schema": compile_schema,
        "merge patch": _patch(media_types.MERGE_PATCH),
        "JSON Patch": _patch(media_types.JSON_PATCH),
        "update": _patch(media_types.UPDATE),
    }
)
UNITS = st.sampled_from(
    [
        *(
            b"[",
            b"{",
            b'{"a":',
            b'{"$and":[',
            b'{"$not":',
            b"]",
            b"}",
            b"1,",
            b'"a",',
            b"[],",
            b"{},",
        ),
        *(
            b'"',
            b"\\",
            b'\\"',
            b'"a":1,',
            b'"$a":1,',
            b'"a":{"$numberLong":"1"},',
            b"9",
            b" ",
            b"\n",
        ),
        *(
            b"1e999,",
            b"9" * 20 + b",",
            b'"\\u0000",',
            b'{"a":1}\n',
            b"&a=1",
            b"&a[in]=1,2",
            b"a.",
            b"a,",
        ),
        *(
            b"-a,",
            b'{"$oid":"x"},',
            b'W/"a",',
            b",",
            b"%20",
            b"%",
            b"\xff",
            b'{"op":"test","path":"/"},',
        ),
        *(
            b'{"$match":{"a":1}},',
            b'{"$limit":1},',
            b'{"$add":[1,1]},',
            b"-",
            b"/a",
            b"\xc3\xa9",
            b"~",
        ),
    ]
)
LEADS = st.sampled_from(
    [
        *(
            b"",
            b"",
            b"[",
            b'{"a":',
            b'{"a":[',
            b'{"a":"',
            b'{"filter":{"a":{"$in":[',
            b"a=",
            b"a[in]=",
        ),
        *(
            b'{"a":{"$in":[',
            b'{"$set":{"a":[',
            b'{"$set":{',
            b'{"$or":[',
            b'[{"$match":{',
            b'{"allOf":[',
        ),
        *(
            b'{"enum":[',
            b'[{"op":"add","path":"',
            b'[{"op":"add","path":"/b","value":[',
            b'"',
            b"filter=",
        ),
    ]
)
TAILS = st.sampled_from(
    [b"", b"", b"1]", b"]}", b"1]}", b'"}', b"]}}", b"}]", b'"}]', b"1]}]", b"x"]
)


@pytest.mark.parametrize("name", PARSERS)
@fuzz(200)
@given(LEADS, UNITS, UNITS, TAILS)
def test_growth(name: str, lead: bytes, unit: bytes, other: bytes, tail: bytes) -> None:
    """No parser takes steps or memory that grow faster than its input does."""
    parse_it = PARSERS[name]

    def body(times: int) -> bytes:
        return lead + unit * times + other * times + tail

    short, long = body(100), body(400)
    # Twice as much again is allowed for, and what the careful look at a text costs that only the
    # longer one is given. Were steps the square of the length, they would be sixteen times as many.
    assert lines_run(parse_it, long) <= 8 * lines_run(parse_it, short) + 4 * len(long) + 2_000
    assert bytes_held(parse_it, long) <= 8 * bytes_held(parse_it, short) + 300 * len(long) + 100_000
