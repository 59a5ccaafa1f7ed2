"""What the description grows by: the schemas of collections, and paths of their own for those.

Of answers nothing is said: a document that was there before its schema stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from demijohn.formats.json_faults import pointer_to
from demijohn.schemas.parts import REFERENCES, Parts
from demijohn.web.openapi.vocabulary import ref

Json = dict[str, Any]
_PLACEHOLDER = "{collection}"
_PLAIN = "application/json"
_VALUES = frozenset(("const", "default", "enum", "examples"))
"""Keywords whose values are no schemas."""
_OF_THE_WHOLE = frozenset(("$id", "$schema"))
_WHOLE = ("post", "put")
"""Methods whose body is a whole document."""


def grown(description: Json, schemas: Mapping[str, bytes]) -> Json:
    """The description with what the schemas, by the names of their collections, add to it."""
    paths, components = dict(description["paths"]), dict(description["components"]["schemas"])
    for name, text in sorted(schemas.items()):
        component = f"collection.{name}"
        components[component] = embedded(orjson.loads(text), f"#/components/schemas/{component}")
        paths |= _paths(description["paths"], name, component)
    return {
        **description,
        "paths": paths,
        "components": {**description["components"], "schemas": components},
    }


def embedded(schema: Json, place: str) -> Json:
    """A schema that stood for itself, as a part of another document: its references lead there."""
    parts = Parts(schema)

    def rewritten(node: object) -> object:
        if isinstance(node, list):
            return [rewritten(each) for each in node]
        if not isinstance(node, dict):
            return node
        return dict(member(name, child) for name, child in node.items())

    def member(name: str, child: object) -> tuple[str, object]:
        if name in REFERENCES and isinstance(child, str):
            pointer = pointer_to(parts.place_of(child))
            return "$ref", place + quote(pointer, safe="/~")
        return name, child if name in _VALUES else rewritten(child)

    root = {name: child for name, child in schema.items() if name not in _OF_THE_WHOLE}
    return dict(member(name, child) for name, child in root.items())


def _paths(known: Json, name: str, component: str) -> Json:
    """The paths of a collection's documents, with its own schema in what is written whole."""
    found: Json = {}
    for path, item in known.items():
        if f"/{_PLACEHOLDER}/documents" not in path:
            continue
        operations = {
            method: _operation(operation, method, name, component)
            for method, operation in item.items()
        }
        found[path.replace(_PLACEHOLDER, name)] = operations
    return found


def _operation(operation: Json, method: str, name: str, component: str) -> Json:
    own = {
        **operation,
        "operationId": f"{operation['operationId']}.{name}",
        "parameters": [
            each for each in operation.get("parameters", ()) if each["name"] != "collection"
        ],
    }
    body = operation.get("requestBody")
    if body is None or method not in _WHOLE:
        return own
    document: Json = {"allOf": [ref("PlainDocument"), ref(component)]}
    if method == "post":
        document = {"anyOf": [document, {"type": "array", "items": document}]}
    content = {**body["content"], _PLAIN: {"schema": document}}
    return {**own, "requestBody": {**body, "content": content}}
