"""JSON Patch: the standard's examples, and each operation at its edges (RFC 6902)."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from demijohn.errors import InvalidPatch
from demijohn.formats.bson_values import encode, open_document
from demijohn.patches import json_patch

SWAPPED = {"/": 9, "~1": 10}


def patched(document: dict[str, Any], *operations: Any) -> dict[str, Any]:
    """A document after operations."""
    parsed = json_patch.parse(list(operations))
    return bson.decode(encode(json_patch.apply(open_document(bson.encode(document)), parsed)))


def refused(document: dict[str, Any], *operations: Any) -> str:
    """The pointer of the one fault for which operations are refused."""
    with pytest.raises(InvalidPatch) as caught:
        patched(document, *operations)
    (fault,) = caught.value.faults
    assert fault.detail == caught.value.detail
    assert caught.value.extra == {"operation": int(fault.pointer.split("/")[1])}
    return fault.pointer


def add(path: str, value: Any) -> dict[str, Any]:
    """An `add`."""
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> dict[str, Any]:
    """A `remove`."""
    return {"op": "remove", "path": path}


def replace(path: str, value: Any) -> dict[str, Any]:
    """A `replace`."""
    return {"op": "replace", "path": path, "value": value}


def move(source: str, path: str) -> dict[str, Any]:
    """A `move`."""
    return {"op": "move", "from": source, "path": path}


def copy(source: str, path: str) -> dict[str, Any]:
    """A `copy`."""
    return {"op": "copy", "from": source, "path": path}


def check(path: str, value: Any) -> dict[str, Any]:
    """A `test`."""
    return {"op": "test", "path": path, "value": value}


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"foo": "bar"}, [add("/baz", "qux")], {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [add("/foo/1", "qux")], {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [remove("/baz")], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [remove("/foo/1")], {"foo": ["bar", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [replace("/baz", "boo")], {"baz": "boo", "foo": "bar"}),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [move("/foo/waldo", "/qux/thud")],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [move("/foo/1", "/foo/3")],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        (
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [check("/baz", "qux"), check("/foo/1", 2)],
            {"baz": "qux", "foo": ["a", 2, "c"]},
        ),
        ({"baz": "qux"}, [check("/baz", "bar")], "/0/value"),
        (
            {"foo": "bar"},
            [add("/child", {"grandchild": {}})],
            {"foo": "bar", "child": {"grandchild": {}}},
        ),
        ({"foo": "bar"}, [{**add("/baz", "qux"), "xyz": 123}], {"foo": "bar", "baz": "qux"}),
        ({"foo": "bar"}, [add("/baz/bat", "qux")], "/0/path"),
        ({"foo": "bar"}, [{"op": "remove", "path": "/baz", "value": "qux"}], "/0/path"),
        (SWAPPED, [check("/~01", 10)], SWAPPED),
        (SWAPPED, [check("/~01", "10")], "/0/value"),
        ({"foo": ["bar"]}, [add("/foo/-", ["abc", "def"])], {"foo": ["bar", ["abc", "def"]]}),
    ],
    ids=[f"A.{number}" for number in range(1, 17)],
)
def test_the_examples_of_the_standard(document: Any, operations: list[Any], result: Any) -> None:
    """RFC 6902, appendix A: the result, or the refusal where the appendix has an error.

    A.13 has a member twice; to a parser that takes the last it is a `remove` of nothing.
    """
    if isinstance(result, str):
        assert refused(document, *operations) == result
    else:
        assert patched(document, *operations) == result


@pytest.mark.parametrize(
    ("document", "operation", "result"),
    [
        ({"a": 1}, add("/a", 2), {"a": 2}),
        ({"a": 1}, add("", {"b": 2}), {"b": 2}),
        ({"a": 1}, add("/", 2), {"a": 1, "": 2}),
        ({"": {"": 1}}, replace("//", 2), {"": {"": 2}}),
        ({"a": {}}, add("/a/0", 1), {"a": {"0": 1}}),
        ({"a": {}}, add("/a/-", 1), {"a": {"-": 1}}),
        ({"a": {"01": 1}}, remove("/a/01"), {"a": {}}),
        ({"a": [1]}, add("/a/1", 2), {"a": [1, 2]}),
        ({"a": []}, add("/a/0", 2), {"a": [2]}),
        ({"a": [1, 2]}, add("/a/0", 0), {"a": [0, 1, 2]}),
        ({"a": [[1], 2]}, replace("/a/0/0", None), {"a": [[None], 2]}),
        ({}, add("/a.b", {"c.d": 1}), {"a.b": {"c.d": 1}}),
        ({"a.b": 1, "a": {"b": 2}}, remove("/a.b"), {"a": {"b": 2}}),
        ({"a": 1, "b": 2}, replace("/a", [1]), {"a": [1], "b": 2}),
        ({"a": 1}, replace("", {}), {}),
        ({"a": {"b": 1}}, move("/a/b", "/a"), {"a": 1}),
        ({"a": 1}, move("/a", "/a"), {"a": 1}),
        ({"a": [1, 2]}, move("/a/1", "/a/1"), {"a": [1, 2]}),
        ({"a": [1, 2]}, move("/a/0", "/a/1"), {"a": [2, 1]}),
        ({"a": [1, 2]}, move("/a/0", "/a/-"), {"a": [2, 1]}),
        ({"a": {"b": 1}}, move("/a", ""), {"b": 1}),
        ({"a": {"b": 1}}, copy("", "/c"), {"a": {"b": 1}, "c": {"a": {"b": 1}}}),
        ({"a": {"b": 1}}, copy("/a", "/a/c"), {"a": {"b": 1, "c": {"b": 1}}}),
        ({"a": [1, 2]}, copy("/a/0", "/a/-"), {"a": [1, 2, 1]}),
        ({"a": [1]}, copy("/a", "/a/0"), {"a": [[1], 1]}),
        ({"a": 1, "ab": 2}, move("/a", "/ab"), {"ab": 1}),
        ({"a": None}, check("/a", None), {"a": None}),
        ({"a": 1}, check("", {"a": 1}), {"a": 1}),
    ],
)
def test_each_operation(document: Any, operation: Any, result: Any) -> None:
    """What the standard has no example for: roots, ends, empty and odd keys, values onto itself."""
    assert list(patched(document, operation).items()) == list(result.items())


@pytest.mark.parametrize(
    ("document", "operation", "pointer"),
    [
        ({"a": [1]}, add("/a/2", 1), "/0/path"),
        ({"a": [1]}, add("/a/01", 1), "/0/path"),
        ({"a": [1]}, add("/a/b", 1), "/0/path"),
        ({"a": [1]}, add("/a/-1", 1), "/0/path"),
        ({"a": [1]}, add("/a/-/b", 1), "/0/path"),
        ({"a": [1]}, remove("/a/-"), "/0/path"),
        ({"a": [1]}, remove("/a/1"), "/0/path"),
        ({"a": [1]}, replace("/a/-", 1), "/0/path"),
        ({"a": [1]}, replace("/a/1", 1), "/0/path"),
        ({"a": [1]}, check("/a/-", 1), "/0/path"),
        ({"a": [1]}, check("/a/00", 1), "/0/path"),
        ({"a": 1}, add("/a/b", 1), "/0/path"),
        ({"a": "text"}, add("/a/0", 1), "/0/path"),
        ({"a": 1}, remove("/b"), "/0/path"),
        ({"a": 1}, replace("/b", 1), "/0/path"),
        ({"a": 1}, check("/b", None), "/0/path"),
        ({"a": 1}, move("/b", "/c"), "/0/from"),
        ({"a": 1}, move("/b", "/b"), "/0/from"),
        ({"a": [1]}, copy("/a/-", "/c"), "/0/from"),
        ({"a": 1}, copy("/a", "/b/c"), "/0/path"),
        ({"a": {}}, move("/a", "/a/b"), "/0/path"),
        ({"a": {}}, move("", "/a"), "/0/path"),
        ({"a": 1}, remove(""), "/0/path"),
        ({"a": 1}, add("", [1]), "/0/path"),
        ({"a": 1}, replace("", None), "/0/path"),
        ({"a": 1}, copy("/a", ""), "/0/path"),
        ({"a": 1}, add("/$a", 1), "/0/path"),
        ({"a": 1}, copy("/a", "/a\0"), "/0/path"),
        ({"a": 1}, move("/a", "/$set"), "/0/path"),
    ],
)
def test_what_does_not_fit_the_document(document: Any, operation: Any, pointer: str) -> None:
    """An operation that cannot be carried out is refused, with the member that is to blame."""
    assert refused(document, operation) == pointer


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (2**53 + 1, 2**53 + 1),
        (2**62, float(2**62)),
        ("é", "\u00e9"),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}),
        ([], []),
        ({}, {}),
        (None, None),
        (False, False),
    ],
)
def test_equal_values_pass_a_test(stored: Any, given: Any) -> None:
    """Numbers by value, objects in any order, strings by code points (RFC 6902, section 4.6)."""
    assert patched({"a": stored}, check("/a", given)) == {"a": stored}


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        (1, True),
        (0, False),
        (False, 0),
        (1, "1"),
        (None, False),
        (None, {}),
        (2**53 + 1, float(2**53)),
        ("é", "e\u0301"),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ([1, 1], [1]),
        ({"a": 1}, {"a": 1, "b": 1}),
        ({"a": 1, "b": 1}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": None}, {"b": None}),
        ({}, []),
        ([0], [False]),
    ],
)
def test_different_values_fail_a_test(stored: Any, given: Any) -> None:
    """A boolean is no number, an integer past 2^53 is not its neighbour, an array has an order."""
    assert refused({"a": stored}, check("/a", given)) == "/0/value"


def test_a_copy_is_a_value_of_its_own() -> None:
    """Changing the original afterwards leaves the copy, and the other way round, at any depth."""
    document = {"a": {"b": [1]}}
    after = patched(
        document,
        add("/a/b/-", 2),
        copy("/a", "/c"),
        add("/a/b/-", 3),
        add("/c/b/0", 0),
        copy("/c/b", "/c/d"),
        remove("/c/d/0"),
    )
    assert after == {"a": {"b": [1, 2, 3]}, "c": {"b": [0, 1, 2], "d": [1, 2]}}


def test_operations_see_what_those_before_have_done() -> None:
    """They are carried out in order, each on the result of the last."""
    after = patched({}, add("/a", []), add("/a/-", 1), check("/a", [1]), move("/a/0", "/b"))
    assert after == {"a": [], "b": 1}


def test_a_failure_names_its_operation_and_changes_nothing() -> None:
    """The first operation that does not fit is told, and the document given stays as it was."""
    stored = open_document(bson.encode({"a": {"b": 1}}))
    kept = dict(stored)
    operations = json_patch.parse([add("/a/c", 1), remove("/a/b"), check("/a/c", 2), remove("/x")])
    with pytest.raises(InvalidPatch) as caught:
        json_patch.apply(stored, operations)
    assert caught.value.extra == {"operation": 2}
    assert [fault.pointer for fault in caught.value.faults] == ["/2/value"]
    assert stored == kept
