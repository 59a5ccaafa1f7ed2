"""What a schema is made of: its subschemas, where they stand, and what its references lead to.

A keyword counts where JSON Schema 2020-12 has a schema, and at what a reference leads to; the same
word inside `const` or `examples` is data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from demijohn.errors import Fault, InvalidSchema
from demijohn.formats.json_faults import pointer_to
from demijohn.patches.faults import Unfit
from demijohn.patches.pointer import parse

Node = dict[str, Any]
Place = tuple[str | int, ...]

_OF_NAMES = frozenset(("dependentSchemas", "dependencies"))
"""`dependencies` is of older drafts, but the engine still goes by it."""
IN_PLACE = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "then", "else")) | _OF_NAMES
"""Keywords whose subschemas look at the same value (JSON Schema Core, section 10.2)."""
OF_ITEMS = frozenset(("items", "prefixItems", "contains", "unevaluatedItems"))
OF_MEMBERS = frozenset(
    ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties")
)
"""Keywords whose subschemas look at what is inside the value (section 10.3)."""
_HELD = frozenset(("$defs", "definitions", "contentSchema", "propertyNames"))
REFERENCES = ("$ref", "$dynamicRef")
NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions")) | _OF_NAMES
"""Keywords that are objects of subschemas."""
KEYWORDS = IN_PLACE | OF_ITEMS | OF_MEMBERS | _HELD
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Part:
    """A subschema: the keyword that it is of, its name or number there, and where it stands."""

    keyword: str
    name: str | int | None
    node: object
    place: Place


class Parts:
    """The subschemas of one schema, references followed, each once."""

    def __init__(self, schema: Node) -> None:
        """Take a schema. Raises InvalidSchema for a reference that leads out of it or nowhere."""
        self.schema = schema
        self.places: dict[int, Place] = {}
        """Of each subschema that is an object, by its identity."""
        self.nodes: list[Node] = []
        """The same subschemas."""
        self._anchors: dict[str, Node] = {}
        waiting: list[tuple[object, Place]] = [(schema, ())]
        while waiting:
            # Anchors may stand anywhere, so they are known before a reference is followed.
            waiting = self._explore(waiting)

    def led_to(self, node: Node) -> Iterator[Node]:
        """What the references of a subschema lead to, where that is an object."""
        for reference in references(node):
            target = self._resolve(reference, ())[0]
            if isinstance(target, dict):
                yield target

    def place_of(self, reference: str) -> Place:
        """Where what a reference leads to stands."""
        return self._resolve(reference, ())[1]

    def _explore(self, waiting: list[tuple[object, Place]]) -> list[tuple[object, Place]]:
        """Take in these and all below them; what their references lead to beside that."""
        fresh: list[tuple[Node, Place]] = []
        for node, place in waiting:  # which grows meanwhile
            if isinstance(node, dict) and id(node) not in self.places:
                self.places[id(node)] = place
                self.nodes.append(node)
                self._take_anchors(node, place)
                _check_alone(node, place)
                fresh.append((node, place))
                waiting += [(each.node, each.place) for each in parts(node, place)]
        return [
            self._resolve(node[name], (*place, name))
            for node, place in fresh
            for name in REFERENCES
            if isinstance(node.get(name), str)
        ]

    def _take_anchors(self, node: Node, place: Place) -> None:
        for name in ("$anchor", "$dynamicAnchor"):
            anchor = node.get(name)
            if isinstance(anchor, str) and self._anchors.setdefault(anchor, node) is not node:
                raise refusal("Another subschema has the same anchor.", (*place, name))

    def _resolve(self, reference: str, at: Place) -> tuple[object, Place]:
        if not reference.startswith("#"):
            raise refusal("A reference starts with #: none that leads out is followed.", at)
        fragment = unquote(reference[1:])
        found: tuple[object, Place] | None
        if not fragment or fragment.startswith("/"):
            found = _follow(self.schema, fragment)
        else:
            named = self._anchors.get(fragment)
            found = None if named is None else (named, self.places[id(named)])
        if found is None or not isinstance(found[0], dict | bool):
            raise refusal("The reference leads to no schema.", at)
        return found


def references(node: Node) -> list[str]:
    """The references of a subschema."""
    return [node[name] for name in REFERENCES if isinstance(node.get(name), str)]


def parts(node: Node, place: Place) -> Iterator[Part]:
    """The subschemas directly in a subschema."""
    for keyword, inner in node.items():
        if keyword not in KEYWORDS:
            continue
        here = (*place, keyword)
        if keyword in NAMED and isinstance(inner, Mapping):
            for name, each in inner.items():
                yield Part(keyword, name, each, (*here, name))
        elif isinstance(inner, list):
            for at, each in enumerate(inner):
                yield Part(keyword, at, each, (*here, at))
        else:
            yield Part(keyword, None, inner, here)


def refusal(detail: str, place: Place) -> InvalidSchema:
    """The problem of a schema with one fault, at this place in it."""
    return InvalidSchema(detail, faults=(Fault(pointer_to(place), detail),))


def _check_alone(node: Node, place: Place) -> None:
    """Raise InvalidSchema for what would give a subschema another language or another base."""
    dialect = node.get("$schema")
    if isinstance(dialect, str) and dialect.removesuffix("#") != _DIALECT:
        raise refusal(f"$schema is {_DIALECT}, or absent.", (*place, "$schema"))
    if place and "$id" in node:
        raise refusal("Only the whole schema has an $id here.", (*place, "$id"))


def _follow(node: object, pointer: str) -> tuple[object, Place] | None:
    """What a JSON Pointer leads to (RFC 6901), and the way there; None where that is nothing."""
    try:
        tokens = parse(pointer)
    except Unfit:
        return None
    place: list[str | int] = []
    for token in tokens:
        if isinstance(node, dict) and token in node:
            node = node[token]
            place.append(token)
        elif isinstance(node, list) and token.isdecimal() and int(token[:9]) < len(node):
            node = node[int(token[:9])]
            place.append(int(token[:9]))
        else:
            return None
    return node, tuple(place)
