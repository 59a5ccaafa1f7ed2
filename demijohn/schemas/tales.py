"""How much memory it takes to tell where a document does not fit, known before it is told.

The engine finds every fault before it gives the first, and each holds a copy of the value that does
not fit, of what the keyword demands, and of the way to both. A thousand `required` at the top and a
document of 2 MiB are 2 GiB; a long pattern of `propertyNames` and 7,000 members are 11.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from demijohn.schemas.parts import KEYWORDS, Node, Parts
from demijohn.schemas.work import Cost

MOST_BYTES = 16 * 1024 * 1024
"""What the faults of one document may take; sixteen threads may look for some at one time."""
_OF_A_FAULT = 1024
"""Bytes that one has in any case."""
_OF_A_VALUE = 150
"""Bytes that a value of a document takes beside its text."""
_OF_A_DEMAND = 8
"""Bytes for each byte of text of what a keyword demands, as of lists of numbers."""
_LISTED = frozenset(("required", "dependentRequired"))
"""Keywords that have a fault for each name of theirs, of an object."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a document weighs."""

    memory: int
    """Bytes."""
    objects: int
    """How many of its values have members."""
    name: int
    """Characters of its longest name."""


@dataclass(frozen=True, slots=True)
class Tales:
    """What the faults of a schema's documents hold."""

    looks: int
    """The most subschemas that may look at one value."""
    kinds: int
    """The most faults that one of them may find in a value, names that are not there apart."""
    listed: int
    """The most names that one of them may miss in an object."""
    demand: int
    """The most bytes of text that one fault quotes of the schema: what is demanded, and where."""
    of_names: bool
    """Whether names are looked at: each fault of one holds all members of its object."""

    @classmethod
    def of(cls, schema: Parts, cost: Cost) -> Tales:
        """Those of a schema, whose cost is known."""
        nodes = schema.nodes
        return cls(
            looks=cost.looks,
            kinds=1 + max(len(_demanded_by(each)) for each in nodes),
            listed=max(len(_listed_in(each)) for each in nodes),
            demand=max(_quoted_of(schema, each) for each in nodes),
            of_names=any("propertyNames" in each for each in nodes),
        )

    def are_bearable(self, values: int, levels: int, weight: Weight) -> bool:
        """Whether all faults of a document of so many values and levels can be held."""
        faults = values * self.kinds + weight.objects * self.listed
        one = _OF_A_FAULT + _OF_A_DEMAND * self.demand + levels * weight.name
        copies = self.kinds * (values if self.of_names else levels) + self.listed * levels
        return self.looks * (faults * one + copies * weight.memory) <= MOST_BYTES


def weigh_document(document: object, values: int) -> Weight:
    """What a document of so many values weighs."""
    names = [list(each) for each in _objects(document)]
    longest = max((len(name) for each in names for name in each), default=0)
    return Weight(len(orjson.dumps(document)) + _OF_A_VALUE * values, len(names), longest)


def _objects(document: object) -> Iterator[dict[str, object]]:
    waiting = [document]
    for each in waiting:  # which grows meanwhile
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _listed_in(node: Node) -> list[str]:
    """The names that a subschema itself may miss."""
    lists = [node.get("required")]
    for keyword in ("dependentRequired", "dependencies"):
        named = node.get(keyword)
        lists += named.values() if isinstance(named, dict) else ()
    return [name for each in lists if isinstance(each, list) for name in each]


def _demanded_by(node: Node) -> list[int]:
    """Bytes of what each of its keywords demands, subschemas and lists of names apart."""
    return [len(orjson.dumps(node[each])) for each in node.keys() - KEYWORDS - _LISTED]


def _quoted_of(schema: Parts, node: Node) -> int:
    """The most bytes that one fault quotes of a subschema: what is demanded, and where."""
    way = sum(len(str(each)) + 1 for each in schema.places[id(node)])
    return way + max((*_demanded_by(node), *map(len, map(str, _listed_in(node)))), default=0)
