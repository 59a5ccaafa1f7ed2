"""Cutting JSON into records: whatever the layout and the chunks, the same records come out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.formats.json_stream import (
    BrokenArray,
    RecordSplitter,
    RecordTooLarge,
    SplitError,
    Truncated,
)

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
)
KEYS = st.text(max_size=5) | st.sampled_from(['"', "\\", "{", "]", "\n", '\\"', ",", ":"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def split(chunks: Iterable[bytes], limit: int = 1_000_000) -> list[bytes]:
    """All records of an input."""
    splitter = RecordSplitter(limit)
    records = [record for chunk in chunks for record in splitter.feed(chunk)]
    return records + list(splitter.finish())


def collect(chunks: Iterable[bytes], limit: int = 1_000_000) -> tuple[list[bytes], str]:
    """The records up to an error, and the error's name."""
    splitter = RecordSplitter(limit)
    records: list[bytes] = []
    try:
        for chunk in chunks:
            records.extend(splitter.feed(chunk))
        records.extend(splitter.finish())
    except SplitError as error:
        return records, type(error).__name__
    return records, ""


def chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in chunks of the sizes given, in turn."""
    chunks = []
    position = turn = 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        chunks.append(data[position : position + size])
        position += size
        turn += 1
    return chunks


def spell(records: list[dict[str, object]], layout: str) -> bytes:
    """The records in a layout."""
    match layout:
        case "lines":
            text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records)
        case "crlf, last line open":
            text = "\r\n\r\n".join(json.dumps(each) for each in records)
        case "indented objects":
            text = "\n".join(json.dumps(each, indent=2) for each in records)
        case "objects over lines, not indented":
            texts = [json.dumps(each, indent=0, separators=(",", ":\n")) for each in records]
            text = "\n".join(texts) + "\n"
        case "array":
            text = json.dumps(records)
        case "indented array":
            text = "\ufeff \n" + json.dumps(records, indent=4, ensure_ascii=False) + "\n \r\n"
        case _:
            raise AssertionError(layout)
    return text.encode("utf-8", "surrogatepass")


LAYOUTS = [
    "lines",
    "crlf, last line open",
    "indented objects",
    "objects over lines, not indented",
    "array",
    "indented array",
]


@given(
    st.lists(OBJECTS, max_size=5),
    st.sampled_from(LAYOUTS),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_records_survive_any_layout_and_chunks(
    records: list[dict[str, object]], layout: str, sizes: list[int]
) -> None:
    """Objects come out one by one, equal, in order, from every layout and every chunking."""
    found = split(chunked(spell(records, layout), sizes))
    assert [json.loads(each) for each in found] == records


@given(st.lists(VALUES, max_size=5), st.lists(st.integers(1, 20), min_size=1, max_size=3))
def test_array_elements_of_any_kind(values: list[object], sizes: list[int]) -> None:
    """An array's elements need not be objects: what they are is for the service to judge."""
    found = split(chunked(json.dumps(values).encode(), sizes))
    assert [json.loads(each) for each in found] == values


@given(
    st.text(alphabet='{}[]",:\\\n \ta1', max_size=40),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 30),
)
def test_the_chunks_never_matter(text: str, sizes: list[int], limit: int) -> None:
    """Malformed input too gives the same records and the same error however it is chunked."""
    data = text.encode()
    records, error = collect([data], limit)
    others, other_error = collect(chunked(data, sizes), limit)
    assert (others, bool(other_error)) == (records, bool(error))


@given(st.lists(OBJECTS, min_size=1, max_size=4), st.data())
def test_a_cut_array_is_never_whole(records: list[dict[str, object]], data: st.DataObject) -> None:
    """Wherever an array is cut, the records before are right and the end is Truncated."""
    whole = json.dumps(records).encode()
    end = data.draw(st.integers(1, len(whole) - 1))
    found, error = collect([whole[:end]])
    assert error == "Truncated"
    assert [json.loads(each) for each in found] == records[: len(found)]


@given(OBJECTS, st.data())
def test_a_cut_object_is_never_whole(record: dict[str, object], data: st.DataObject) -> None:
    """Wherever the last line is cut, it is Truncated and the line before it comes out."""
    last = json.dumps(record).encode()
    end = data.draw(st.integers(1, len(last) - 1))
    assert collect([b'{"first":1}\n' + last[:end]]) == ([b'{"first":1}'], "Truncated")


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"a":1',
        b'{"a":1,',
        b'{"a":"x}',
        b'{"a":"x\\',
        b'{"a":[1,2}',
        b'{"a":1]',
        b'{"a":1}}',
        b'{"a":1}{"b":2}',
        b"}",
        b'"',
        b"{",
        b"nonsense",
        b'{"a":{"b":1}, "c":[{',
    ],
)
def test_a_malformed_line_swallows_no_other(wrong: bytes) -> None:
    """A malformed line comes out as it stands, between its unharmed neighbours."""
    before, after = b'{"n":1}', b'{"n":2}'
    found = split([before + b"\n" + wrong + b"\n" + after + b"\n" + before])
    assert found == [before, wrong, after, before]


