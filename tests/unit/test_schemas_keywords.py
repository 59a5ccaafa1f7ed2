"""Every keyword of JSON Schema 2020-12 that asserts something, with a value that fits and one not.

The compiled validator is held to the standard's own suite by its makers; this holds it as it is
set up here: all keywords in force, formats asserted, the place in the schema told.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from demijohn.errors import InvalidDocument
from demijohn.schemas.schema import compile_schema

STRING, NUMBER = {"type": "string"}, {"type": "number"}
KEYWORDS: list[tuple[str, Any, Any, Any]] = [
    ("type", "integer", 1.0, 1.5),
    ("type", ["string", "null"], None, 0),
    ("enum", [1, "a", None, {"a": [1]}], {"a": [1.0]}, {"a": []}),
    ("const", {"a": 1}, {"a": 1.0}, {"a": True}),
    ("multipleOf", 0.01, 19.99, 19.999),
    ("multipleOf", 2, 2**62, 2**62 + 1),
    ("maximum", 2**53, 2**53, 2**53 + 1),
    ("exclusiveMaximum", 3, 2.99, 3.0),
    ("minimum", -1, -1.0, -1.1),
    ("exclusiveMinimum", 0, 1e-300, 0),
    ("maxLength", 2, "😀é", "abc"),
    ("minLength", 2, "😀a", "😀"),
    ("pattern", "b+$", "abb", "abc"),
    ("pattern", r"^\p{Lu}\d{2}$", "É12", "é12"),
    ("maxItems", 1, [1], [1, 2]),
    ("minItems", 1, [1], []),
    ("uniqueItems", True, [1, True, "1", [1]], [1, 1.0]),
    ("contains", {"const": 1}, [0, 1], [0]),
    ("maxProperties", 1, {"a": 1}, {"a": 1, "b": 2}),
    ("minProperties", 1, {"a": 1}, {}),
    ("required", ["a"], {"a": None}, {"b": 1}),
    ("dependentRequired", {"a": ["b"]}, {"a": 1, "b": 1}, {"a": 1}),
    ("prefixItems", [STRING, NUMBER], ["a", 1, None], [1]),
    ("items", STRING, ["a"], [1]),
    ("properties", {"a": STRING}, {"a": "a", "b": 1}, {"a": 1}),
    ("patternProperties", {"^a": STRING}, {"ab": "a", "b": 1}, {"ab": 1}),
    ("additionalProperties", NUMBER, {"a": 1}, {"a": "a"}),
    ("propertyNames", {"maxLength": 1}, {"a": 1}, {"ab": 1}),
    ("unevaluatedItems", False, [], [1]),
    ("unevaluatedProperties", False, {}, {"a": 1}),
    ("dependentSchemas", {"a": {"required": ["b"]}}, {"b": 1}, {"a": 1}),
    ("allOf", [STRING, {"minLength": 1}], "a", ""),
    ("anyOf", [STRING, NUMBER], 1, None),
    ("oneOf", [NUMBER, {"type": "integer"}], 1.5, 1),
    ("not", STRING, 1, "a"),
    ("$ref", "#/$defs/string", "a", 1),
    ("$dynamicRef", "#number", 1, "a"),
]
"""A keyword, its value, a document's value that fits, and one that does not."""
FORMATS = [
    ("date-time", "2026-11-23T12:00:00.123Z", "2026-11-23 12:00"),
    ("date", "2024-02-29", "2026-02-29"),
    ("time", "12:00:00+01:00", "25:00:00Z"),
    ("duration", "P1DT2H", "1 day"),
    ("email", "ada@a.example", "ada"),
    ("idn-email", "실례@실례.테스트", "실례"),
    ("hostname", "a.example", "-a"),
    ("idn-hostname", "실례.테스트", "〮a"),
    ("ipv4", "127.0.0.1", "127.0.0.256"),
    ("ipv6", "::1", "::g"),
    ("uri", "https://a.example/b?c#d", "//a"),
    ("uri-reference", "/b", "\\b"),
    ("iri", "https://ƒøø.example/", "ƒ"),
    ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08"),
    ("uri-template", "/a/{b}", "/a/{b"),
    ("json-pointer", "/a~0b", "a"),
    ("relative-json-pointer", "1/a", "/a"),
    ("regex", "a+", "("),
]
COMBINED: list[tuple[dict[str, Any], Any, Any]] = [
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
    ({"if": STRING, "else": NUMBER}, 1, None),
    ({"contains": NUMBER, "minContains": 2, "maxContains": 3}, [1, 2, "a"], [1, "a"]),
    ({"prefixItems": [STRING], "items": False}, ["a"], ["a", "b"]),
    ({"prefixItems": [True], "allOf": [True], "unevaluatedItems": STRING}, [1, "a"], [1, 1]),
    (
        {"allOf": [{"properties": {"a": True}}], "unevaluatedProperties": False},
        {"a": 1},
        {"a": 1, "b": 1},
    ),
    ({"properties": {"a": True}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
    ({"properties": {"a": False}}, {}, {"a": 1}),
]


def refusal(schema: object, value: object) -> InvalidDocument:
    """Why a value does not fit."""
    with pytest.raises(InvalidDocument) as caught:
        compile_schema(json.dumps(schema).encode()).check(value)
    return caught.value


@pytest.mark.parametrize(("keyword", "given", "good", "bad"), KEYWORDS)
def test_each_keyword_is_in_force(keyword: str, given: Any, good: Any, bad: Any) -> None:
    """Alone, and below a property, where the pointers lead."""
    defs = {"string": STRING, "number": {"$dynamicAnchor": "number", **NUMBER}}
    schema = {"$defs": defs, "properties": {"p": {keyword: given}}}
    compile_schema(json.dumps(schema).encode()).check({"p": good})

    fault = refusal(schema, {"p": bad}).faults[0]

    assert fault.pointer.startswith("/p")
    lead = "/$defs" if keyword in ("$ref", "$dynamicRef") else f"/properties/p/{keyword}"
    assert (fault.schema or "").startswith(lead)


@pytest.mark.parametrize(("name", "good", "bad"), FORMATS)
def test_each_format_is_asserted(name: str, good: str, bad: str) -> None:
    """Of strings; what is no string has no format."""
    schema = {"format": name}
    held = compile_schema(json.dumps(schema).encode())
    held.check(good)
    held.check(1)

    assert refusal(schema, bad).faults[0].schema == "/format"


def test_an_unknown_format_asserts_nothing() -> None:
    """As the standard has it: schemas of other tools have words of their own."""
    compile_schema(b'{"format": "colour", "x-own": 1}').check("anything")


@pytest.mark.parametrize(("schema", "good", "bad"), COMBINED)
def test_keywords_that_belong_together(schema: dict[str, Any], good: Any, bad: Any) -> None:
    """Those that look at one another."""
    compile_schema(json.dumps(schema).encode()).check(good)

    assert refusal(schema, bad).faults
