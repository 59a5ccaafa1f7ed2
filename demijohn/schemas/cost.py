"""How much work a schema may ask for, known before any document comes.

A validator looks at a part of a document with every subschema that applies to it. Subschemas that
share others by `$ref` multiply that: `anyOf` of two references, twenty-five levels of them, is 33
million looks at one number. And where a part is passed on to its members by several subschemas at
once, the multiple grows with each level of the document. Both are bounded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

Node = dict[str, Any]
_IN_PLACE = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"))
"""Keywords whose subschemas look at the same part (JSON Schema Core 2020-12, section 10.2)."""
_INSIDE = frozenset(
    (
        *("items", "prefixItems", "contains", "properties", "patternProperties"),
        *("additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
    )
)
"""Keywords whose subschemas look at members (section 10.3)."""
_REFERENCES = ("$ref", "$dynamicRef")
MOST = 10_000
"""Subschemas that may look at one part of a document."""
MOST_LOOKS = 1_000_000
"""Looks at one part by way of the levels above it."""


class Cost:
    """What one schema costs."""

    def __init__(self, schema: object) -> None:
        """Take a schema whose references stay inside it."""
        self._schema = schema
        self._anchors = _anchors(schema)
        self.has_references = any(
            name in each for each in subschemas(schema) for name in _REFERENCES
        )

    def looks(self) -> int:
        """The most subschemas that look at one part of a document; `MOST` + 1 for any more."""
        return self._most(lambda _: 1)

    def deepest(self, levels: int) -> int:
        """Levels, at most so many, of the deepest document that costs no more than it may."""
        growth = self._most(lambda node: int(not _INSIDE.isdisjoint(node)))
        if growth <= 1 or not self.has_references:
            return levels
        deepest, looks = 1, growth
        while deepest < levels and looks * growth <= MOST_LOOKS:
            deepest, looks = deepest + 1, looks * growth
        return deepest

    def resolve(self, reference: str) -> object:
        """What a reference points at; None where there is no such thing."""
        fragment = unquote(reference.partition("#")[2])
        if not fragment.startswith("/"):
            return self._anchors.get(fragment) if fragment else self._schema
        node = self._schema
        for part in fragment[1:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict):
                node = node.get(name)
            elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            else:
                return None
        return node

    def _most(self, own: Callable[[Node], int]) -> int:
        """The largest sum of what subschemas count by themselves, over all that look at a part."""
        known: dict[int, int] = {}
        under_way: set[int] = set()

        def total(node: object) -> int:
            if not isinstance(node, dict):
                return 0
            if id(node) in under_way:
                return 0  # a reference to itself is not followed twice at one part
            if id(node) not in known:
                under_way.add(id(node))
                known[id(node)] = min(own(node) + sum(map(total, self._beside(node))), MOST + 1)
                under_way.discard(id(node))
            return known[id(node)]

        return max(map(total, subschemas(self._schema)), default=0)

    def _beside(self, node: Node) -> Iterator[object]:
        """The subschemas that look at the same part."""
        for name in _IN_PLACE & node.keys():
            inner = node[name]
            if name == "dependentSchemas":
                yield from inner.values() if isinstance(inner, dict) else ()
            elif isinstance(inner, list):
                yield from inner
            else:
                yield inner
        for name in _REFERENCES:
            if isinstance(node.get(name), str):
                yield self.resolve(node[name])


def subschemas(schema: object) -> Iterator[Node]:
    """Every object in a schema, whether it is used as one or not."""
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _anchors(schema: object) -> Mapping[str, object]:
    return {
        each[name]: each
        for each in subschemas(schema)
        for name in ("$anchor", "$dynamicAnchor")
        if isinstance(each.get(name), str)
    }
