"""Which documents are held to a schema on the event loop: what that takes is bounded for sure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from demijohn.errors import InvalidDocument, InvalidSchema, MalformedJson
from demijohn.schemas.pace import MOST_STEPS, TO_SPELL, Pace, pace_of
from demijohn.schemas.parts import Parts
from demijohn.schemas.schema import compile_schema
from demijohn.schemas.work import weigh
from tests.support.fuzz import fuzz
from tests.support.fuzz_patches import PLAIN
from tests.support.fuzz_schemas import WHOLE

PERSON = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "mail": {"type": "string", "format": "email"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 20},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {"tag": {"enum": ["a", "b", "c"]}},
}
SLOW: dict[str, Any] = {
    "a pattern": {"pattern": "^a*$"},
    "patterns of names": {"patternProperties": {"^a*$": True}},
    "items one by one": {"uniqueItems": True},
    "what contains": {"contains": {"type": "string"}},
    "what others have not looked at": {"unevaluatedProperties": False},
    "items that others have not looked at": {"unevaluatedItems": False},
    "large numbers": {"multipleOf": 0.01},
    "a circle": {"properties": {"a": {"$ref": "#"}}},
    "a dynamic reference": {"$dynamicRef": "#a", "$defs": {"b": {"$anchor": "a"}}},
    "a format that takes long": {"format": "idn-hostname"},
    "an unknown format": {"format": "x"},
    "an unknown keyword": {"x": 1},
    "dependencies of before": {"dependencies": {"a": ["b"]}},
}
DEEP = ["properties", "items", "allOf", "not", "$defs"]


def pace(schema: dict[str, Any]) -> Pace | None:
    """The pace of a schema."""
    return pace_of(Parts(schema))


def test_what_most_schemas_are_is_quick() -> None:
    """A person's, for a document of a hundred values, but for none of a thousand."""
    schema = compile_schema(json.dumps(PERSON).encode())
    assert schema.is_quick(_many(100))
    assert not schema.is_quick(_many(1_000))


def _many(count: int) -> bytes:
    return json.dumps({str(at): "x" * 20 for at in range(count)}).encode()


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("where", DEEP)
def test_what_cannot_be_bounded_is_slow(name: str, where: str) -> None:
    """Wherever it stands in the schema, as soon as something leads there."""
    part = SLOW[name]
    inside: dict[str, Any] = {
        "properties": {"properties": {"a": part}},
        "items": {"items": part},
        "allOf": {"allOf": [True, part]},
        "not": {"not": part},
        "$defs": {"$defs": {"a": part}, "$ref": "#/$defs/a"},
    }[where]
    assert pace(part) is None
    assert pace({"type": "object", **inside}) is None or name == "a circle"


def test_steps_grow_with_what_is_asked() -> None:
    """A list to compare with, names to look up, references written out, values that are many."""
    words = pace({"enum": ["x"] * 2_000})
    assert words is not None
    assert words.once > 2_000
    assert not (pace({"items": {"enum": ["x"] * 200}}) or Pace()).is_quick(_many(100))
    assert not (pace({"properties": {"x" * 800_000: True}}) or Pace()).is_quick(b"{}")
    twice = {"$defs": {"a": {"enum": ["x"] * 5_000}}, "allOf": [{"$ref": "#/$defs/a"}] * 2}
    assert not (pace(twice) or Pace()).is_quick(b"{}")
    texts = {"allOf": [{"minLength": 1}] * 300}
    assert (pace(texts) or Pace()).is_quick(b"{}")
    assert not (pace(texts) or Pace()).is_quick(b'"%b"' % (b"x" * 4_000))


def test_a_list_that_many_references_lead_to_is_counted_once() -> None:
    """Or a schema of 256 KiB could take minutes to count, while nobody else is served."""
    large = {"enum": list(range(30_000))}
    schema = {"$defs": {"a": large}, "allOf": [{"$ref": "#/$defs/a"}] * 4_000}
    weigh(Parts(schema))
    found = pace(schema)
    assert found is not None
    assert found.once > 4_000 * 30_000
    assert not found.is_quick(b"{}")


