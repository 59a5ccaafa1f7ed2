"""A document while operations are applied to it: opened on their way, its size always known.

Nothing here is ever changed in place. An operation makes new containers on the way from the place
that it changes up to the document, and all else is shared: a copy costs nothing whatever its size,
two places that hold the same container cannot disturb one another, and an operation that fails
leaves no trace. Each container knows the size of its BSON, so a change of one is a sum along the
way up, and a document that has become too large is known before a byte of it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from demijohn.formats.bson_values import (
    ARRAY,
    DOCUMENT,
    FRAME,
    Node,
    Value,
    close_node,
    elements,
)
from demijohn.formats.json_faults import pointer_to
from demijohn.patches import pointer
from demijohn.patches.faults import Unfit

_AROUND_NAME = 2
"""Bytes of an element beside its name and its payload: its type, and the end of its name."""
_LEVEL = FRAME + _AROUND_NAME
"""Bytes that a level of nesting takes at least."""


@dataclass(frozen=True, slots=True)
class Members:
    """An opened document, and the bytes of it when closed."""

    of: Mapping[str, Child]
    size: int


@dataclass(frozen=True, slots=True)
class Items:
    """An opened array, and the bytes of it when closed."""

    of: list[Child]
    size: int


Container: TypeAlias = "Members | Items"
Child: TypeAlias = "Value | Members | Items"


class Tree:
    """One document under change. What a failed operation raises leaves it as it was."""

    def __init__(self, document: Mapping[str, Node]) -> None:
        """Take the document; it is not changed, and may have opened containers."""
        self.root = _members({name: close_node(node) for name, node in document.items()})
        # A patch may go through the same large container a hundred times. What is only read is
        # not put into the tree opened: a container with duplicate keys keeps its bytes.
        self._opened: dict[Value, Container] = {}
        self._levels: dict[Value, int] = {}

    @property
    def size(self) -> int:
        """Bytes of the document as BSON."""
        return self.root.size

    def closed(self) -> dict[str, Node]:
        """The document's members, each one closed."""
        return {name: close(child) for name, child in self.root.of.items()}

    def at(self, path: tuple[str, ...]) -> Child:
        """What a path leads to. Raises Unfit where that is nothing."""
        child: Child = self.root
        for depth, token in enumerate(path):
            child = _child(self._container(child, path[:depth]), token, path[: depth + 1])
        return child

    def add(self, path: tuple[str, ...], child: Child) -> None:
        """Put a value in: as a member, new or not, or between the elements of an array.

        Raises Unfit where the path's parent is not there or takes no such child.
        """
        if not path:
            self.root = self._as_document(child)
            return
        way = self._way(path)
        parent = way[-1]
        if isinstance(parent, Members):
            self._rebuild(way, path, _with_member(parent, path[-1], child))
        else:
            self._rebuild(way, path, _inserted(parent, path[-1], child))

    def replace(self, path: tuple[str, ...], child: Child) -> None:
        """Put a value in the place of one that is there. Raises Unfit where none is."""
        if not path:
            self.root = self._as_document(child)
            return
        way = self._way(path)
        _child(way[-1], path[-1], path)
        self._rebuild(way, path, _replaced(way[-1], path[-1], child))

    def remove(self, path: tuple[str, ...]) -> None:
        """Take a value out. Raises Unfit where there is none, and for the whole document."""
        if not path:
            raise Unfit("The whole document cannot be taken out; DELETE does that.")
        way = self._way(path)
        old = _child(way[-1], path[-1], path)
        self._rebuild(way, path, _without(way[-1], path[-1], old))

    def lead(self, name: str, child: Child) -> None:
        """Make a value the document's first member, in place of any of that name."""
        rest = dict(self.root.of)
        old = rest.pop(name, None)
        size = self.root.size - (_member_size(name, old) if old else 0)
        self.root = Members({name: child, **rest}, size + _member_size(name, child))

    def levels(self, child: Child) -> int:
        """Levels of containers in a value, itself the first; 0 for what is no container."""
        if isinstance(child, Value) and child.kind not in (DOCUMENT, ARRAY):
            return 0
        known = self._levels.get(child) if isinstance(child, Value) else None
        if known is not None:
            return known
        deepest = 1
        for inner in _children(child):
            # Most values are too small to be deeper than what was seen: they are not looked into.
            if most_levels(inner) >= deepest:
                deepest = max(deepest, 1 + self.levels(inner))
        if isinstance(child, Value):
            self._levels[child] = deepest
        return deepest

    def _container(self, child: Child, path: tuple[str, ...]) -> Container:
        if not isinstance(child, Value):
            return child
        known = self._opened.get(child)
        if known is None:
            known = self._opened[child] = _open(child, path)
        return known

    def _as_document(self, child: Child) -> Members:
        container = self._container(child, ()) if _is_document(child) else None
        if not isinstance(container, Members):
            raise Unfit("A document stays an object.")
        return container

    def _way(self, path: tuple[str, ...]) -> list[Container]:
        """The containers from the document down to the parent of what the path leads to."""
        way: list[Container] = [self.root]
        for depth, token in enumerate(path[:-1], 1):
            child = _child(way[-1], token, path[:depth])
            way.append(self._container(child, path[:depth]))
        return way

    def _rebuild(self, way: list[Container], path: tuple[str, ...], changed: Container) -> None:
        """Take the last container of the way for changed, and so all those above it."""
        for above, token in zip(reversed(way[:-1]), reversed(path[:-1]), strict=True):
            changed = _replaced(above, token, changed)
        assert isinstance(changed, Members)
        self.root = changed


