"""What the description grows by: the schemas of collections, and paths of their own for those.

Of answers nothing is said: a document that was there before its schema stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from demijohn.formats import media_types
from demijohn.schemas.parts import REFERENCES, Parts, Place, references
from demijohn.web.openapi.vocabulary import ref

Json = dict[str, Any]
_PARAMETER = "collection"
_PLACEHOLDER = "{collection}"
_OF_ITS_OWN = frozenset(("$schema", "$id", "$anchor", "$dynamicAnchor", "$vocabulary", *REFERENCES))
_PLAIN_IN_FRAGMENTS = "~!$&'()*+,;=:@?"
_WHOLE = ("post", "put")
"""Methods whose body is a whole document."""


def grown(description: Json, schemas: Mapping[str, Json]) -> Json:
    """The description with what the schemas, by the names of their collections, add to it."""
    paths, components = dict(description["paths"]), dict(description["components"]["schemas"])
    for name, schema in sorted(schemas.items()):
        component = f"collection.{name}"
        components[component] = embedded(schema, f"#/components/schemas/{component}")
        paths |= _paths(description["paths"], name, component)
    return {
        **description,
        "paths": paths,
        "components": {**description["components"], "schemas": components},
    }


def embedded(schema: Json, place: str) -> Json:
    """A schema that stood for itself, as a part of another document: its references lead there.

    Nothing in it has a name of its own there, which another schema might have too.
    """
    known = Parts(schema)

    def copied(node: object) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(node, list):
            return [copied(each) for each in node]
        if not isinstance(node, dict):
            return node
        if id(node) not in known.places:
            return {name: copied(child) for name, child in node.items()}
        own = {name: copied(node[name]) for name in node if name not in _OF_ITS_OWN}
        led = [{"$ref": place + _fragment(known.place_of(each))} for each in references(node)]
        # Of a resource without another inside it $dynamicRef leads where $ref does.
        return own | led[0] if len(led) == 1 else own | _all_of(led, own)

    return dict(copied(schema))


def _all_of(led: list[Json], own: Json) -> Json:
    return {"allOf": [*led, *own.get("allOf", ())]} if led else {}


def _fragment(place: Place) -> str:
    """The way to a part as the fragment of a URI (RFC 6901, section 6)."""
    tokens = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
    return "".join(f"/{quote(token, safe=_PLAIN_IN_FRAGMENTS)}" for token in tokens)


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
    parameters = operation.get("parameters", ())
    own = {
        **operation,
        "operationId": f"{operation['operationId']}.{name}",
        "parameters": [each for each in parameters if each["name"] != _PARAMETER],
        "responses": {
            status: _answer(answer, name) for status, answer in operation["responses"].items()
        },
    }
    body = operation.get("requestBody")
    if body is None or method not in _WHOLE:
        return own
    document: Json = {"allOf": [ref("PlainDocument"), ref(component)]}
    if method == "post":
        document = {"anyOf": [document, {"type": "array", "items": document}]}
    content = {**body["content"], media_types.PLAIN: {"schema": document}}
    return {**own, "requestBody": {**body, "content": content}}


def _answer(answer: Json, name: str) -> Json:
    """An answer whose links stay among the collection's own operations."""
    if "links" not in answer:
        return answer
    links = {
        f"{operation}.{name}": _link(each, name) for operation, each in answer["links"].items()
    }
    return {**answer, "links": links}


def _link(link: Json, name: str) -> Json:
    parameters = {each: of for each, of in link["parameters"].items() if each != _PARAMETER}
    return {**link, "operationId": f"{link['operationId']}.{name}", "parameters": parameters}
