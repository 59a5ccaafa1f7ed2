"""JSON Patch (RFC 6902): operations on one document, carried out in order, all or none.

Values are plain JSON, and `test` compares the plain spelling of what is stored: what a client
reads is what it can test. Whatever no operation touches keeps its type and its bytes.

The document stays a document that can be kept after each operation, not only after the last: an
object, with its id, at most 16 MiB of BSON, and nothing moved or copied below level 100. An
operation on the whole document may leave `_id` out, as a replacement by PUT may: it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demijohn.errors import Fault, InvalidPatch, Problem, TooLarge
from demijohn.formats.bson_values import Node, Value
from demijohn.formats.json_faults import LEVELS, MOST_FAULTS, pointer_to
from demijohn.formats.plain_out import plain_value
from demijohn.patches import pointer
from demijohn.patches.faults import Unfit, refusal
from demijohn.patches.given import encoded, same, same_plain
from demijohn.patches.tree import Child, Members, Tree, close, most_levels
from demijohn.settings import LARGEST_DOCUMENT

MOST_OPERATIONS = 100
_ID = "_id"


@dataclass(frozen=True, slots=True)
class Add:
    """Puts a value in: as a member, new or not, or between the elements of an array."""

    path: tuple[str, ...]
    value: Value


@dataclass(frozen=True, slots=True)
class Remove:
    """Takes a value out."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replace:
    """Puts a value in the place of one that is there."""

    path: tuple[str, ...]
    value: Value


@dataclass(frozen=True, slots=True)
class Move:
    """Takes a value out at one place and adds it at another."""

    path: tuple[str, ...]
    source: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """Adds a value that stands at another place."""

    path: tuple[str, ...]
    source: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """Lets the patch go on only where the value is this one, in plain JSON."""

    path: tuple[str, ...]
    value: Any


Operation = Add | Remove | Replace | Move | Copy | Test


def parse(body: object) -> tuple[Operation, ...]:
    """The operations of a parsed body.

    Raises InvalidPatch, with up to 20 pointers such as `/3/path`, for what is no JSON Patch, for
    more than 100 operations and for values that cannot be kept. Members that the standard does
    not know are passed over, as it says.
    """
    if not isinstance(body, list):
        raise refusal("A JSON Patch is an array of operations.")
    if len(body) > MOST_OPERATIONS:
        raise refusal(f"A patch has at most {MOST_OPERATIONS} operations; here are {len(body):,}.")
    operations: list[Operation] = []
    wrong: list[InvalidPatch] = []
    for index, member in enumerate(body):
        try:
            operations.append(_operation(member))
        except Unfit as error:
            wrong.append(_refusal(index, error))
    if wrong:
        faults = tuple(fault for each in wrong[:MOST_FAULTS] for fault in each.faults)
        raise InvalidPatch(wrong[0].detail, faults=faults, extra=wrong[0].extra)
    return tuple(operations)


def apply(document: Mapping[str, Node], operations: tuple[Operation, ...]) -> dict[str, Node]:
    """The document after all operations, every member closed; the argument is not changed.

    Raises InvalidPatch for the first operation that does not fit the document as it then is, and
    TooLarge for the first after which it is larger than 16 MiB of BSON; the member `operation`
    is its index from 0.
    """
    tree = Tree(document)
    for index, operation in enumerate(operations):
        before = tree.root
        try:
            _carry_out(tree, operation)
            _keep_id(tree, before, operation)
        except Unfit as error:
            raise _refusal(index, error) from None
        if tree.size > LARGEST_DOCUMENT:
            raise _too_large(index, tree.size)
    return tree.closed()


def _operation(member: object) -> Operation:
    if not isinstance(member, dict):
        raise Unfit("An operation is an object.", ())
    name = _text(member, "op")
    if name not in _READERS:
        raise Unfit(f"There is no such operation; there are {', '.join(_READERS)}.", ("op",))
    return _READERS[name](member, pointer.parse(_text(member, "path")))


def _read_add(member: dict[str, Any], path: tuple[str, ...]) -> Operation:
    return Add(path, encoded(_value(member), ("value",)))


def _read_remove(_member: dict[str, Any], path: tuple[str, ...]) -> Operation:
    return Remove(path)


