"""The description grows by collections' schemas, and stays one that tools can read."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from demijohn.web.openapi.growth import embedded, grown

TREE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$ref": "#/$defs/a~1b",
    "$defs": {
        "a/b": {
            "type": "object",
            "properties": {"next": {"$ref": "#"}, "name": {"$ref": "#name"}, "x": {"const": {}}},
        },
        "c": {"$anchor": "name", "type": "string"},
    },
    "examples": [{"$ref": "#/nothing"}],
}
PLACE = "#/components/schemas/collection.tree"


@pytest.mark.parametrize(
    ("document", "fits"),
    [
        ({"next": {"next": {"name": "a"}}}, True),
        ({"next": {"next": {"name": 1}}}, False),
        ({"name": 1}, False),
        ({"x": {}}, True),
    ],
)
def test_references_lead_where_they_led(document: object, fits: bool) -> None:  # noqa: FBT001
    """Inside the description a schema means what it meant by itself."""
    whole = {
        "$ref": PLACE,
        "components": {"schemas": {"collection.tree": embedded(TREE, PLACE)}},
    }

    assert jsonschema_rs.Draft202012Validator(TREE).is_valid(document) is fits
    assert jsonschema_rs.Draft202012Validator(whole, offline=True).is_valid(document) is fits


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"items": {"$dynamicRef": "#n"}, "$dynamicAnchor": "n", "type": "array"}, [[]], [1]),
        (
            {
                "$ref": "#/x%20y/0",
                "x y": [{"$ref": "#s"}],
                "$defs": {"é": {"$anchor": "s", "type": "string"}},
            },
            "a",
            1,
        ),
        (
            {
                "$ref": "#/$defs/a",
                "$dynamicRef": "#/$defs/b",
                "allOf": [{"maximum": 9}],
                "$defs": {"a": {"minimum": 2}, "b": {"multipleOf": 2}},
            },
            4,
            3,
        ),
        (
            {
                "$ref": "#/$defs/no",
                "$defs": {"no": {"not": {"$ref": "#/$defs/yes"}}, "yes": {"const": {"$ref": "#"}}},
            },
            1,
            {"$ref": "#"},
        ),
        (
            {
                "$id": "https://a.example/b",
                "properties": {"$id": {"type": "string"}, "%/~": {"$ref": "#/properties/$id"}},
            },
            {"%/~": "a"},
            {"%/~": 1},
        ),
        (
            {"properties": {"a": {"$ref": "#/properties/%25~1~0"}, "%/~": {"type": "null"}}},
            {"a": None},
            {"a": 1},
        ),
    ],
)
def test_a_schema_means_in_the_description_what_it_means_alone(
    schema: dict[str, object], good: object, bad: object
) -> None:
    """With references of every kind, and names that a URI escapes."""
    whole = {"$ref": PLACE, "components": {"schemas": {"collection.tree": embedded(schema, PLACE)}}}

    for each in (schema, whole):
        validator = jsonschema_rs.Draft202012Validator(each, offline=True)
        assert (validator.is_valid(good), validator.is_valid(bad)) == (True, False)


def test_values_in_a_schema_are_left_alone() -> None:
    """What looks like a reference in an example is none."""
    assert embedded(TREE, PLACE)["examples"] == [{"$ref": "#/nothing"}]


def test_each_collection_with_a_schema_has_paths_of_its_own() -> None:
    """Without the parameter, under operation ids of their own, and with its schema in the body."""
    path = "/v1/collections/{collection}/documents"
    collection = {"name": "collection", "in": "path"}
    body: dict[str, Any] = {
        "content": {"application/json": {"schema": {}}, "application/ejson": {"schema": {}}}
    }
    link = {
        "operationId": "read",
        "parameters": {"collection": "$request.path.collection", "id": "x"},
    }
    post = {
        "operationId": "create",
        "parameters": [collection],
        "requestBody": body,
        "responses": {"201": {"links": {"read": link}}, "400": {"$ref": "#"}},
    }
    description: dict[str, Any] = {
        "paths": {path: {"post": post, "get": {"operationId": "list", "responses": {}}}},
        "components": {"schemas": {}},
    }

    found = grown(description, {"tree": {"type": "object"}})

    own = found["paths"]["/v1/collections/tree/documents"]
    assert own["get"] == {"operationId": "list.tree", "parameters": [], "responses": {}}
    assert own["post"]["responses"] == {
        "201": {"links": {"read.tree": {"operationId": "read.tree", "parameters": {"id": "x"}}}},
        "400": {"$ref": "#"},
    }
    assert own["post"]["parameters"] == []
    plain = own["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert plain["anyOf"][0]["allOf"][1] == {"$ref": "#/components/schemas/collection.tree"}
    assert own["post"]["requestBody"]["content"]["application/ejson"] == {"schema": {}}
    assert found["components"]["schemas"]["collection.tree"] == {"type": "object"}
    assert description["components"]["schemas"] == {}
    assert path in found["paths"]
