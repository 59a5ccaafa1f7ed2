"""The conditions of `$pull`: which elements of an array it takes out, by an allow-list.

A condition is a value that the element equals, operators on the element itself, or a query of the
element's members (MongoDB manual, "$pull"). What runs code, reads other fields or costs more than
it shows, such as `$where`, `$expr` and regular expressions, is not let through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from demijohn.formats.bson_values import BOOLEAN, REGEX, STRING, Node
from demijohn.patches.faults import refusal
from demijohn.patches.operands import (
    INTEGERS,
    NUMBERS,
    Place,
    check_value,
    forbidden,
    has_operators,
    is_kind,
    is_operator,
    items,
    members,
    parts_of,
)

MOST_CLAUSES = 100
DEEPEST = 10
"""Levels of conditions in one another."""
_LOGICAL = frozenset(("$and", "$or", "$nor"))
_MODULO_PARTS = 2
_PATTERN = "Regular expressions are not let through here."


def check_condition(condition: Node, place: Place) -> None:
    """Raise ForbiddenOperator for an operator that is not let through, InvalidPatch for the rest.

    A condition has at most 100 clauses, and at most 10 levels of conditions in one another.
    """
    if _element(condition, place, 1) > MOST_CLAUSES:
        raise refusal(f"A condition has at most {MOST_CLAUSES} clauses.", place)


def _element(node: Node, place: Place, level: int) -> int:
    """A condition of an element; how many clauses it has."""
    if not isinstance(node, dict):
        _check_operand(node, place)
        return 1
    if any(is_operator(key) and key not in _LOGICAL for key in node):
        return _expression(node, place, level)
    return _query(node, place, level)


def _query(node: Mapping[str, Node], place: Place, level: int) -> int:
    """A condition of an element's members, by their paths; how many clauses it has."""
    _check_level(level, place)
    return sum(_member(key, child, (*place, key), level) for key, child in node.items())


def _member(key: str, child: Node, place: Place, level: int) -> int:
    if key in _LOGICAL:
        return _alternatives(child, place, level)
    if is_operator(key):
        raise _refuse(key, place)
    parts_of(key, place)
    if isinstance(child, dict) and has_operators(child):
        return _expression(child, place, level + 1)
    _check_operand(child, place)
    return 1


def _alternatives(node: Node, place: Place, level: int) -> int:
    queries = items(node, "The operator", place)
    if not queries:
        raise refusal("The operator takes an array of at least one condition.", place)
    return sum(
        _query(members(each, "A condition", (*place, at)), (*place, at), level + 1)
        for at, each in enumerate(queries)
    )


def _expression(node: Mapping[str, Node], place: Place, level: int) -> int:
    """Operators on one value; how many clauses they are."""
    _check_level(level, place)
    clauses = 0
    for key, child in node.items():
        if key not in _OPERATORS:
            raise _refuse(key, (*place, key))
        clauses += _OPERATORS[key](child, (*place, key), level + 1)
    return clauses


def _refuse(key: str, place: Place) -> Exception:
    if key in _OPERATORS or key in _LOGICAL or not is_operator(key):
        return refusal("Operators on a value and conditions on members do not mix.", place)
    return forbidden(key, _OPERATORS.keys() | _LOGICAL, place)


def _check_level(level: int, place: Place) -> None:
    if level > DEEPEST:
        raise refusal(f"Conditions are nested deeper than {DEEPEST} levels.", place)


def _check_operand(node: Node, place: Place) -> None:
    if is_kind(node, frozenset((REGEX,))):
        raise forbidden("$regularExpression", _OPERATORS.keys() | _LOGICAL, place)
    check_value(node, place)


def _operand(node: Node, place: Place, _level: int) -> int:
    _check_operand(node, place)
    return 1


def _operand_list(node: Node, place: Place, _level: int) -> int:
    for at, each in enumerate(items(node, "The operator", place)):
        _check_operand(each, (*place, at))
    return 1


def _one_of(kinds: frozenset[int], what: str) -> Callable[[Node, Place, int], int]:
    def check(node: Node, place: Place, _level: int) -> int:
        if not is_kind(node, kinds):
            raise refusal(f"The operator takes {what}.", place)
        return 1

    return check


def _type(node: Node, place: Place, _level: int) -> int:
    for each in node if isinstance(node, list) else [node]:
        if not is_kind(each, NUMBERS | {STRING}):
            raise refusal("$type takes the name or the number of a type, or an array.", place)
    return 1


def _modulo(node: Node, place: Place, _level: int) -> int:
    numbers = items(node, "$mod", place)
    if len(numbers) != _MODULO_PARTS or not all(is_kind(each, NUMBERS) for each in numbers):
        raise refusal("$mod takes a divisor and a remainder.", place)
    return 1


def _element_match(node: Node, place: Place, level: int) -> int:
    return _element(members(node, "$elemMatch", place), place, level)


def _negation(node: Node, place: Place, level: int) -> int:
    return _expression(members(node, "$not", place), place, level)


_OPERATORS: Mapping[str, Callable[[Node, Place, int], int]] = MappingProxyType(
    {
        "$eq": _operand,
        "$ne": _operand,
        "$gt": _operand,
        "$gte": _operand,
        "$lt": _operand,
        "$lte": _operand,
        "$in": _operand_list,
        "$nin": _operand_list,
        "$all": _operand_list,
        "$exists": _one_of(NUMBERS | {BOOLEAN}, "true or false"),
        "$type": _type,
        "$size": _one_of(INTEGERS, "a whole number"),
        "$mod": _modulo,
        "$elemMatch": _element_match,
        "$not": _negation,
    }
)
"""By name: what checks an operator's argument, and counts its clauses."""
