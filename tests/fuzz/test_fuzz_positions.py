"""Positions that clients bring back: cursors of pages, ids of events, tags; and ids in paths."""

from __future__ import annotations

from urllib.parse import unquote

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from demijohn.documents import change_events
from demijohn.documents.backlog import Position as InChanges
from demijohn.documents.versions import Tags, parse_tags
from demijohn.errors import BadCursor, BadParameter, InternalError, Problem, Unsortable
from demijohn.formats.bson_values import Value, elements, encode, from_python, to_python
from demijohn.formats.id_values import id_refusal
from demijohn.formats.ids import Unaddressable, from_segment, to_segment
from demijohn.formats.opaque import read_opaque, write_opaque
from demijohn.query.cursor import (
    ORDERED,
    Position,
    check_place,
    position_of,
    read_cursor,
    write_cursor,
)
from demijohn.query.filters import Filter
from demijohn.query.keyset import after
from demijohn.query.sort import read_sort
from tests.support.fuzz import attempt, fuzz
from tests.support.fuzz_bson import WRAPPED, documents, mangled
from tests.support.fuzz_queries import WORDS
from tests.support.fuzz_texts import dumped, spoilt

ALL = Filter(encode({}))
SORTS = st.sampled_from(["_id", "-_id", "a", "-a", "a,b", "-b,a", "a.b", "a.b,-_id", "b,a.a"])
LETTERS = st.sampled_from("ABab01-_=+/ .\n\0é")


@st.composite
def changed(draw: st.DrawFn, text: str) -> str:
    """A text with one or two of its letters changed, added or left out; or another one."""
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(LETTERS | st.just("")) + text[at + draw(st.integers(0, 2)) :]
    return draw(st.sampled_from([text, text, text * 2, text.rstrip("A"), text + "=" * 3]))


@fuzz(2000)
@given(documents(), SORTS, st.data())
def test_cursors(document: bytes, text: str, data: st.DataObject) -> None:
    """A cursor leads back to its place, in its own list alone; one that was changed is told."""
    sort = read_sort(text)
    position = attempt(lambda: position_of(document, sort), Unsortable)
    if isinstance(position, Problem):
        return
    check_place(document, sort)
    cursor = write_cursor(position, "people", ALL, sort)
    found = attempt(lambda: read_cursor(cursor, "people", ALL, sort), BadCursor)
    # What others have stored may have no value in the driver: its page goes no further.
    assert found == position or not all(map(can_be_read, position.values))
    assert isinstance(
        attempt(lambda: read_cursor(cursor, "others", ALL, sort), BadCursor), BadCursor
    )
    if found == position:
        check_ranges(position, text)
    other = data.draw(changed(cursor))
    read = attempt(lambda: read_cursor(other, "people", ALL, sort), BadCursor)
    assert isinstance(read, Problem) or write_cursor(read, "people", ALL, sort) == other


def can_be_read(value: Value) -> bool:
    """Whether the driver makes a value of it."""
    return not isinstance(attempt(lambda: to_python(value), InternalError), Problem)


def check_ranges(position: Position, text: str) -> None:
    """Hold what follows a position to being questions in BSON, each for a path of the sort."""
    sort = read_sort(text)
    for range_ in after(position, sort):
        asked = bson.decode(range_.bson, CodecOptions(RawBSONDocument))
        assert asked.keys() <= {"$and", *sort.paths}


@fuzz(2000)
@given(documents() | mangled(documents()), SORTS)
def test_forged_cursors(values: bytes, text: str) -> None:
    """A cursor with any values at all is one that was written so, or it is refused."""
    sort = read_sort(text)
    head = read_opaque(write_cursor(Position((from_python(1),)), "people", ALL, sort))
    assert head is not None
    renamed = _renamed(values)
    cursor = write_opaque(head[:17] + renamed)
    found = attempt(lambda: read_cursor(cursor, "people", ALL, sort), BadCursor)
    if isinstance(found, Position):
        assert len(found.values) == len(sort.keys)
        assert ORDERED.issuperset(value.kind for value in found.values)
        assert write_cursor(found, "people", ALL, sort) == cursor
        check_ranges(found, text)


def _renamed(document: bytes) -> bytes:
    """The same values under the names that a position has, where that can be."""
    found = attempt(lambda: [value for _, value in elements(document)], InternalError)
    if isinstance(found, Problem):
        return document
    return encode({str(at): value for at, value in enumerate(found)})


@fuzz(1500)
@given(st.binary(max_size=40), st.integers(0, 2**64 - 1), st.data())
def test_ids_of_events(token: bytes, time: int, data: st.DataObject) -> None:
    """The id of an event leads back to it, of its own collection alone; any other text is told."""
    read = change_events.read_id
    text = change_events.write_id("people", InChanges(token, time))
    assert read("people", text) == InChanges(token, time)
    assert isinstance(attempt(lambda: read("others", text), BadCursor), BadCursor)
    other = data.draw(changed(text) | st.text(max_size=20) | WORDS)
    found = attempt(lambda: read("people", other), BadCursor)
    assert isinstance(found, Problem) or change_events.write_id("people", found) == other


TAGS = st.lists(
    st.one_of(
        st.text("abc.-", max_size=5).map(lambda text: f'"{text}"'),
        st.text("abc.-", max_size=5).map(lambda text: f'W/"{text}"'),
        st.sampled_from(
            ["", " ", "*", '"', 'w/"a"', '"a" "b"', '"é"', '"a b"', '"\0"', '"€"', "a"]
        ),
    ),
    max_size=5,
).map(", ".join)


@fuzz(1000)
@given(TAGS | st.text(max_size=20))
def test_tags(text: str) -> None:
    """A condition is any, or the tags that stand in it between quotes, or a bad parameter."""
    found = attempt(lambda: parse_tags("If-Match", text), BadParameter)
    if isinstance(found, Tags):
        assert found.any or found.strong | found.weak
        spelt = [f'"{each}"' for each in found.strong] + [f'W/"{each}"' for each in found.weak]
        assert parse_tags("If-Match", "*" if found.any else ",,".join(spelt)) == found


SEGMENTS = st.one_of(
    spoilt(dumped(WRAPPED), most=1).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    dumped(st.dictionaries(st.sampled_from(["a", "$a", ""]), WRAPPED)).map(bytes.decode),
    WORDS,
    st.text(max_size=10),
    st.sampled_from(
        ['{"a":' * 101 + "1" + "}" * 101, "\ud800", '"\ud800"', '"' + "x" * 2000 + '"']
    ),
)


@fuzz(2000)
@given(SEGMENTS)
def test_segments(segment: str) -> None:
    """Any segment is an id that a filter may hold, and that a segment leads back to; or is told."""
    found = attempt(lambda: from_segment(segment), BadParameter)
    if isinstance(found, Value):
        assert id_refusal(found) is None
        check_way_back(found)


@fuzz(1500)
@given(documents())
def test_ids_that_others_have_stored(document: bytes) -> None:
    """What stands as an `_id` has one segment, which leads back to it alone, or has none."""
    for _, value in elements(document):
        try:
            to_segment(value)
        except Unaddressable:
            continue
        check_way_back(value)


def check_way_back(document_id: Value) -> None:
    """Hold an id's segment to leading back to it, in its type and its bytes."""
    segment = to_segment(document_id)
    assert segment.isascii()
    assert not set(segment) & set('/?#%{}" \\').difference("%")
    assert from_segment(unquote(segment, errors="strict")) == document_id