def _read_replace(member: dict[str, Any], path: tuple[str, ...]) -> Operation:
    return Replace(path, encoded(_value(member), ("value",)))


def _read_move(member: dict[str, Any], path: tuple[str, ...]) -> Operation:
    source = _source(member)
    if source == path[: len(source)] and source != path:
        raise Unfit("A value cannot be moved into itself.")
    return Move(path, source)


def _read_copy(member: dict[str, Any], path: tuple[str, ...]) -> Operation:
    return Copy(path, _source(member))


def _read_test(member: dict[str, Any], path: tuple[str, ...]) -> Operation:
    return Test(path, _value(member))


_READERS = {
    "add": _read_add,
    "remove": _read_remove,
    "replace": _read_replace,
    "move": _read_move,
    "copy": _read_copy,
    "test": _read_test,
}


def _text(member: dict[str, Any], name: str) -> str:
    text = member.get(name)
    if not isinstance(text, str):
        raise Unfit(
            f'The operation has no "{name}" that is a string.', (name,) if name in member else ()
        )
    return text


def _source(member: dict[str, Any]) -> tuple[str, ...]:
    text = _text(member, "from")
    try:
        return pointer.parse(text)
    except Unfit as error:
        raise Unfit(error.detail, ("from",)) from None


def _value(member: dict[str, Any]) -> object:
    if "value" not in member:
        raise Unfit('The operation has no "value".', ())
    return member["value"]


def _carry_out(tree: Tree, operation: Operation) -> None:
    match operation:
        case Add(path, value):
            _check_levels(tree, path, value)
            tree.add(path, value)
        case Remove(path):
            tree.remove(path)
        case Replace(path, value):
            _check_levels(tree, path, value)
            tree.replace(path, value)
        case Move(path, source):
            _move(tree, path, source)
        case Copy(path, source):
            child = _found(tree, source)
            _check_levels(tree, path, child, len(source))
            tree.add(path, child)
        case Test(path, value):
            if not same(plain_value(close(tree.at(path))), value):
                raise Unfit("The value there is not the one that is tested for.", ("value",))


def _move(tree: Tree, path: tuple[str, ...], source: tuple[str, ...]) -> None:
    child = _found(tree, source)
    if path == source:
        return
    _check_levels(tree, path, child, len(source))
    tree.remove(source)
    tree.add(path, child)


def _found(tree: Tree, source: tuple[str, ...]) -> Child:
    try:
        return tree.at(source)
    except Unfit as error:
        raise Unfit(error.detail, ("from",)) from None


def _check_levels(tree: Tree, path: tuple[str, ...], child: Child, allowed: int = 0) -> None:
    """Raise Unfit for a value that would reach below the last level there.

    At a depth up to `allowed` it has been already: what other clients have stored may be deeper.
    """
    room = max(LEVELS - len(path), 0)
    if len(path) > allowed and most_levels(child) > room and tree.levels(child) > room:
        raise Unfit(f"The document would be nested deeper than {LEVELS} levels.")


def _keep_id(tree: Tree, before: Members, operation: Operation) -> None:
    """Give the document its stored id back where an operation wrote an equal one, or none at all.

    Raises Unfit where the operation changed the id.
    """
    stored, now = before.of.get(_ID), tree.root.of.get(_ID)
    if stored is None or now is stored:
        return
    left_out = now is None and not operation.path
    if not (left_out or (now and same_plain(close(stored), close(now)))):
        raise Unfit("The id cannot be changed.", ())
    if operation.path:
        tree.replace((_ID,), stored)
    else:
        # MongoDB keeps the id first, and a whole document may have it anywhere.
        tree.lead(_ID, stored)


def _refusal(index: int, error: Unfit) -> InvalidPatch:
    return refusal(error.detail, (index, *error.member), {"operation": index})


def _too_large(index: int, size: int) -> Problem:
    detail = (
        f"After operation {index}, counted from 0, the document would be {size:,} bytes of BSON; "
        f"MongoDB takes {LARGEST_DOCUMENT:,}."
    )
    fault = Fault(pointer_to((index,)), "the document becomes too large")
    return TooLarge(detail, faults=(fault,), extra={"operation": index})