def test_a_malformed_object_over_lines_ends_at_the_next() -> None:
    """An object over lines with a string left open goes out whole, not in pieces."""
    wrong = b'{\n  "a": "x,\n  "b": [\n    {"c": 1}\n  ]\n}'
    assert split([wrong + b'\n{"n":2}\n']) == [wrong, b'{"n":2}']


def test_a_bracket_closed_by_another_does_not_free_what_it_holds() -> None:
    """A nested object of a malformed record does not come out as a record of its own."""
    wrong = b'{\n "a": [1},\n {"c": 1}\n]}'
    assert split([wrong + b'\n{"n":2}\n']) == [wrong, b'{"n":2}']


@pytest.mark.parametrize("data", [b"", b" \r\n\t\n", b"\xef\xbb\xbf", b"[]", b" [ \n ] \n"])
def test_no_records(data: bytes) -> None:
    """Empty input, blanks and an empty array have no records and are no error."""
    assert split([data]) == []
    assert split(chunked(data, [1])) == []


@pytest.mark.parametrize(
    "data",
    [
        b"[1,,2]",
        b"[1,]",
        b"[,]",
        b"[,1]",
        b"[1}",
        b"[{]}",
        b'[{"a":1]]',
        b"[1] x",
        b"[1]\n[2]",
        b"[]]",
        b"[1],",
    ],
)
def test_a_broken_array_is_an_error(data: bytes) -> None:
    """Brackets that don't pair up, lone commas and data behind the array raise BrokenArray."""
    with pytest.raises(BrokenArray):
        split([data])
    with pytest.raises(BrokenArray):
        split(chunked(data, [1]))


@pytest.mark.parametrize("data", [b"[", b"[1", b"[1,", b'["]', b'[{"a":"]}', b"\n[ "])
def test_an_unclosed_array_is_truncated(data: bytes) -> None:
    """The end of the input inside an array raises Truncated, with the number of the record."""
    with pytest.raises(Truncated) as caught:
        split([data])
    assert caught.value.record == (2 if data == b"[1," else 1)


def test_more_after_the_array_in_a_later_chunk() -> None:
    """What follows an array is an error in whatever chunk it comes; blanks are none."""
    splitter = RecordSplitter()
    assert list(splitter.feed(b"[1]")) == [b"1"]
    assert list(splitter.feed(b" \n")) == []
    with pytest.raises(BrokenArray, match="follows the array"):
        list(splitter.feed(b"\n 2"))


@pytest.mark.parametrize("layout", [b'[{"n":1},%b]', b'{"n":1}\n%b\n'])
def test_a_record_over_the_limit(layout: bytes) -> None:
    """A record of the limit's size passes, one byte more is RecordTooLarge with its number."""
    fits = b'{"a":"%b"}' % (b"x" * 92)
    assert len(fits) == 100
    assert split([layout % fits], limit=100) == [b'{"n":1}', fits]
    for chunks in ([layout % (fits + b" ")], chunked(layout % (b'{"a":"' + b"x" * 200), [7])):
        with pytest.raises(RecordTooLarge) as caught:
            split(chunks, limit=100)
        assert caught.value.record == 2


def test_endless_input_without_records_is_bounded() -> None:
    """Blanks without end are passed over; an open string without end meets the limit."""
    splitter = RecordSplitter(limit=1_000)
    for _ in range(100):
        assert list(splitter.feed(b" \n" * 1_000)) == []
    _, error = collect(itertools.chain([b'{"a":"'], itertools.repeat(b"x" * 100)), limit=1_000)
    assert error == "RecordTooLarge"


def test_records_come_out_unchanged() -> None:
    """Blanks within a record, odd spellings and bytes that are no UTF-8 are left alone."""
    records = [b'{ "a" : 1.50e+1 ,\t"b":"\xff\\u00e9" }', b'{"a":1,"a":2}']
    assert split([b"[ " + b" , ".join(records) + b" ]"]) == records
    assert split([b"\n".join(records)]) == records
