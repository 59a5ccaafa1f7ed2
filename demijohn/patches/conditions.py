"""Conditions on documents and values, by an allow-list: those of `$pull`, and under every filter.

A condition is a value that is equal, operators on the value itself, or a query of a document's
members by their paths (MongoDB manual, "Query Predicates"). What runs code is not let through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

from demijohn.formats.bson_values import BOOLEAN, DOUBLE, REGEX, Node, Value, to_python
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
    is_operator,
    items,
    members,
    parts_of,
    text,
)

LOGICAL = frozenset(("$and", "$or", "$nor"))
TYPES = frozenset(
    """
    double string object array binData undefined objectId bool date null regex dbPointer javascript
    symbol javascriptWithScope int timestamp long decimal minKey maxKey number
    """.split()  # noqa: SIM905 — as one reads them in the manual
)
"""Names that `$type` takes (MongoDB manual, "$type")."""
_TYPE_NUMBERS = frozenset((-1, *range(1, 20), 127))
_MATCH = "$elemMatch"
_MODULO_PARTS = 2
_MIXED = (
    "Operators on a value stand in an object of their own, below a path; paths, and what combines "
    "conditions, do not stand beside them."
)

Check: TypeAlias = "Callable[[Conditions, Node, Place, int], int]"
"""Raises for an argument that its operator does not take, at this level; counts its clauses."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is let through, and how much of it.

    `operators` are those on a value, `queries` those beside the paths of a document, but not of
    an element; `pattern` checks a regular expression that stands for a value, if any may.
    """

    most_clauses: int
    """Each regular expression is one."""
    deepest: int
    """Levels of conditions in one another."""
    most_values: int | None = None
    """Values in one list, such as that of `$in`."""
    operators: Mapping[str, Check] = field(default_factory=lambda: OPERATORS)
    queries: Mapping[str, Check] = field(default_factory=lambda: MappingProxyType({}))
    pattern: Check | None = None

    def check(self, condition: Node, place: Place) -> None:
        """Raise ForbiddenOperator for what is not let through, InvalidPatch for the rest."""
        self._count(self.element(condition, place, 1), place)

    def check_query(self, query: Node, place: Place) -> None:
        """The same for what can only be a query of a document's members, an empty one too."""
        if not isinstance(query, dict):
            raise refusal("A filter is an object.", place)
        self._count(self._query(query, place, 1), place)

    def element(self, node: Node, place: Place, level: int) -> int:
        """A condition of a value that may be a document; how many clauses it has."""
        if not isinstance(node, dict):
            return self.operand(node, place)
        if any(is_operator(key) and not self._is_query(key) for key in node):
            return self.expression(node, place, level)
        return self._query(node, place, level)

    def of_element(self, node: Node, place: Place, level: int) -> int:
        """The argument of `$elemMatch`, which knows nothing of the document around the element."""
        inside = replace(self, queries=MappingProxyType({}))
        return inside.element(members(node, _MATCH, place), place, level)

    def expression(self, node: Mapping[str, Node], place: Place, level: int) -> int:
        """Operators on one value; how many clauses they are."""
        self._check_level(level, place)
        clauses = 0
        for key, child in node.items():
            if key not in self.operators:
                raise self._refuse(key, (*place, key))
            clauses += self.operators[key](self, child, (*place, key), level + 1)
        return clauses

    def operand(self, node: Node, place: Place) -> int:
        """A value to compare with."""
        if is_pattern(node):
            if self.pattern is None:
                raise forbidden("$regularExpression", self._all(), place)
            return self.pattern(self, node, place, 0)
        check_value(node, place)
        return 1

    def operands(self, node: Node, place: Place) -> int:
        """A list of such values, which is one clause, but that its patterns are one each."""
        given = items(node, "The operator", place)
        if self.most_values is not None and len(given) > self.most_values:
            raise refusal(f"A list has at most {self.most_values:,} values.", place)
        patterns = 0
        for at, each in enumerate(given):
            self.operand(each, (*place, at))
            patterns += is_pattern(each)
        return max(patterns, 1)

    def _query(self, node: Mapping[str, Node], place: Place, level: int) -> int:
        """A condition of a document's members, by their paths; how many clauses it has."""
        self._check_level(level, place)
        self._count(len(node), place)  # before all of too many are looked at
        return sum(self._member(key, child, (*place, key), level) for key, child in node.items())

    def _member(self, key: str, child: Node, place: Place, level: int) -> int:
        if key in LOGICAL:
            return self._alternatives(child, place, level)
        if key in self.queries:
            return self.queries[key](self, child, place, level + 1)
        if is_operator(key):
            raise self._refuse(key, place)
        if ALL_ELEMENTS in parts_of(key, place):
            raise refusal(f"A condition has no {ALL_ELEMENTS} in its paths.", place)
        if isinstance(child, dict) and has_operators(child):
            return self.expression(child, place, level + 1)
        return self.operand(child, place)

    def _alternatives(self, node: Node, place: Place, level: int) -> int:
        queries = items(node, "The operator", place)
        if not queries:
            raise refusal("The operator takes an array of at least one condition.", place)
        self._count(len(queries), place)
        return sum(
            self._query(_object(each, (*place, at)), (*place, at), level + 1)
            for at, each in enumerate(queries)
        )

    def _is_query(self, key: str) -> bool:
        return key in LOGICAL or key in self.queries

    def _all(self) -> frozenset[str]:
        return LOGICAL | self.operators.keys() | self.queries.keys()

    def _refuse(self, key: str, place: Place) -> Exception:
        if key in self._all() or not is_operator(key):
            return refusal(_MIXED, place)
        return forbidden(key, self._all(), place)

    def _check_level(self, level: int, place: Place) -> None:
        if level > self.deepest:
            raise refusal(f"Conditions are nested deeper than {self.deepest} levels.", place)

    def _count(self, clauses: int, place: Place) -> None:
        if clauses > self.most_clauses:
            raise refusal(f"A condition has at most {self.most_clauses} clauses.", place)


