"""JSON Patch: what is no patch, and what bounds a document while one is applied."""

from __future__ import annotations

import tracemalloc
from typing import Any

import bson
import pytest
from bson.int64 import Int64
from bson.objectid import ObjectId

from demijohn.errors import InvalidPatch, TooLarge
from demijohn.formats.bson_values import (
    DOCUMENT,
    Node,
    Value,
    encode,
    from_python,
    open_document,
)
from demijohn.patches import json_patch
from demijohn.settings import LARGEST_DOCUMENT, MIB

HEX = "0123456789abcdef01234567"
TWICE = Value(DOCUMENT, bytes.fromhex("13000000 10780001000000 10780002000000 00"))
"""A document that has the key x twice."""


def operation(op: str, path: str, **more: Any) -> dict[str, Any]:
    """One operation; `source` is its `from`."""
    if "source" in more:
        more["from"] = more.pop("source")
    return {"op": op, "path": path, **more}


def patched(document: dict[str, Any], *operations: Any) -> bytes:
    """BSON of a document after operations."""
    parsed = json_patch.parse(list(operations))
    return encode(json_patch.apply(open_document(bson.encode(document)), parsed))


def refused(document: dict[str, Any], *operations: Any) -> InvalidPatch:
    """What operations are refused with."""
    with pytest.raises(InvalidPatch) as caught:
        patched(document, *operations)
    return caught.value


def pointers(problem: InvalidPatch) -> list[str]:
    """Where a problem's faults are."""
    return [fault.pointer for fault in problem.faults]


