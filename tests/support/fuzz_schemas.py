"""JSON Schemas for fuzzers: of every keyword, with references, good ones and odd ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.support.fuzz_patches import PLAIN
from tests.support.fuzz_texts import Json, replaced

_NAMES = st.sampled_from(["a", "b", "", "a/b", "$x"])
_TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
_COUNTS = st.integers(0, 4) | st.sampled_from([0.0, 2.0, 2**63 - 1])
_NUMBERS = st.integers(-5, 5) | st.floats(-5, 5) | st.sampled_from([1e308, 2**63 - 1, -(2**63)])
_PATTERNS = st.sampled_from(
    ["^a", "", "(b|c)*$", r"\d+", "(", "(?=a)", r"\p{L}", "x{1000}{1000}", "[é]"]
)
_FORMATS = st.sampled_from(
    [
        "date",
        "date-time",
        "email",
        "ipv6",
        "uri",
        "uuid",
        "regex",
        "idn-hostname",
        "json-pointer",
        "?",
    ]
)
REFERENCES = st.sampled_from(
    [
        *("#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#there", "#/allOf/0", "#/%24defs/a"),
        *("#/$defs/none", "http://a.example/", "file:///etc/passwd", "other", "#/%zz", "#/~2", ""),
        *(
            "#/allOf/٠",
            "#/allOf/00",
            "#/allOf/99999999999999999999",
            "#/properties/a~1b",
            "#/properties",
        ),
        *("urn:x", "# ", "//a", "#/$defs/a/"),
    ]
)
_LEAVES: dict[str, Json] = {
    "type": _TYPES | st.lists(_TYPES, min_size=1, max_size=3, unique=True),
    "enum": st.lists(PLAIN, max_size=3),
    "const": PLAIN,
    "multipleOf": st.sampled_from([1, 2, 0.5, 1e-300, 2**62, 0.1, 1e308]),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"), _NUMBERS),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems"), _COUNTS),
    **dict.fromkeys(("maxProperties", "minProperties", "maxContains", "minContains"), _COUNTS),
    "pattern": _PATTERNS,
    "format": _FORMATS,
    "uniqueItems": st.booleans(),
    "required": st.lists(_NAMES, max_size=3, unique=True),
    "dependentRequired": st.dictionaries(
        _NAMES, st.lists(_NAMES, max_size=2, unique=True), max_size=2
    ),
    "$ref": REFERENCES,
    "$dynamicRef": REFERENCES,
    "$anchor": st.sampled_from(["there", "a", "1"]),
    "$dynamicAnchor": st.sampled_from(["there", "node"]),
    "$id": st.sampled_from(["https://a.example/x", "x", "#", "urn:a:b", "http://[", "%"]),
    "$schema": st.sampled_from(
        ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"]
    ),
    "title": st.text(max_size=3),
    "default": PLAIN,
    "contentMediaType": st.just("application/json"),
}
_IN_ONE = (
    "not",
    "if",
    "then",
    "else",
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
)
_MORE = ("unevaluatedItems", "unevaluatedProperties", "contentSchema")
_IN_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_IN_OBJECTS = ("properties", "$defs", "dependentSchemas", "definitions")


def _with_parts(inner: Json) -> Json:
    parts: dict[str, Json] = {
        **dict.fromkeys((*_IN_ONE, *_MORE), inner),
        **dict.fromkeys(_IN_LISTS, st.lists(inner, min_size=1, max_size=3)),
        **dict.fromkeys(_IN_OBJECTS, st.dictionaries(_NAMES, inner, max_size=3)),
        "patternProperties": st.dictionaries(_PATTERNS, inner, max_size=2),
        "dependencies": st.dictionaries(_NAMES, inner, max_size=1),
    }
    return _some({**_LEAVES, **parts}, 4)


def _some(keywords: dict[str, Json], most: int) -> Json:
    """Objects with some of these members; most of them would seldom go together."""

    @st.composite
    def drawn(draw: st.DrawFn) -> dict[str, Any]:
        names = draw(st.lists(st.sampled_from(sorted(keywords)), max_size=most, unique=True))
        return {name: draw(keywords[name]) for name in names}

    return drawn()


WHOLE: Json = st.recursive(st.booleans() | _some(_LEAVES, 2), _with_parts, max_leaves=6)
"""Schemas whose keywords have the right types."""
SCHEMAS: Json = replaced(WHOLE, PLAIN | st.sampled_from([{}, [], {"$ref": "#"}, {"$id": "x"}]))
"""The same, a third of them with an odd part."""
