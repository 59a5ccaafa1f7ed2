"""Filters: a MongoDB filter in JSON, checked by an allow-list, or one of the client's parameters.

Values are read as Extended JSON, so that a date or an ObjectId can be said. As everywhere in plain
JSON a string of 24 hex digits under `_id` is an ObjectId.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from demijohn.errors import InvalidFilter
from demijohn.formats.bson_values import (
    BINARY,
    DOCUMENT,
    FRAME,
    OBJECT_ID,
    Node,
    Value,
    encode,
)
from demijohn.formats.extended_in import parse_extended_value
from demijohn.formats.id_values import HEX_ID
from demijohn.patches.conditions import LOGICAL, OPERATORS, Check, Conditions
from demijohn.patches.faults import refusal
from demijohn.patches.operands import INTEGERS, Place, check_value, is_kind, members, text
from demijohn.query.expressions import check_expression
from demijohn.query.faults import at, told_as
from demijohn.query.paths import ID
from demijohn.query.patterns import check_options, check_pattern

LARGEST = 1024 * 1024
"""Bytes of a filter's BSON."""
MOST_BITS = 65_536
"""Positions of bits. The embedded database makes a number as long as the highest of them."""
_GEOMETRY = "$geometry"
SHAPES = frozenset((_GEOMETRY, "$box", "$center", "$centerSphere", "$polygon"))
"""What `$geoWithin` takes."""
_OF_IDS = frozenset(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$not"))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents are meant, as BSON of nothing but what has been checked."""

    bson: bytes

    @property
    def is_empty(self) -> bool:
        """Whether it leaves nothing out."""
        return len(self.bson) == FRAME


def read_filter(body: bytes, *, extended: bool = False, place: Place = ()) -> Filter:
    """The filter in a JSON text; `place` is where the text stands, for the pointers.

    `extended` takes strings of hex digits for what they are, under `_id` too. Raises
    MalformedJson, InvalidFilter, ForbiddenOperator.
    """
    with told_as(InvalidFilter):
        node = parse_extended_value(body, operators=True)
    return check_filter(node, place, extended=extended)


def check_filter(node: Node, place: Place = (), *, extended: bool = False) -> Filter:
    """The filter that was parsed with its operators. Raises InvalidFilter, ForbiddenOperator."""
    with told_as(InvalidFilter):
        FILTER.check_query(node, place)
    assert isinstance(node, dict)
    checked = encode(node if extended else with_ids(node))
    if len(checked) > LARGEST:
        raise at(InvalidFilter, f"A filter has at most {LARGEST:,} bytes of BSON.", place)
    return Filter(checked)


def all_of(*filters: Filter) -> Filter:
    """The filter that every one of these lets through."""
    given = [each for each in filters if not each.is_empty]
    if len(given) == 1:
        return given[0]
    if not given:
        return Filter(encode({}))
    return Filter(encode({"$and": [Value(DOCUMENT, each.bson) for each in given]}))


def with_ids(query: Mapping[str, Node]) -> dict[str, Node]:
    """The same query with ObjectIds for what stands for them under `_id`."""
    return {key: _with_ids(key, child) for key, child in query.items()}


def _with_ids(key: str, child: Node) -> Node:
    if key == ID:
        return _id(child)
    if key in LOGICAL and isinstance(child, list):
        return [with_ids(each) if isinstance(each, dict) else each for each in child]
    return child


def _id(node: Node) -> Node:
    if isinstance(node, dict):
        return {key: _id(child) if key in _OF_IDS else child for key, child in node.items()}
    if isinstance(node, list):
        return [_id(each) for each in node]
    given = text(node)
    if given is not None and HEX_ID.fullmatch(given):
        return Value(OBJECT_ID, bytes.fromhex(given))
    return node


def _pattern(_conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    check_pattern(node, place)
    return 1


def _options(_conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    check_options(node, place)
    return 0


def _expression(_conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    check_expression(node, place)
    return 1


def _bits(_conditions: Conditions, node: Node, place: Place, _level: int) -> int:
    each = node if isinstance(node, list) else [node]
    kinds = INTEGERS if isinstance(node, list) else INTEGERS | {BINARY}
    if not all(is_kind(one, kinds) for one in each):
        raise refusal("The operator takes a number, binary data, or an array of positions.", place)
    if isinstance(node, list) and not all(map(_is_position, each)):
        raise refusal(f"A position is from 0 to {MOST_BITS - 1:,}.", place)
    return 1


def _is_position(node: Node) -> bool:
    assert isinstance(node, Value)
    return 0 <= int.from_bytes(node.payload, "little", signed=True) < MOST_BITS


def _shape(names: frozenset[str]) -> Check:
    """The check of an argument that is one of these shapes, whose figures the database judges."""

    def check(_conditions: Conditions, node: Node, place: Place, _level: int) -> int:
        ((name, figures), *more) = members(node, "The operator", place).items()
        if name not in names or more:
            raise refusal(f"The operator takes one of {', '.join(sorted(names))}.", place)
        check_value(figures, (*place, name))
        if name == _GEOMETRY:
            _check_geometry(figures, (*place, name))
        return 1

    return check


def _check_geometry(node: Node, place: Place) -> None:
    """Raise InvalidPatch for what is no GeoJSON at first sight (RFC 7946, section 3.1)."""
    kind = members(node, _GEOMETRY, place).get("type")
    if kind is None or text(kind) is None:
        raise refusal("A geometry is an object of GeoJSON, with its type.", place)


_MORE: Mapping[str, Check] = MappingProxyType(
    {
        "$regex": _pattern,
        "$options": _options,
        "$bitsAllSet": _bits,
        "$bitsAnySet": _bits,
        "$bitsAllClear": _bits,
        "$bitsAnyClear": _bits,
        "$geoWithin": _shape(SHAPES),
        "$geoIntersects": _shape(frozenset((_GEOMETRY,))),
    }
)
FILTER = Conditions(
    most_clauses=500,
    deepest=20,
    most_values=10_000,
    operators=MappingProxyType({**OPERATORS, **_MORE}),
    queries=MappingProxyType({"$expr": _expression}),
    pattern=_pattern,
)
"""What a filter may say."""