def nested(levels: int) -> Any:
    """An array of so many levels."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("body", [None, True, 1, "x", {}, {"op": "add", "path": "", "value": {}}])
def test_a_patch_is_an_array(body: Any) -> None:
    """Anything else is refused as a whole."""
    with pytest.raises(InvalidPatch) as caught:
        json_patch.parse(body)
    assert pointers(caught.value) == [""]


@pytest.mark.parametrize(
    ("member", "pointer"),
    [
        (1, "/1"),
        (None, "/1"),
        ([], "/1"),
        ({}, "/1"),
        ({"path": "/a", "value": 1}, "/1"),
        ({"op": "add", "value": 1}, "/1"),
        ({"op": "add", "path": "/a"}, "/1"),
        ({"op": "replace", "path": "/a"}, "/1"),
        ({"op": "test", "path": "/a"}, "/1"),
        ({"op": "copy", "path": "/a"}, "/1"),
        ({"op": "move", "path": "/a"}, "/1"),
        ({"op": 1, "path": "/a"}, "/1/op"),
        ({"op": None, "path": "/a"}, "/1/op"),
        ({"op": "", "path": "/a"}, "/1/op"),
        ({"op": "Add", "path": "/a", "value": 1}, "/1/op"),
        ({"op": "spam", "path": "/a", "value": 1}, "/1/op"),
        ({"op": "remove", "path": 1}, "/1/path"),
        ({"op": "remove", "path": "a"}, "/1/path"),
        ({"op": "remove", "path": "/~2"}, "/1/path"),
        ({"op": "copy", "path": "/a", "from": None}, "/1/from"),
        ({"op": "copy", "path": "/a", "from": "b"}, "/1/from"),
        ({"op": "move", "path": "/a/b", "from": "/a"}, "/1/path"),
        ({"op": "add", "path": "/a", "value": {"$b": 1}}, "/1/value/$b"),
        ({"op": "replace", "path": "/a", "value": [{"b\0": 1}]}, "/1/value/0/b\0"),
        ({"op": "add", "path": "/a", "value": 2**63}, "/1/value"),
    ],
)
def test_what_is_no_operation(member: Any, pointer: str) -> None:
    """Each fault of form is found before the document is read, and told with its place."""
    with pytest.raises(InvalidPatch) as caught:
        json_patch.parse([operation("remove", "/a"), member])
    assert pointers(caught.value) == [pointer]
    assert caught.value.extra == {"operation": 1}


def test_faults_of_form_are_told_together() -> None:
    """Up to 20 operations that are none are named at once, the first of them in the detail."""
    fine = operation("remove", "/a")
    with pytest.raises(InvalidPatch) as caught:
        json_patch.parse([fine, 1, fine, {"op": "x"}] + [2] * 50)
    assert pointers(caught.value) == ["/1", "/3/op", *(f"/{n}" for n in range(4, 22))]
    assert caught.value.extra == {"operation": 1}


def test_unknown_members_are_passed_over() -> None:
    """What the standard does not know of an operation, or not of this one, changes nothing."""
    remove = {"op": "remove", "path": "/a", "value": {"$b": 1}, "from": 5, "comment": "x"}
    assert patched({"a": 1, "b": 2}, remove) == bson.encode({"b": 2})


def test_operations_are_bounded() -> None:
    """There are at most 100; none at all is a patch too."""
    assert patched({"a": 1}) == bson.encode({"a": 1})
    hundred = [operation("test", "/a", value=1)] * 100
    assert patched({"a": 1}, *hundred) == bson.encode({"a": 1})
    assert pointers(refused({"a": 1}, *hundred, hundred[0])) == [""]


@pytest.mark.parametrize("source", ["", "/a"])
def test_doubling_is_stopped_before_it_is_made(source: str) -> None:
    """Copies that double a document fail where it passes 16 MiB, and take no memory on the way."""
    paths = ["/a/-" if source else f"/b{n}" for n in range(22)]
    parsed = json_patch.parse([operation("copy", path, source=source) for path in paths])
    document = open_document(bson.encode({"a": ["0123456789abcdef"]}))
    tracemalloc.start()
    with pytest.raises(TooLarge) as caught:
        json_patch.apply(document, parsed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    at = caught.value.extra["operation"]
    assert isinstance(at, int)
    assert len(encode(json_patch.apply(document, parsed[:at]))) <= LARGEST_DOCUMENT
    assert peak < MIB
    assert pointers_of_size(caught.value) == [f"/{at}"]


def pointers_of_size(problem: TooLarge) -> list[str]:
    """Where the document became too large."""
    return [fault.pointer for fault in problem.faults]


def test_a_document_may_be_as_large_as_mongodb_takes() -> None:
    """The bound is exact: 16 MiB of BSON pass, one byte more does not."""
    room = LARGEST_DOCUMENT - len(bson.encode({"_id": 1, "a": "", "b": ""}))
    document = {"_id": 1, "a": "x" * (room // 2)}
    last = "y" * (room - room // 2)
    exact = patched(document, operation("add", "/b", value=last))
    assert len(exact) == LARGEST_DOCUMENT
    with pytest.raises(TooLarge):
        patched(document, operation("add", "/b", value=last + "y"))


def test_a_document_stays_small_at_every_step() -> None:
    """Too large for a moment is too large: a later operation does not make it good."""
    document = {"a": "x" * (9 * MIB)}
    steps = [operation("copy", "/b", source="/a"), operation("remove", "/a")]
    with pytest.raises(TooLarge) as caught:
        patched(document, *steps)
    assert caught.value.extra == {"operation": 0}
    assert patched(document, operation("move", "/b", source="/a")) == bson.encode(
        {"b": document["a"]}
    )


def test_depth_is_bounded_for_what_is_given() -> None:
    """A value reaches to level 100 from where it is put, and no further."""
    assert patched({}, operation("add", "/a", value=nested(99))) == bson.encode({"a": nested(99)})
    problem = refused({}, operation("add", "/a", value=nested(100)))
    assert pointers(problem) == ["/0/path"]
    inner: Any = {"a": [[]]}
    assert patched(inner, operation("add", "/a/0/0", value=nested(97)))
    for op in ("add", "replace"):
        value = operation(op, "/a/0", value=nested(99))
        assert pointers(refused(inner, value)) == ["/0/path"]


@pytest.mark.parametrize("op", ["copy", "move"])
def test_depth_is_bounded_for_what_is_copied_and_moved(op: str) -> None:
    """A value that would come to lie too deep is refused, opened or closed, by its operation."""
    fits, deep = nested(98), nested(99)
    place = operation(op, "/b/c", source="/a")
    assert patched({"a": fits, "b": {}}, place)
    assert pointers(refused({"a": deep, "b": {}}, place)) == ["/0/path"]
    opening = operation("add", "/a/0/0/-", value=1)
    assert patched({"a": fits, "b": {}}, opening, place)
    assert pointers(refused({"a": deep, "b": {}}, opening, place)) == ["/1/path"]


def test_doubling_of_depth_is_stopped() -> None:
    """Copies of a value into its own deepest place end at level 100, not in a recursion."""
    steps = [operation("copy", "/a" + "/0" * (2**n), source="/a") for n in range(8)]
    problem = refused({"a": [[]]}, *steps)
    assert problem.extra == {"operation": 6}


def test_what_others_have_stored_deeper_can_be_changed() -> None:
    """A document of 150 levels can be changed beside and in them, and made shallower."""
    document = {"a": {"b": nested(148)}, "c": 1}
    assert patched(document, operation("replace", "/c", value=2)) == bson.encode(
        {**document, "c": 2}
    )
    assert patched(document, operation("move", "/d", source="/a/b")) == bson.encode(
        {"a": {}, "c": 1, "d": nested(148)}
    )
    deepest = "/a/b" + "/0" * 147
    assert patched(document, operation("add", deepest + "/0", value=1))
    assert refused(document, operation("add", deepest + "/0", value=[])).extra == {"operation": 0}


@pytest.mark.parametrize(
    ("stored", "given"),
    [(ObjectId(HEX), HEX), (HEX, HEX), (Int64(5), 5), (5, 5.0), ({"a": 1},) * 2],
)
def test_the_id_may_be_written_again(stored: Any, given: Any) -> None:
    """An operation that writes the id as it was read leaves it in place and of its type."""
    expected = bson.encode({"_id": stored, "a": 1})
    document = {"_id": stored, "a": 1}
    for op in ("add", "replace", "test"):
        assert patched(document, operation(op, "/_id", value=given)) == expected
    whole = {"a": 1, "_id": given}
    assert patched(document, operation("replace", "", value=whole)) == expected
    copied = patched(document, operation("copy", "/b", source="/_id"))
    assert copied == bson.encode({**document, "b": stored})


def test_a_whole_document_without_id_keeps_it() -> None:
    """As in a replacement by PUT the id may be left out; it comes first in what is stored."""
    document = {"_id": 1, "a": {"b": 2}}
    for op in ("add", "replace"):
        step = operation(op, "", value={"c": 3})
        assert patched(document, step) == bson.encode({"_id": 1, "c": 3})
    assert patched(document, operation("move", "", source="/a")) == bson.encode({"_id": 1, "b": 2})


@pytest.mark.parametrize(
    "step",
    [
        operation("remove", "/_id"),
        operation("replace", "/_id", value=2),
        operation("add", "/_id", value=None),
        operation("replace", "/_id", value="1"),
        operation("replace", "/_id", value=True),
        operation("move", "/b", source="/_id"),
        operation("move", "/_id", source="/a"),
        operation("copy", "/_id", source="/a"),
        operation("add", "", value={"_id": 2}),
        operation("replace", "", value={"_id": None}),
        operation("copy", "", source="/a"),
    ],
)
def test_the_id_cannot_be_changed(step: Any) -> None:
    """An operation that takes the id away or makes it another is refused by its index."""
    document = {"_id": 1, "a": {"_id": 2}}
    problem = refused(document, operation("test", "/_id", value=1), step)
    assert (problem.detail, problem.extra) == ("The id cannot be changed.", {"operation": 1})
    assert pointers(problem) == ["/1"]


@pytest.mark.parametrize(
    "step",
    [
        operation("remove", "/_id/a"),
        operation("add", "/_id/b", value=1),
        operation("replace", "/_id/a", value=2),
        operation("move", "/b", source="/_id/a"),
    ],
)
def test_no_part_of_the_id_can_be_changed(step: Any) -> None:
    """An object as id is one value; a part may be written again as it is."""
    document = {"_id": {"a": 1}}
    assert pointers(refused(document, step)) == ["/0"]
    same = operation("replace", "/_id/a", value=1.0)
    assert patched(document, same) == bson.encode(document)


EXOTIC: dict[str, Node] = {
    "_id": from_python(1),
    "symbol": Value(0x0E, b"\2\0\0\0s\0"),
    "undefined": Value(0x06, b""),
    "pointer": Value(0x0C, b"\2\0\0\0c\0" + bytes(12)),
    "nan": Value(0x01, b"\1\0\0\0\0\0\xf8\xff"),
    "broken": Value(0x02, b"\2\0\0\0\xff\0"),
    "reference": from_python({"$ref": "c", "$id": ObjectId(HEX)}),
    "twice": TWICE,
    "array": Value(0x04, TWICE.payload),
}
"""What no Python value can say without loss, or what no parser gives."""


def test_what_is_not_touched_keeps_its_bytes() -> None:
    """Beside a change, and moved or copied, values of every type keep their bytes."""
    steps = json_patch.parse(
        [
            operation("add", "/in/new", value=1),
            operation("move", "/moved", source="/in/twice"),
            operation("copy", "/in/copied", source="/in"),
        ]
    )
    before: dict[str, Node] = {**EXOTIC, "in": dict(EXOTIC)}
    inner = {**EXOTIC, "new": from_python(1)}
    del inner["twice"]
    expected = {**EXOTIC, "in": {**inner, "copied": dict(inner)}, "moved": TWICE}
    assert encode(json_patch.apply(before, steps)) == encode(expected)


@pytest.mark.parametrize("op", ["test", "copy"])
def test_what_is_only_read_keeps_its_bytes(op: str) -> None:
    """A look into an object, or a copy out of it, does not put its duplicate keys right."""
    document: dict[str, Node] = {"a": TWICE, "b": from_python(2)}
    steps = json_patch.parse(
        [operation(op, "/b" if op == "copy" else "/a/x", source="/a/x", value=2)]
    )
    assert encode(json_patch.apply(document, steps)) == encode(document)


def test_values_are_tested_as_they_are_read() -> None:
    """A client can test for what it reads: ids, dates and the like in their plain spelling."""
    document = {"i": ObjectId(HEX), "l": Int64(2**53 + 1), "b": b"\1", "n": float("inf")}
    patched(
        document,
        operation("test", "/i", value=HEX),
        operation("test", "/l", value=2**53 + 1),
        operation("test", "/b", value="AQ=="),
        operation("test", "/n", value={"$numberDouble": "Infinity"}),
    )
    assert pointers(refused(document, operation("test", "/i", value=HEX.upper()))) == ["/0/value"]


def test_a_replaced_value_is_plain() -> None:
    """What is put in is what a plain document would have: a string stays one, 1.0 a double."""
    steps = [operation("replace", "/a", value=HEX), operation("add", "/b", value=[1, 1.0, 2**40])]
    assert patched({"a": ObjectId(HEX)}, *steps) == bson.encode(
        {"a": HEX, "b": [1, 1.0, Int64(2**40)]}
    )
