"""JSON Schemas of collections: what is taken, what is refused, and what may never happen."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from demijohn.errors import InvalidDocument, InvalidSchema, MalformedJson
from demijohn.schemas.cost import MOST_LOOKS
from demijohn.schemas.schema import DEEPEST, LARGEST, Schema, compile_schema

PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "born": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
    },
    "$defs": {"tag": {"enum": ["a", "b"]}},
}


def schema(value: object) -> Schema:
    """A schema from a Python value."""
    return compile_schema(json.dumps(value).encode())


def refused(value: object) -> InvalidSchema:
    """Why a schema is not taken."""
    with pytest.raises(InvalidSchema) as caught:
        schema(value)
    return caught.value


def faults(value: object, document: object) -> list[tuple[str, str | None]]:
    """The pointers of what is wrong with a document: into it, and into the schema."""
    with pytest.raises(InvalidDocument) as caught:
        schema(value).check(document)
    return [(each.pointer, each.schema) for each in caught.value.faults]


def test_what_fits_passes() -> None:
    """A document that meets every keyword is taken."""
    schema(PERSON).check({"name": "Ada", "age": 36, "born": "1815-12-10", "tags": ["a"], "x": 1})


@pytest.mark.parametrize(
    ("document", "pointer", "keyword"),
    [
        ({}, "", "/required"),
        ({"name": ""}, "/name", "/properties/name/minLength"),
        ({"name": "A", "age": -1}, "/age", "/properties/age/minimum"),
        ({"name": "A", "age": 1.5}, "/age", "/properties/age/type"),
        ({"name": "A", "born": "1815-13-10"}, "/born", "/properties/born/format"),
        ({"name": "A", "tags": ["a", "c"]}, "/tags/1", "/$defs/tag/enum"),
    ],
)
def test_faults_are_pointed_at(document: object, pointer: str, keyword: str) -> None:
    """Both in the document and in the schema; formats are asserted."""
    ((found, in_schema),) = faults(PERSON, document)

    assert found == pointer
    assert in_schema is not None
    assert in_schema.split("/")[-1] == keyword.rsplit("/", maxsplit=1)[-1]


def test_many_faults_are_told_up_to_twenty() -> None:
    """And each in a bounded length, however long what it quotes."""
    every = {"additionalProperties": {"type": "integer"}}
    with pytest.raises(InvalidDocument) as caught:
        schema(every).check({str(at): 10_000 * "x" for at in range(50)})

    assert len(caught.value.faults) == 20
    assert max(len(each.detail) for each in caught.value.faults) < 400


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (True, ""),
        ([], ""),
        ("x", ""),
        ({"type": "nonsense"}, "/type"),
        ({"properties": {"a": {"minimum": "x"}}}, "/properties/a/minimum"),
        ({"pattern": "("}, "/pattern"),
        ({"pattern": "(?=a)b"}, "/pattern"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, ""),
        ({"$ref": "#/$defs/none"}, ""),
        ({"$ref": "#none"}, ""),
        ({"$ref": "other.json"}, ""),
        ({"properties": {"a": {"$id": "b", "type": "string"}}}, ""),
        ({"pattern": "x{1000}{1000}"}, "/pattern"),
    ],
)
def test_what_is_no_schema_is_refused(value: object, pointer: str) -> None:
    """With a pointer to the keyword, where one is to blame."""
    assert refused(value).faults[0].pointer == pointer


def test_no_reference_is_followed(tmp_path: Path) -> None:
    """Neither over the network nor on the disk."""
    secret = tmp_path / "secret.json"
    secret.write_text('{"type": "string"}', encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        for target in (f"http://127.0.0.1:{port}/x.json", secret.as_uri(), str(secret)):
            for name in ("$ref", "$dynamicRef"):
                refused({name: target})
                refused({"properties": {"a": {"anyOf": [{name: target}]}}})
            refused({"$schema": target})
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "value",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$dynamicAnchor": "n", "$dynamicRef": "#n"},
        {"not": {"$ref": "#"}},
    ],
)
def test_schemas_that_lead_back_to_themselves_end(value: object) -> None:
    """A reference in a circle neither hangs nor kills the process."""
    with suppress(InvalidSchema, InvalidDocument):
        schema(value).check({"a": 1})


def layers(count: int, build: Any) -> dict[str, Any]:
    """Definitions, each made of two of the next."""
    defs = {f"d{at}": build({"$ref": f"#/$defs/d{at + 1}"}) for at in range(count)}
    return {"$defs": {**defs, f"d{count}": {"const": 1}}, "$ref": "#/$defs/d0"}


def test_references_that_multiply_are_refused() -> None:
    """Twenty-five levels of two are 33 million looks at one number."""
    refused(layers(25, lambda next_: {"anyOf": [next_, next_]}))
    schema(layers(8, lambda next_: {"anyOf": [next_, next_]}))


def test_references_that_multiply_level_by_level_bound_the_depth() -> None:
    """Where each level of a document doubles the looks, deep documents are refused unread."""

    def inside(next_: object) -> dict[str, Any]:
        return {"anyOf": [{"properties": {"a": next_}}, {"properties": {"a": next_}}]}

    tree = schema(inside({"$ref": "#"}))
    ladder = schema(layers(40, inside))
    document: dict[str, Any] = {}
    for _ in range(60):
        document = {"a": document}

    for each in (tree, ladder):
        assert 2**each.deepest <= MOST_LOOKS < 2 ** (each.deepest + 1)
        with pytest.raises(InvalidDocument):
            each.check(document)
        each.check({"a": {"a": {}}})


def test_trees_are_as_deep_as_documents() -> None:
    """A recursive schema without alternatives has no bound of its own."""
    tree = schema({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}})
    document: dict[str, Any] = {}
    for _ in range(90):
        document = {"left": document, "right": {}}

    tree.check(document)


def test_patterns_do_not_go_back() -> None:
    """What blows up other engines is linear here."""
    assert faults({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": 200_000 * "a" + "b"})


def test_bounds_of_a_schema() -> None:
    """Its text and its depth are bounded; what is malformed is told as JSON."""
    refused({"description": LARGEST * "x"})
    deep: dict[str, Any] = {}
    for _ in range(DEEPEST):
        deep = {"not": deep}
    refused(deep)
    with pytest.raises(MalformedJson):
        compile_schema(b"{")
    chain = {f"d{at}": {"$ref": f"#/$defs/d{at + 1}"} for at in range(4_000)}
    refused({"$defs": {**chain, "d4000": {}}, "$ref": "#/$defs/d0"})
