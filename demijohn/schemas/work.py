"""How much work a schema may ask for, known before any document comes.

A validator looks at a value with every subschema that applies to it. Three things multiply that
work: references that share what they lead to (`anyOf` of two, twenty-five levels of them, is 33
million looks at one number), documents with many values, and, where several subschemas pass the
same member on to one that they share, each level of the document. Its native stack grows with the
chain of subschemas that look at one value, times those levels. All of this is bounded here, since
the validator can be neither interrupted nor kept from overflowing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from demijohn.schemas.parts import (
    IN_PLACE,
    OF_ITEMS,
    OF_MEMBERS,
    Node,
    Part,
    Parts,
    parts,
    refusal,
)

MOST_PARTS = 10_000
"""Subschemas, references written out in place."""
MOST_PATTERNS = 200
"""Regular expressions."""
LONGEST_CHAIN = 200
"""Subschemas one inside the other, references written out."""
MOST_WORK = 30_000_000
"""Subschemas that look at a value times values of a document: some tenths of a second."""
MOST_TO_TELL = 30_000
"""The same where each fault is looked for, which takes a thousand times as long."""
MOST_MATCHING = 2**34
"""Bytes of compiled regular expressions at one value times bytes of a document: one or two seconds.
An engine that never goes back may still be in each part of a pattern at each place of a text."""
DEEPEST_STACK = 800
"""Levels of a document times the longest chain at one value, where a schema leads back to itself: a
thread with a stack of 1 MiB takes half as many again."""
_Member: TypeAlias = str | tuple[str | int | None]
"""Which of the members of a value: one by its name, any one, or the value that is no member."""
_WHOLE, _ITEM, _MEMBER = "", "[]", "{}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one schema costs."""

    looks: int
    """The most subschemas that may look at one value, references written out up to where they lead
    back."""
    chain: int
    """The most of them in a row that look at one value."""
    again: int
    """How many lead the same member of a value back into the schema; 0 for one without circles."""
    has_choices: bool
    """Whether there are alternatives, of which the validator looks for every fault in each."""
    parts: int
    """How many subschemas there are, references written out."""
    patterns: int
    """The most regular expressions that may look at one value, or at the names in it."""

    def is_bearable(self, values: int, levels: int) -> bool:
        """Whether a document of so many values and levels can be looked at, yes or no."""
        is_flat = not self.again or self.chain * levels <= DEEPEST_STACK
        return is_flat and self.looks * values <= MOST_WORK

    def is_tellable(self, values: int, levels: int) -> bool:
        """Whether each fault of such a document can be told: shared answers are not kept then."""
        looks = self.looks * values
        if self.again and self.has_choices:
            looks *= levels  # each alternative's faults hold those of the alternatives below
        for _ in range(levels if self.again > 1 else 0):
            if looks > MOST_TO_TELL:
                break
            looks *= self.again
        return looks <= MOST_TO_TELL


def weigh(schema: Parts) -> Cost:
    """The cost of a schema.

    Raises InvalidSchema where it is too much for any document, or endless.
    """
    _check_patterns(schema)
    scale = _Scale(schema)
    scale.weigh(schema.schema, _Way())
    return Cost(
        _at_one(scale.looks),
        scale.chain,
        _at_one(scale.again),
        any(name in node for node in schema.nodes for name in ("anyOf", "oneOf")),
        scale.parts,
        _at_one(scale.patterns),
    )


def _at_one(counts: Counter[_Member]) -> int:
    """The most that come together at one value: at an item, or at a member by its name."""
    of_members = max((counts[name] for name in counts if isinstance(name, tuple)), default=0)
    return max(counts[_WHOLE], counts[_ITEM], of_members + counts[_MEMBER])


@dataclass(frozen=True, slots=True)
class _Way:
    """How a subschema was come to."""

    above: frozenset[int] = frozenset()
    """Those around it, by identity."""
    beside: frozenset[int] = frozenset()
    """Those of them that look at the same value."""
    member: _Member = _WHOLE
    """Which member of the value around it they look at."""

    def on(self, node: Node) -> _Way:
        """The way to what looks at the same value."""
        return _Way(self.above | {id(node)}, self.beside | {id(node)}, self.member)

    def into(self, node: Node, part: Part) -> _Way:
        """The way to what looks at members or items."""
        if part.keyword in OF_ITEMS:
            return _Way(self.above | {id(node)}, frozenset(), _ITEM)
        member = (part.name,) if part.keyword == "properties" else _MEMBER
        return _Way(self.above | {id(node)}, frozenset(), member)


class _Scale:
    def __init__(self, schema: Parts) -> None:
        self.parts = self.chain = 0
        self.looks: Counter[_Member] = Counter()
        self.again: Counter[_Member] = Counter()
        self.patterns: Counter[_Member] = Counter()
        self._schema = schema

    def weigh(self, node: object, way: _Way) -> None:
        self.parts += 1
        self.looks[way.member] += 1
        if self.parts > MOST_PARTS:
            raise refusal(f"With its references it has more than {MOST_PARTS:,} subschemas.", ())
        if not isinstance(node, dict):
            return
        if id(node) in way.above:
            self._lead_back(node, way)
            return
        if len(way.above) >= LONGEST_CHAIN:
            raise refusal(f"More than {LONGEST_CHAIN} subschemas are one inside the other.", ())
        self.chain = max(self.chain, len(way.beside) + 1)
        self.patterns[way.member] += _patterns_of(node)
        for inner, on in self._inside(node, way):
            self.weigh(inner, on)

    def _inside(self, node: Node, way: _Way) -> Iterator[tuple[object, _Way]]:
        for target in self._schema.led_to(node):
            yield target, way.on(node)
        for part in parts(node, ()):
            if part.keyword in IN_PLACE:
                yield part.node, way.on(node)
            elif part.keyword in OF_ITEMS | OF_MEMBERS:
                yield part.node, way.into(node, part)
            elif part.keyword == "propertyNames":
                yield part.node, _Way(way.above | {id(node)}, frozenset(), _MEMBER)

    def _lead_back(self, node: Node, way: _Way) -> None:
        if id(node) in way.beside:
            place = self._schema.places[id(node)]
            raise refusal("It leads back to itself without looking inside the value.", place)
        self.again[way.member] += 1


def _check_patterns(schema: Parts) -> None:
    if count_patterns(schema) > MOST_PATTERNS:
        raise refusal(f"It has more than {MOST_PATTERNS} regular expressions.", ())


def count_patterns(schema: Parts) -> int:
    """How many regular expressions a schema has."""
    return sum(map(_patterns_of, schema.nodes))


def _patterns_of(node: Node) -> int:
    named = node.get("patternProperties")
    return ("pattern" in node) + (len(named) if isinstance(named, dict) else 0)
