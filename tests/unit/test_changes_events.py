"""Live changes as text: events, ids, and the filter that is asked of them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import bson
import pytest
from bson.int64 import Int64
from hypothesis import given
from hypothesis import strategies as st

from demijohn.documents.backlog import Position
from demijohn.documents.change_events import Shape, read_id, render, write_id
from demijohn.errors import BadCursor, InvalidFilter
from demijohn.formats import event_stream
from demijohn.formats.spelling import Spelling
from demijohn.query.beneath import beneath
from demijohn.query.fields import read_fields
from demijohn.query.filters import read_filter
from demijohn.store.changes import Change
from tests.support.events import Event, parse

OBJECT_ID = bson.ObjectId("65a1f0c2b9d4e83a7c15f206")


def _change(operation: str, key: object, document: object) -> Change:
    return Change(
        bson.encode({"_data": "8265"}),
        7,
        operation,
        None if key is None else bson.encode({"_id": key}),
        None if document is None else bson.encode(document),  # type: ignore[arg-type]
    )


def _read(text: bytes) -> Event:
    *_, event = parse(iter(text.decode().splitlines()))
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize(
    ("change", "spelling", "data"),
    [
        (
            _change("insert", OBJECT_ID, {"_id": OBJECT_ID, "n": Int64(1)}),
            Spelling.PLAIN,
            {"id": str(OBJECT_ID), "document": {"_id": str(OBJECT_ID), "n": 1}},
        ),
        (
            _change("update", OBJECT_ID, {"n": Int64(1)}),
            Spelling.CANONICAL,
            {"id": {"$oid": str(OBJECT_ID)}, "document": {"n": {"$numberLong": "1"}}},
        ),
        (_change("update", "one", None), Spelling.PLAIN, {"id": "one", "document": None}),
        (_change("delete", "a\nb", None), Spelling.RELAXED, {"id": "a\nb", "document": None}),
        (_change("drop", None, None), Spelling.CANONICAL, {"id": None, "document": None}),
    ],
)
def test_a_change_is_one_event(change: Change, spelling: Spelling, data: object) -> None:
    """Its name, its place, and one line of JSON in the spelling that was asked for."""
    event = _read(render("things", change, Shape(spelling)))
    assert isinstance(data, dict)
    assert event.name == change.operation
    assert event.data == {"operation": change.operation, **data}
    assert read_id("things", event.id or "") == Position(change.token, change.time)


def test_fields_are_of_the_document_alone() -> None:
    """What is left out of it is still known by the id beside it."""
    change = _change("insert", 1, {"_id": 1, "a": {"b": 2, "c": 3}})
    event = _read(render("things", change, Shape(Spelling.PLAIN, read_fields("a.b,-_id"))))
    assert event.data == {"operation": "insert", "id": 1, "document": {"a": {"b": 2}}}


_POSITIONS = st.builds(Position, st.binary(max_size=300), st.integers(0, 2**64 - 1))


@given(st.text(min_size=1), _POSITIONS)
def test_an_id_is_read_as_it_was_written(collection: str, position: Position) -> None:
    """Every position, for its own collection; and it is text that a header and a URL take."""
    text = write_id(collection, position)
    assert read_id(collection, text) == position
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()
    with pytest.raises(BadCursor):
        read_id(collection + "x", text)


@given(_POSITIONS, st.data())
def test_a_changed_id_is_another_or_none(position: Position, data: st.DataObject) -> None:
    """Whatever is done to an id, it is refused, or is the one way to write what it then says."""
    text = write_id("things", position)
    at = data.draw(st.integers(0, len(text) - 1))
    wrong = text[:at] + data.draw(st.text(max_size=2)) + text[at + 1 :]
    try:
        assert write_id("things", read_id("things", wrong)) == wrong
    except BadCursor:
        assert wrong != text


@pytest.mark.parametrize(
    "text", ["", "A", "=", "AA==", "\u00e9", "\ud800", "A" * 10_000, "AVDnIeSc AX"]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    """With a problem, whatever it is."""
    with pytest.raises(BadCursor):
        read_id("things", text)


def test_there_is_one_way_to_write_an_id() -> None:
    """Bits that base64 does not use, and padding, are refused."""
    text = write_id("things", Position(b"\x00" * 2))
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert urlsafe_b64encode(raw).decode().rstrip("=") == text
    for wrong in (text + "=", text[:-1] + chr(ord(text[-1]) + 1)):
        with pytest.raises(BadCursor):
            read_id("things", wrong)


def test_a_comment_may_have_a_place() -> None:
    """Clients pass over the comment, and remember the id."""
    blocks = event_stream.retry(5) + event_stream.note("here", "abc") + event_stream.note("x")
    assert list(parse(iter(blocks.decode().splitlines()))) == ["abc", "abc"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {}),
        ({"a": 1}, {"in.a": 1}),
        ({"a.b": {"$gt": 1}, "_id": 5}, {"in.a.b": {"$gt": 1}, "in._id": 5}),
        (
            {"$or": [{"a": 1}, {"$and": [{"b": 2}, {"c": 3}]}]},
            {"$or": [{"in.a": 1}, {"$and": [{"in.b": 2}, {"in.c": 3}]}]},
        ),
        (
            {"$nor": [{"a": {"$elemMatch": {"b": {"$in": [1]}}}}]},
            {"$nor": [{"in.a": {"$elemMatch": {"b": {"$in": [1]}}}}]},
        ),
        ({"a": {"$not": {"$in": [1]}}}, {"in.a": {"$not": {"$in": [1]}}}),
    ],
)
def test_a_filter_goes_beneath(asked: object, found: object) -> None:
    """Every path is led to the document; what is inside a path's conditions stays as it is."""
    assert bson.decode(beneath("in", read_filter(json.dumps(asked).encode()))) == found


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"$expr": True}, "/$expr"),
        ({"$or": [{"a": 1}, {"$expr": {"$eq": [1, 1]}}]}, "/$or/1/$expr"),
    ],
)
def test_what_no_change_can_be_asked_is_refused(asked: object, pointer: str) -> None:
    """An expression reads the whole document, which a change is not."""
    with pytest.raises(InvalidFilter) as refused:
        beneath("in", read_filter(json.dumps(asked).encode()))
    assert [each.pointer for each in refused.value.faults] == [pointer]
