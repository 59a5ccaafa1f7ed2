"""JSON Patch on any document: against a small reference, and with its size always known."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import InvalidPatch
from demijohn.formats.bson_values import Node, close_node, encode, from_python, open_document
from demijohn.formats.json_faults import pointer_to
from demijohn.patches import json_patch
from demijohn.patches.faults import Unfit
from demijohn.patches.tree import Tree, most_levels

KEYS = st.sampled_from(["a", "b", "", "0", "-", "~1", "x/y"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)
Path = tuple[str, ...]


class Refused(Exception):
    """The reference does not carry an operation out."""


def index(token: str, length: int) -> int:
    """A position in an array, by RFC 6901."""
    if not (token.isascii() and token.isdigit()) or (token[0] == "0" and token != "0"):
        raise Refused
    if int(token) >= length:
        raise Refused
    return int(token)


def find(value: Any, path: Path) -> Any:
    """What a path leads to."""
    for token in path:
        if isinstance(value, list):
            value = value[index(token, len(value))]
        elif isinstance(value, dict) and token in value:
            value = value[token]
        else:
            raise Refused
    return value


def insert(document: Any, path: Path, value: Any) -> Any:
    """The document after an `add`."""
    if not path:
        if not isinstance(value, dict):
            raise Refused
        return value
    parent = find(document, path[:-1])
    if isinstance(parent, list):
        token = path[-1]
        parent.insert(len(parent) if token == "-" else index(token, len(parent) + 1), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise Refused
    return document


def take(document: Any, path: Path) -> Any:
    """The document after a `remove`."""
    find(document, path)
    if not path:
        raise Refused
    parent = find(document, path[:-1])
    del parent[index(path[-1], len(parent)) if isinstance(parent, list) else path[-1]]
    return document


def put(document: Any, path: Path, value: Any) -> Any:
    """The document after a `replace`; in an object the member keeps its place."""
    find(document, path)
    if path and isinstance(parent := find(document, path[:-1]), list):
        parent[int(path[-1])] = value
        return document
    return insert(document, path, value)


def step(document: Any, operation: dict[str, Any]) -> Any:
    """The document after one operation, by RFC 6902, section 4."""
    document = copy.deepcopy(document)
    path, value = tokens(operation["path"]), copy.deepcopy(operation.get("value"))
    source = tokens(operation.get("from", ""))
    match operation["op"]:
        case "add":
            return insert(document, path, value)
        case "remove":
            return take(document, path)
        case "replace":
            return put(document, path, value)
        case "copy":
            return insert(document, path, copy.deepcopy(find(document, source)))
        case "move":
            moved = find(document, source)
            return document if path == source else insert(take(document, source), path, moved)
        case _:
            if comparable(find(document, path)) != comparable(value):
                raise Refused
            return document


def comparable(value: Any) -> Any:
    """A value in which booleans differ from numbers and the order of members does not count."""
    if isinstance(value, dict):
        return {key: comparable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [comparable(child) for child in value]
    return (isinstance(value, bool), value)


def tokens(pointer: str) -> Path:
    """The reference tokens of a pointer."""
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:])


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of a value and of all that is in it."""
    yield path
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*path, str(key)))


@st.composite
def operations(draw: st.DrawFn, document: Any) -> dict[str, Any]:
    """An operation on a document: mostly one that fits, sometimes one that does not."""
    existing = list(places(document))
    near = draw(st.sampled_from(existing))
    path = (*near, draw(KEYS)) if draw(st.booleans()) else near
    source = draw(st.sampled_from(existing))
    op = draw(st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]))
    operation = {"op": op, "path": pointer_to(path)}
    if op in ("move", "copy"):
        return {**operation, "from": pointer_to(source)}
    value = draw(JSON)
    if op == "test" and draw(st.booleans()):
        value = find(document, near)
        operation["path"] = pointer_to(near)
    return operation if op == "remove" else {**operation, "value": value}