def is_pattern(node: Node) -> bool:
    """Whether a value is a regular expression."""
    return is_kind(node, frozenset((REGEX,)))


def _object(node: Node, place: Place) -> dict[str, Node]:
    return members(node, "A condition", place)


def _operand(conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    return conditions.operand(node, place)


def _compared(conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    clauses = conditions.operand(node, place)
    if is_pattern(node):
        raise refusal("No regular expression is compared; $not takes one.", place)
    return clauses


def _operands(conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    return conditions.operands(node, place)


def _all(conditions: Conditions, node: Node, place: Place, level: int) -> int:
    """Values that an array has, or conditions each of which one of its elements meets."""
    given = items(node, "$all", place)
    if not given or not all(isinstance(each, dict) and each.keys() == {_MATCH} for each in given):
        return conditions.operands(node, place)
    return sum(
        conditions.expression(members(each, "$all", place), (*place, at), level)
        for at, each in enumerate(given)
    )


def one_of(kinds: frozenset[int], what: str) -> Check:
    """The check of an argument that is of one of these types, which `what` names."""

    def check(_conditions: Conditions, node: Node, place: Place, _level: int) -> int:
        if not is_kind(node, kinds):
            raise refusal(f"The operator takes {what}.", place)
        return 1

    return check


def _type(_conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    given = node if isinstance(node, list) else [node]
    if not given or not all(map(_is_type, given)):
        names = ", ".join(sorted(TYPES))
        raise refusal(f"$type takes {names}, the number of a type, or an array of them.", place)
    return 1


def _is_type(node: Node) -> bool:
    if is_kind(node, INTEGERS | {DOUBLE}):
        assert isinstance(node, Value)
        return to_python(node) in _TYPE_NUMBERS
    return text(node) in TYPES


def _modulo(_conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    numbers = items(node, "$mod", place)
    if len(numbers) != _MODULO_PARTS or not all(is_kind(each, NUMBERS) for each in numbers):
        raise refusal("$mod takes a divisor and a remainder.", place)
    return 1


def _element_match(conditions: Conditions, node: Node, place: Place, level: int) -> int:
    return conditions.of_element(node, place, level)


def _negation(conditions: Conditions, node: Node, place: Place, level: int) -> int:
    if is_pattern(node):
        return conditions.operand(node, place)
    return conditions.expression(members(node, "$not", place), place, level)


OPERATORS: Mapping[str, Check] = MappingProxyType(
    {
        "$eq": _operand,
        "$ne": _compared,
        "$gt": _compared,
        "$gte": _compared,
        "$lt": _compared,
        "$lte": _compared,
        "$in": _operands,
        "$nin": _operands,
        "$all": _all,
        "$exists": one_of(NUMBERS | {BOOLEAN}, "true or false"),
        "$type": _type,
        "$size": one_of(INTEGERS, "a whole number"),
        "$mod": _modulo,
        _MATCH: _element_match,
        "$not": _negation,
    }
)
"""By name: what checks the argument of an operator on a value."""
PULL = Conditions(most_clauses=100, deepest=10)
"""What `$pull` takes: regular expressions, which cost more than they show, are not among it."""
