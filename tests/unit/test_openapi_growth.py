"""The description grows by collections' schemas, and stays one that tools can read."""

from __future__ import annotations

import jsonschema_rs
import orjson
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


def test_values_in_a_schema_are_left_alone() -> None:
    """What looks like a reference in an example is none."""
    assert embedded(TREE, PLACE)["examples"] == [{"$ref": "#/nothing"}]


def test_each_collection_with_a_schema_has_paths_of_its_own() -> None:
    """Without the parameter, under operation ids of their own, and with its schema in the body."""
    path = "/v1/collections/{collection}/documents"
    collection = {"name": "collection", "in": "path"}
    body = {"content": {"application/json": {"schema": {}}, "application/ejson": {"schema": {}}}}
    post = {"operationId": "create", "parameters": [collection], "requestBody": body}
    description = {
        "paths": {path: {"post": post, "get": {"operationId": "list"}}, "/data": {}},
        "components": {"schemas": {}},
    }

    found = grown(description, {"tree": orjson.dumps({"type": "object"})})

    own = found["paths"]["/v1/collections/tree/documents"]
    assert own["get"] == {"operationId": "list.tree", "parameters": []}
    assert own["post"]["parameters"] == []
    plain = own["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert plain["anyOf"][0]["allOf"][1] == {"$ref": "#/components/schemas/collection.tree"}
    assert own["post"]["requestBody"]["content"]["application/ejson"] == {"schema": {}}
    assert found["components"]["schemas"]["collection.tree"] == {"type": "object"}
    assert description["components"]["schemas"] == {}
    assert path in found["paths"]