@given(OBJECTS, st.data())
def test_any_patch_does_what_the_standard_says(
    document: dict[str, Any], data: st.DataObject
) -> None:
    """The same result as the reference, in order and type, or a refusal at the same operation."""
    patch: list[dict[str, Any]] = []
    expected: Any = document
    for _ in range(data.draw(st.integers(1, 6))):
        patch.append(data.draw(operations(expected)))
        try:
            expected = step(expected, patch[-1])
        except Refused:
            expected = None
        if expected is None or is_own_child(patch[-1]):
            break
    stored = open_document(bson.encode(document))
    # A value that is moved into itself is refused by the patch alone, whatever the document.
    if expected is None or is_own_child(patch[-1]):
        with pytest.raises(InvalidPatch) as caught:
            json_patch.apply(stored, json_patch.parse(patch))
        assert caught.value.extra == {"operation": len(patch) - 1}
    else:
        result = json_patch.apply(stored, json_patch.parse(patch))
        assert json.dumps(bson.decode(encode(result))) == json.dumps(expected)


def is_own_child(operation: dict[str, Any]) -> bool:
    """Whether a value would be moved into itself."""
    source, path = tokens(operation.get("from", "")), tokens(operation["path"])
    return operation["op"] == "move" and path != source and path[: len(source)] == source


@given(OBJECTS, st.data())
def test_the_size_is_known_at_every_step(document: dict[str, Any], data: st.DataObject) -> None:
    """After each operation the size that is counted is the size of the BSON that is made."""
    tree = Tree(open_document(bson.encode(document)))
    for _ in range(data.draw(st.integers(1, 8))):
        existing = list(places(bson.decode(encode(tree.closed()))))
        path = data.draw(st.sampled_from(existing))
        below = (*path, data.draw(KEYS))
        other = tree.at(data.draw(st.sampled_from(existing)))
        change = data.draw(st.sampled_from(["add", "replace", "remove", "lead"]))
        try:
            if change == "add":
                tree.add(below, other)
            elif change == "replace":
                tree.replace(path, other)
            elif change == "remove":
                tree.remove(path)
            else:
                tree.lead(data.draw(KEYS), other)
        except Unfit:
            pass
        assert tree.size == len(encode(tree.closed()))


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 99, 100, 101, 1_000, 1_001])
def test_the_size_of_an_array_counts_its_positions(length: int) -> None:
    """The names of elements grow by a digit at 10, 100 and 1,000; the size grows with them."""
    tree = Tree(open_document(bson.encode({"a": [None] * length})))
    for change in ("/a/-", "/a/0"):
        tree.add(tuple(change.split("/")[1:]), from_python("x"))
        assert tree.size == len(encode(tree.closed()))
    tree.remove(("a", "0"))
    assert tree.size == len(encode(tree.closed()))
    tree.remove(("a", "0"))
    assert tree.size == len(encode(tree.closed()))


def height(value: Any) -> int:
    """Levels of containers in a value, by looking at all of it."""
    if not isinstance(value, dict | list):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(height, children), default=0)


@given(OBJECTS, st.data())
def test_levels_are_counted_exactly(document: dict[str, Any], data: st.DataObject) -> None:
    """The levels of a value, opened or closed, are those that a look at all of it finds."""
    tree = Tree(open_document(bson.encode(document)))
    inside = data.draw(st.sampled_from(list(places(document))))
    with suppress(Unfit):
        tree.add((*inside, "a"), from_python([1]))
    now = bson.decode(encode(tree.closed()))
    assert tree.levels(tree.root) == height(now) <= most_levels(tree.root)
    for path in places(now):
        assert tree.levels(tree.at(path)) == height(find(now, path)) <= most_levels(tree.at(path))


@pytest.mark.parametrize("levels", [1, 2, 50, 100])
def test_the_bound_for_levels_is_one(levels: int) -> None:
    """No value is deeper than its size lets it be: the bound is what the smallest one has."""
    value: Any = {}
    for _ in range(levels - 1):
        value = {"": value}
    smallest = from_python(value)
    assert most_levels(smallest) == levels == Tree({}).levels(smallest)


@given(OBJECTS, OBJECTS)
def test_opened_containers_are_taken_too(document: dict[str, Any], value: dict[str, Any]) -> None:
    """A document with opened containers is patched as a closed one, and stays as it is."""

    def opened(each: Any) -> Node:
        if isinstance(each, dict):
            return {key: opened(child) for key, child in each.items()}
        return [opened(child) for child in each] if isinstance(each, list) else from_python(each)

    stored = opened(document)
    assert isinstance(stored, dict)
    steps = json_patch.parse([{"op": "add", "path": "/new", "value": value}])
    after = json_patch.apply(stored, steps)
    assert encode(after) == bson.encode({**document, "new": value})
    assert stored == opened(document)
    assert close_node(stored).payload == bson.encode(document)
