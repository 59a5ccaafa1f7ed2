"""MongoDB's update operators, by an allow-list (MongoDB manual, "Update Operators").

What is on the list changes one document by what the update says and what the document holds, and
nothing else: no stages of a pipeline, no positions that a query would have to find, no `_id`.
Arguments are checked here as far as that can be done without the document; the rest is MongoDB's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

from bson.raw_bson import RawBSONDocument

from demijohn.formats.bson_values import (
    BOOLEAN,
    DOCUMENT,
    Node,
    Value,
    close_node,
    encode,
    open_node,
    to_python,
)
from demijohn.formats.json_faults import DEEP, LEVELS, is_deep
from demijohn.patches.conditions import PULL
from demijohn.patches.faults import refusal
from demijohn.patches.operands import (
    ALL_ELEMENTS,
    INTEGERS,
    NUMBERS,
    Place,
    check_value,
    forbidden,
    has_operators,
    is_kind,
    items,
    members,
    parts_of,
    text,
)

MOST_PATHS = 100
_ID = "_id"
_TRUE = Value(BOOLEAN, b"\1")
_MODIFIERS = frozenset(("$each", "$slice", "$sort", "$position"))
_BIT_OPERATIONS = frozenset(("and", "or", "xor"))
_CLOCKS = frozenset(("date", "timestamp"))
_DIRECTIONS = (1, -1)

_Parts = tuple[str, ...]


def check(update: Node) -> dict[str, RawBSONDocument]:
    """The update for the driver, each operator's argument with the types and bytes that it has.

    Raises ForbiddenOperator, with a pointer, for an operator that is not let through; InvalidPatch,
    with a pointer, for what is no update, for more than 100 paths, for two paths of which one is
    the other or leads through it, and for any that would change the id.
    """
    if not isinstance(update, dict):
        raise refusal("An update is an object of operators; pipelines are not taken.")
    if not update:
        raise refusal("An update has at least one operator.")
    changed = [each for name, argument in update.items() for each in _operator(name, argument)]
    if len(changed) > MOST_PATHS:
        raise refusal(f"An update has at most {MOST_PATHS} paths; here are {len(changed):,}.")
    _check_apart(changed)
    return {
        name: RawBSONDocument(encode(members(argument, name, (name,))))
        for name, argument in update.items()
    }


def check_levels(document: bytes, update: Mapping[str, RawBSONDocument]) -> None:
    """Raise InvalidPatch where a checked update would make a document too deep.

    Only `$rename` can, by what the document has at the old path: all else that is put somewhere
    stands in the update, and was measured with it.
    """
    for source, target in update.get("$rename", {}).items():
        moved = _at(document, source.split("."))
        allowed = LEVELS - len(target.split("."))
        if moved is not None and is_deep(to_python(close_node(moved)), allowed):
            raise refusal(DEEP, ("$rename", source))


def _at(document: bytes, path: list[str]) -> Node | None:
    """What stands at a path of documents, None where nothing does."""
    node: Node | None = Value(DOCUMENT, document)
    for part in path:
        opened = None if node is None else open_node(node)
        node = opened.get(part) if isinstance(opened, dict) else None
    return node


def _operator(name: str, argument: Node) -> list[tuple[_Parts, Place]]:
    """Check one operator; which paths it changes, and where they stand."""
    if not name.startswith("$"):
        raise refusal("Beside operators stands no field; to replace a document use PUT.", (name,))
    if name not in _OPERATORS:
        raise forbidden(name, _OPERATORS, (name,))
    changed: list[tuple[_Parts, Place]] = []
    for path, operand in members(argument, name, (name,)).items():
        place: Place = (name, path)
        parts = _path(path, place)
        _OPERATORS[name](operand, place, parts)
        changed.append((parts, place))
        if name == "$rename":
            changed.append((_path(text(operand) or "", place), place))
    return changed


def _path(path: str, place: Place) -> _Parts:
    parts = parts_of(path, place)
    if parts[0] == _ID:
        raise refusal("The id cannot be changed.", place)
    if parts[0] == ALL_ELEMENTS:
        raise refusal("A document is no array; $[] stands behind the name of one.", place)
    return parts


def _check_apart(changed: list[tuple[_Parts, Place]]) -> None:
    """Raise InvalidPatch where one path is another, or leads through it."""
    # In order, a path stands directly behind one that it leads through, or behind another such.
    ordered = sorted(changed, key=lambda each: each[0])
    for (above, _), (below, place) in pairwise(ordered):
        if below[: len(above)] == above:
            detail = "The path is also that of another change in the update, or leads through it."
            raise refusal(detail, place)


def _any_value(operand: Node, place: Place, parts: _Parts) -> None:
    check_value(operand, place, len(parts))


def _number(operand: Node, place: Place, _parts: _Parts) -> None:
    if not is_kind(operand, NUMBERS):
        raise refusal("The operator takes a number.", place)


def _new_name(operand: Node, place: Place, parts: _Parts) -> None:
    target = text(operand)
    if target is None:
        raise refusal("$rename takes the new path as a string.", place)
    if ALL_ELEMENTS in parts or ALL_ELEMENTS in parts_of(target, place):
        raise refusal("$rename does not reach into arrays.", place)


def _clock(operand: Node, place: Place, _parts: _Parts) -> None:
    if isinstance(operand, dict) and operand.keys() == {"$type"}:
        if text(operand["$type"]) in _CLOCKS:
            return
    elif operand == _TRUE:
        return
    raise refusal('$currentDate takes true, or {"$type": "date"} or "timestamp".', place)


def _push(operand: Node, place: Place, parts: _Parts) -> None:
    if not isinstance(operand, dict) or not has_operators(operand):
        check_value(operand, place, len(parts) + 1)
        return
    _check_each(operand, place, parts, _MODIFIERS)
    for name in ("$slice", "$position"):
        if name in operand and not is_kind(operand[name], INTEGERS):
            raise refusal(f"{name} takes a whole number.", (*place, name))
    if "$sort" in operand:
        _check_sort(operand["$sort"], (*place, "$sort"))


def _add_to_set(operand: Node, place: Place, parts: _Parts) -> None:
    if isinstance(operand, dict) and has_operators(operand):
        _check_each(operand, place, parts, frozenset(("$each",)))
    else:
        check_value(operand, place, len(parts) + 1)


def _check_each(
    operand: Mapping[str, Node], place: Place, parts: _Parts, allowed: frozenset[str]
) -> None:
    for name in operand:
        if name not in allowed and name.startswith("$"):
            raise forbidden(name, allowed, (*place, name))
        if name not in allowed:
            raise refusal("Beside $each stand its modifiers only.", (*place, name))
    if "$each" not in operand:
        raise refusal("Modifiers stand beside $each only.", place)
    for at, each in enumerate(items(operand["$each"], "$each", (*place, "$each"))):
        check_value(each, (*place, "$each", at), len(parts) + 1)


def _check_sort(order: Node, place: Place) -> None:
    directions: Mapping[str, Node] = {"": order}
    if not isinstance(order, Value):
        directions = members(order, "$sort", place)
        for path in directions:
            parts_of(path, (*place, path))
    if not all(_is_direction(each) for each in directions.values()):
        raise refusal("The directions of $sort are 1 and -1.", place)


def _end(operand: Node, place: Place, _parts: _Parts) -> None:
    if not _is_direction(operand):
        raise refusal("$pop takes 1 for the last element or -1 for the first.", place)


def _is_direction(node: Node) -> bool:
    return isinstance(node, Value) and is_kind(node, INTEGERS) and to_python(node) in _DIRECTIONS


def _condition(operand: Node, place: Place, _parts: _Parts) -> None:
    PULL.check(operand, place)


def _values(operand: Node, place: Place, parts: _Parts) -> None:
    for at, each in enumerate(items(operand, "$pullAll", place)):
        check_value(each, (*place, at), len(parts) + 1)


def _bits(operand: Node, place: Place, _parts: _Parts) -> None:
    for name, number in members(operand, "$bit", place).items():
        if name not in _BIT_OPERATIONS or not is_kind(number, INTEGERS):
            raise refusal("$bit takes and, or and xor, each with an integer.", (*place, name))


_OPERATORS: Mapping[str, Callable[[Node, Place, _Parts], None]] = MappingProxyType(
    {
        "$set": _any_value,
        "$unset": _any_value,
        "$inc": _number,
        "$mul": _number,
        "$min": _any_value,
        "$max": _any_value,
        "$rename": _new_name,
        "$currentDate": _clock,
        "$push": _push,
        "$addToSet": _add_to_set,
        "$pop": _end,
        "$pull": _condition,
        "$pullAll": _values,
        "$bit": _bits,
    }
)
"""By name: what checks an operator's argument for one path."""