def _looks(schema: Parts, node: object, value: object) -> Iterator[int]:
    """One for each subschema that meets a value, and for each entry that it compares it with."""
    yield 1
    if not isinstance(node, dict):
        return
    yield from (len(node[each]) for each in ("enum", "required") if each in node)
    for target in schema.led_to(node):
        yield from _looks(schema, target, value)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for each in node.get(keyword, ()):
            yield from _looks(schema, each, value)
    for keyword in ("not", "if", "then", "else"):
        if keyword in node:
            yield from _looks(schema, node[keyword], value)
    if isinstance(value, dict):
        yield from _looks_at_members(schema, node, value)
    if isinstance(value, list):
        yield from _looks_at_items(schema, node, value)


def _looks_at_items(schema: Parts, node: dict[str, Any], value: list[Any]) -> Iterator[int]:
    first = node.get("prefixItems", [])
    for at, each in enumerate(value):
        if at < len(first) or "items" in node:
            yield from _looks(schema, first[at] if at < len(first) else node["items"], each)


def _looks_at_members(schema: Parts, node: dict[str, Any], value: dict[str, Any]) -> Iterator[int]:
    named = node.get("properties", {})
    for each in node.get("dependentSchemas", {}).values():
        yield from _looks(schema, each, value)
    for name, each in value.items():
        if name in named or "additionalProperties" in node:
            inner = named[name] if name in named else node["additionalProperties"]
            yield from _looks(schema, inner, each)
        if "propertyNames" in node:
            yield from _looks(schema, node["propertyNames"], name)


def _without(node: Any, names: frozenset[str]) -> Any:
    """The same without some keywords, wherever they stand."""
    if isinstance(node, dict):
        return {name: _without(each, names) for name, each in node.items() if name not in names}
    return [_without(each, names) for each in node] if isinstance(node, list) else node


LEFT_OUT = frozenset(name for schema in SLOW.values() for name in schema) | {"$id", "$schema"}
QUICK = WHOLE.map(lambda schema: _without(schema, LEFT_OUT - {"$defs", "properties"}))
_NAMES = st.sampled_from(["a", "b", "", "x"])
DOCUMENTS = st.dictionaries(_NAMES, PLAIN | st.lists(PLAIN, max_size=9), max_size=4)


@fuzz(200)
@given(QUICK, DOCUMENTS | st.lists(PLAIN, max_size=9))
def test_the_bound_is_one(schema: object, document: object) -> None:
    """Of any schema that is called quick no more looks are taken than were counted before."""
    assume(isinstance(schema, dict))
    assert isinstance(schema, dict)
    try:
        parts = Parts(schema)
        weigh(parts)
        found = pace_of(parts)
    except InvalidSchema:
        return
    if found is not None:
        without_spelling = replace(found, each=found.each - TO_SPELL)
        steps = without_spelling.steps(json.dumps(document).encode())
        assert sum(_looks(parts, parts.schema, document)) <= steps


@fuzz(100)
@given(WHOLE, DOCUMENTS)
def test_fits_says_what_check_says(schema: object, document: dict[str, Any]) -> None:
    """Whether a document fits, by both."""
    try:
        compiled = compile_schema(json.dumps(schema).encode())
    except (InvalidSchema, InvalidDocument, MalformedJson):
        assume(False)
    try:
        compiled.check(document)
        is_fit = True
    except InvalidDocument:
        is_fit = False
    assert compiled.fits(document) is is_fit


def test_a_document_that_is_too_much_for_a_schema_does_not_fit() -> None:
    """As `check` has it: nobody has looked."""
    many = {"allOf": [{"enum": [0]}] * 3_000}
    compiled = compile_schema(json.dumps({"additionalProperties": many}).encode())
    document = {str(at): 0 for at in range(MOST_STEPS + 5)}
    assert not compiled.fits(document)
    with pytest.raises(InvalidDocument):
        compiled.check(document)