def close(child: Child) -> Value:
    """A value as one value again."""
    if isinstance(child, Value):
        return child
    if isinstance(child, Members):
        return close_node({name: close(inner) for name, inner in child.of.items()})
    return close_node([close(inner) for inner in child.of])


def size_of(child: Child) -> int:
    """Bytes of a value as BSON, without its type and its name."""
    return len(child.payload) if isinstance(child, Value) else child.size


def most_levels(child: Child) -> int:
    """A bound for the levels of containers in a value, by its size alone."""
    if isinstance(child, Value) and child.kind not in (DOCUMENT, ARRAY):
        return 0
    return 1 + (size_of(child) - FRAME) // _LEVEL


def _is_document(child: Child) -> bool:
    return isinstance(child, Members) or (isinstance(child, Value) and child.kind == DOCUMENT)


def _children(child: Child) -> Iterable[Child]:
    if isinstance(child, Value):
        return _values(child)
    return child.of.values() if isinstance(child, Members) else child.of


def _values(closed: Value) -> Iterator[Value]:
    return (value for _, value in elements(closed.payload))


def _open(closed: Value, path: tuple[str, ...]) -> Container:
    if closed.kind == DOCUMENT:
        return _members(dict(elements(closed.payload)))
    if closed.kind == ARRAY:
        items: list[Child] = list(_values(closed))
        sizes = sum(_AROUND_NAME + size_of(each) for each in items)
        return Items(items, FRAME + sizes + _digits_below(len(items)))
    raise Unfit(f"The value at {_shown(path)} is no object and no array.")


def _members(of: Mapping[str, Child]) -> Members:
    return Members(of, FRAME + sum(_member_size(name, each) for name, each in of.items()))


def _member_size(name: str, child: Child) -> int:
    return _AROUND_NAME + len(name.encode("utf-8", "surrogateescape")) + size_of(child)


def _digits_below(length: int) -> int:
    """Digits of all whole numbers below this one: an array's elements are named by them."""
    digits, start = length, 10
    while start < length:
        digits += length - start
        start *= 10
    return digits


def _child(container: Container, token: str, path: tuple[str, ...]) -> Child:
    if isinstance(container, Items):
        return container.of[pointer.position(token, len(container.of))]
    if token not in container.of:
        raise Unfit(f"There is nothing at {_shown(path)}.")
    return container.of[token]


def _with_member(parent: Members, name: str, child: Child) -> Members:
    if name in parent.of:
        return _replaced_member(parent, name, child)
    if name.startswith("$") or "\0" in name:
        raise Unfit("A key that is made may not start with $ or contain the character U+0000.")
    return Members({**parent.of, name: child}, parent.size + _member_size(name, child))


def _inserted(parent: Items, token: str, child: Child) -> Items:
    at = pointer.place(token, len(parent.of))
    items = [*parent.of[:at], child, *parent.of[at:]]
    return Items(items, parent.size + _last_item_size(items, child))


def _replaced(parent: Container, token: str, child: Child) -> Container:
    if isinstance(parent, Members):
        return _replaced_member(parent, token, child)
    items = parent.of.copy()
    at = pointer.position(token, len(items))
    size = parent.size - size_of(items[at]) + size_of(child)
    items[at] = child
    return Items(items, size)


def _replaced_member(parent: Members, name: str, child: Child) -> Members:
    size = parent.size - size_of(parent.of[name]) + size_of(child)
    return Members({**parent.of, name: child}, size)


def _without(parent: Container, token: str, old: Child) -> Container:
    if isinstance(parent, Members):
        rest = dict(parent.of)
        del rest[token]
        return Members(rest, parent.size - _member_size(token, old))
    at = pointer.position(token, len(parent.of))
    items = [*parent.of[:at], *parent.of[at + 1 :]]
    return Items(items, parent.size - _last_item_size(parent.of, old))


def _last_item_size(items: list[Child], child: Child) -> int:
    """What an element adds to an array, which then has these: the last name is the new one."""
    return _AROUND_NAME + len(str(len(items) - 1)) + size_of(child)


def _shown(path: tuple[str, ...]) -> str:
    return pointer_to(path) or "the document itself"
