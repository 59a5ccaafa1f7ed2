"""Whether holding a document to a schema is quick for sure, known before the document is read.

What has no thread to itself may hold up all others, so this only counts what it can bound. A
keyword that is not listed here makes a schema slow: a pattern, what compares items with one
another, what asks which members others have looked at. So does a reference that leads back. All
other subschemas stand at fixed ways through a document, and each meets a value at most once: one
value, if the way to it names each member, or else no more than the document has.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from demijohn.schemas.parts import Node, Parts, parts, references

MOST_STEPS = 10_000
"""One takes some 10 to 30 ns."""
_TEXT = 64
"""Bytes of text that are looked through in one step."""
TO_SPELL = 10
"""Steps that a value takes before a subschema looks at it: it is spelt as plain JSON again."""
_SAYING = frozenset(
    ("$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated")
) | {"readOnly", "writeOnly"}
"""Keywords that ask for nothing."""
_HOLDING = frozenset(("$defs", "definitions"))
_NAMING = frozenset(("properties", "dependentSchemas"))
"""Keywords whose subschemas have names, which are looked up in the document."""
_LEADING = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref")) | {
    *("items", "prefixItems", "additionalProperties", "propertyNames", "$anchor"),
}
"""Keywords of which nothing but their subschemas counts."""
_ASKING = frozenset(("type", "required", "dependentRequired", "enum", "const")) | {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minItems", "maxItems", "minProperties", "maxProperties"),
}
"""Keywords whose work grows with what stands behind them."""
_READING = frozenset(("minLength", "maxLength", "format"))
"""Keywords that look through a text."""
_FORMATS = frozenset(("date-time", "date", "time", "email", "uuid", "ipv4", "ipv6", "uri"))
"""Those that read it once."""
_SPREADING = frozenset(("items", "additionalProperties", "propertyNames"))
"""Keywords whose subschemas meet many values."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The steps that a schema takes."""

    once: int = 0
    """Whatever the document."""
    each: int = 0
    """For each value of the document, at most."""
    texts: int = 0
    """Keywords that look through texts, no byte of a document twice."""

    def is_quick(self, text: bytes) -> bool:
        """Whether the document in a JSON text is held to the schema in no time."""
        return self.steps(text) <= MOST_STEPS

    def steps(self, text: bytes) -> int:
        """The most steps for the document in a JSON text."""
        # Of what is in a container the first follows the bracket, and each other one a comma.
        values = 1 + text.count(b",") + text.count(b"[") + text.count(b"{")
        return self.once + (self.each + TO_SPELL) * values + self.texts * (len(text) // _TEXT)

    def __add__(self, other: Pace) -> Pace:
        """Both."""
        return Pace(self.once + other.once, self.each + other.each, self.texts + other.texts)

    def spread(self) -> Pace:
        """The same at each value of a document."""
        return Pace(0, self.once + self.each, self.texts)


def pace_of(schema: Parts) -> Pace | None:
    """The pace of a schema that `work.weigh` has let pass; None for a slow one."""
    try:
        return _Walk(schema).pace(schema.schema, frozenset())
    except _SlowError:
        return None


class _SlowError(Exception):
    """Something in it cannot be bounded."""


class _Walk:
    def __init__(self, schema: Parts) -> None:
        self._schema = schema
        self._own: dict[int, Pace] = {}

    def pace(self, node: object, above: frozenset[int]) -> Pace:
        """The pace of a subschema with all inside, references written out."""
        if not isinstance(node, dict):
            return Pace(1)
        if id(node) in above:
            raise _SlowError
        if id(node) not in self._own:  # which may be led to often, and have much to count
            self._own[id(node)] = _own(node)
        pace = self._own[id(node)]
        above |= {id(node)}
        for target in self._schema.led_to(node):
            pace += self.pace(target, above)
        for part in parts(node, ()):
            if part.keyword not in _HOLDING:
                inside = self.pace(part.node, above)
                pace += inside.spread() if part.keyword in _SPREADING else inside
        return pace


def _own(node: Node) -> Pace:
    """What the keywords of a subschema take, without those inside."""
    pace = Pace(1 + len(references(node)))
    for keyword, value in node.items():
        if keyword in _ASKING:
            pace += Pace(_size(value))
        elif keyword in _NAMING:
            pace += Pace(_size(list(value)))
        elif keyword in _READING:
            if keyword == "format" and value not in _FORMATS:
                raise _SlowError
            pace += Pace(1, texts=1)
        elif keyword not in _LEADING | _HOLDING | _SAYING:
            raise _SlowError
    if "additionalProperties" in node:
        # The name of each member is looked up among these.
        pace += Pace(each=1 + len(node.get("properties", ())))
    return pace


def _size(value: object) -> int:
    """Steps to compare something with all of a value."""
    waiting = [value]
    for each in waiting:  # which grows meanwhile
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return len(waiting) + len(orjson.dumps(value)) // _TEXT
