"""The way to what is wrong, where names are empty: the engine leaves those out."""

from __future__ import annotations

from typing import Any

import pytest

from demijohn.errors import InvalidDocument, InvalidSchema
from demijohn.schemas.schema import read_schema
from demijohn.schemas.ways import whole_way


@pytest.mark.parametrize(
    ("told", "wanted", "way"),
    [
        ((), 1, ("",)),
        (("a",), 2, ("a",)),
        (("b", "a"), 3, ("b", "", "a")),
        (("b", "a"), 4, ("b", "a")),
        (("c", 1, "x"), 5, ("c", 1, "", "x")),
        (("none",), 0, ("none",)),
    ],
)
def test_ways(told: tuple[str | int, ...], wanted: object, way: tuple[str | int, ...]) -> None:
    """The way is the one that leads to what is meant; what leads nowhere stays as it was told."""
    value: Any = {"": 1, "a": 2, "b": {"": {"a": 3}, "a": 4}, "c": [{"": 6}, {"": {"x": 5}}]}
    assert whole_way(value, told, lambda: wanted) == way


def test_faults_below_an_empty_name() -> None:
    """A fault of a document, and one of a schema, is told at its place below an empty name."""
    of_text = {"properties": {"": {"properties": {"a": {"type": "string"}}}}}
    with pytest.raises(InvalidDocument) as refused:
        read_schema(of_text).check({"": {"a": 1}, "a": "1"})
    assert [each.pointer for each in refused.value.faults] == ["//a"]
    with pytest.raises(InvalidSchema) as none:
        read_schema({"$defs": {"": {"type": "nonsense"}}})
    assert none.value.faults[0].pointer == "/$defs//type"


@pytest.mark.parametrize(
    ("schema", "document", "place"),
    [
        ({"properties": {"": {"type": "string"}}}, {"": 1}, "/properties//type"),
        (
            {"properties": {"": {"type": "string"}, "type": {"type": "null"}}},
            {"": 1, "type": None},
            "/properties//type",
        ),
        (
            {"properties": {"": {"type": "string"}, "type": {"type": "null"}}},
            {"": "", "type": 1},
            "/properties/type/type",
        ),
        ({"properties": {"": False}}, {"": 1}, "/properties/"),
        (
            {"properties": {"": {"properties": {"": False}}}},
            {"": {"": 1}},
            "/properties//properties/",
        ),
        (
            {"$defs": {"": {"type": "null"}}, "properties": {"a": {"$ref": "#/$defs/"}}},
            {"a": 1},
            "/$defs//type",
        ),
        ({"patternProperties": {"": {"minimum": 2}}}, {"a": 1}, "/patternProperties//minimum"),
        ({"dependentRequired": {"": ["a"]}}, {"": 1}, "/dependentRequired"),
        ({"const": {"": {"a": 1}}}, {}, "/const"),
        ({"allOf": [{}, {"items": {"required": [""]}}], "default": {"": 1}}, [{}], None),
    ],
)
def test_the_place_in_a_schema_has_its_empty_names(
    schema: dict[str, Any], document: object, place: str | None
) -> None:
    """It leads to the keyword that a document does not fit, by every name that is on the way."""
    with pytest.raises(InvalidDocument) as refused:
        read_schema(schema).check(document)
    assert [each.schema for each in refused.value.faults] == [place or "/allOf/1/items/required"]
