"""JSON Merge Patch: the standard's table, the id, and what keeps its bytes (RFC 7396)."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest
from bson.int64 import Int64
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import InvalidPatch
from demijohn.formats.bson_values import (
    DOCUMENT,
    NULL,
    Node,
    Value,
    close_node,
    encode,
    from_python,
    open_document,
)
from demijohn.patches import merge

KEYS = st.sampled_from(["", "a", "b", "a.b", "0"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)

TABLE: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""RFC 7396, appendix A: original, patch, result."""

TWICE = Value(DOCUMENT, bytes.fromhex("13000000 10780001000000 10780002000000 00"))
"""A document that has the key x twice."""


def stored(document: dict[str, Any]) -> dict[str, Node]:
    """A document as it is read from the database and opened."""
    return open_document(bson.encode(document))


def merged(document: dict[str, Any], patch: Any) -> dict[str, Any]:
    """A document after a patch in plain JSON."""
    return bson.decode(encode(merge.apply(stored(document), from_python(patch))))


def tree_of(value: Any) -> Node:
    """A patch as the reader of Extended JSON gives it: containers opened, all else closed."""
    if isinstance(value, dict):
        return {key: tree_of(child) for key, child in value.items()}
    if isinstance(value, list):
        return [tree_of(child) for child in value]
    return from_python(value)


def by_the_book(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2: the pseudo code as it stands there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = by_the_book(result.get(name), value)
    return result


@pytest.mark.parametrize(("original", "patch", "result"), TABLE)
def test_the_table_of_the_standard(original: Any, patch: Any, result: Any) -> None:
    """Each line of RFC 7396, appendix A, holds below a member, where any value may stand."""
    expected = {} if patch is None else {"m": result}
    assert merged({"m": original}, {"m": patch}) == expected


@pytest.mark.parametrize(
    ("original", "patch", "result"), [line for line in TABLE if isinstance(line[0], dict)]
)
def test_the_table_for_whole_documents(original: Any, patch: Any, result: Any) -> None:
    """Each line holds for the document too, but that a document stays an object."""
    if isinstance(patch, dict):
        assert merged(original, patch) == result
        return
    with pytest.raises(InvalidPatch) as caught:
        merged(original, patch)
    assert [fault.pointer for fault in caught.value.faults] == [""]


@given(OBJECTS, OBJECTS)
def test_every_patch_does_what_the_pseudo_code_does(
    document: dict[str, Any], patch: dict[str, Any]
) -> None:
    """Any patch of any document: the result, the order of its members and the types of numbers."""
    expected = json.dumps(by_the_book(document, patch))
    assert json.dumps(merged(document, patch)) == expected
    opened = merge.apply(stored(document), tree_of(patch))
    assert json.dumps(bson.decode(encode(opened))) == expected


@given(OBJECTS, OBJECTS)
def test_the_arguments_stay_as_they_are(document: dict[str, Any], patch: dict[str, Any]) -> None:
    """Neither the document nor the patch is changed, opened as they may be."""
    target, change = tree_of(document), tree_of(patch)
    assert isinstance(target, dict)
    merge.apply(target, change)
    assert (target, change) == (tree_of(document), tree_of(patch))


@given(OBJECTS)
def test_an_opened_document_is_merged_as_a_closed_one(document: dict[str, Any]) -> None:
    """It makes no difference which of the containers have been opened before."""
    target = tree_of(document)
    assert isinstance(target, dict)
    patch = from_python({"a": {"b": 1}, "b": {"a": None}})
    assert encode(merge.apply(target, patch)) == encode(merge.apply(stored(document), patch))


def test_nulls_in_arrays_stay() -> None:
    """An array replaces what is there whole; null and objects with null in it are values."""
    patch = {"a": [None, {"b": None}]}
    assert merged({"a": [1, 2, 3]}, patch) == patch


@pytest.mark.parametrize(
    ("document_id", "given_id"),
    [
        (ObjectId("0123456789abcdef01234567"), "0123456789abcdef01234567"),
        ("ada", "ada"),
        (Int64(5), 5),
        (5, 5.0),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
    ],
)
def test_the_id_may_be_named(document_id: object, given_id: object) -> None:
    """A patch made from the document as it was read may hold its id, whose type then stays."""
    before = stored({"_id": document_id, "a": 1})
    after = merge.apply(before, from_python({"a": 2, "_id": given_id}))
    assert encode(after) == bson.encode({"_id": document_id, "a": 2})


@pytest.mark.parametrize("given_id", [None, "eva", True, {"a": 1}, [1], "0123456789abcdef01234567"])
def test_the_id_stays(given_id: object) -> None:
    """A patch that would take the id away or make it another is refused, and told where."""
    with pytest.raises(InvalidPatch) as caught:
        merged({"_id": 1, "a": 1}, {"_id": given_id})
    assert [fault.pointer for fault in caught.value.faults] == ["/_id"]


def test_a_part_of_the_id_stays_too() -> None:
    """An object as id is neither extended nor cut down."""
    for change in ({"b": 1}, {"a": None}, {"a": 2}):
        with pytest.raises(InvalidPatch):
            merged({"_id": {"a": 1}}, {"_id": change})


def test_what_is_not_touched_keeps_its_bytes() -> None:
    """Types that plain JSON cannot say, and a key that is there twice, survive beside a change."""
    symbol, undefined = Value(0x0E, b"\2\0\0\0s\0"), Value(0x06, b"")
    document: dict[str, Node] = {
        "_id": from_python(1),
        "in": {"twice": TWICE, "s": symbol, "a": from_python(1)},
        "u": undefined,
        "also": TWICE,
    }
    closed = {name: close_node(node) for name, node in document.items()}
    after = merge.apply(dict(closed), from_python({"in": {"a": 2}, "also": {"gone": None}}))
    inner = {"twice": TWICE, "s": symbol, "a": from_python(2)}
    assert encode(after) == encode({**closed, "in": close_node({**inner})})


def test_an_object_that_is_opened_in_vain_keeps_its_bytes() -> None:
    """A patch that changes nothing in an object leaves the object's duplicate keys in place."""
    for patch in ({}, {"gone": None}, {"x": None, "y": 1}):
        after = merge.apply({"_id": from_python(1), "d": TWICE}, from_python({"d": patch}))
        assert (after["d"] == TWICE) is ("x" not in patch)


def test_null_is_told_from_what_looks_like_it() -> None:
    """Only null takes a member out: undefined, which Extended JSON can say, is a value."""
    after = merge.apply(stored({"a": 1, "b": 1}), {"a": Value(NULL, b""), "b": Value(0x06, b"")})
    assert after == {"b": Value(0x06, b"")}
