"""JSON Schemas of collections: what is taken, what is refused, and what may never happen."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from demijohn.errors import InvalidDocument, InvalidSchema, MalformedJson
from demijohn.schemas.schema import DEEPEST, LARGEST, Schema, compile_schema, read_schema

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
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
        ({"$ref": "#/$defs/none"}, "/$ref"),
        ({"$ref": "#none"}, "/$ref"),
        ({"$ref": "other.json"}, "/$ref"),
        ({"allOf": [{"$dynamicRef": "other.json#a"}]}, "/allOf/0/$dynamicRef"),
        ({"$ref": "#/x/0", "x": [{"$ref": "http://a/"}]}, "/x/0/$ref"),
        ({"$ref": "#/required", "required": ["a"]}, "/$ref"),
        ({"properties": {"a": {"$id": "b", "type": "string"}}}, "/properties/a/$id"),
        (
            {"$defs": {"a": {"$anchor": "x"}, "b": {"$dynamicAnchor": "x"}}},
            "/$defs/b/$dynamicAnchor",
        ),
        ({"pattern": "x{1000}{1000}"}, "/pattern"),
        ({"patternProperties": {"(": True}}, "/patternProperties/("),
        ({"multipleOf": 0}, "/multipleOf"),
        ({"required": "a"}, "/required"),
        ({"properties": {"a~/": 1}}, "/properties/a~0~1"),
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
    with pytest.raises(InvalidDocument):
        compile_schema(b'{"minimum": 1e400}')


def test_every_fault_of_its_form_is_told() -> None:
    """And its pointers begin where the schema stands."""
    with pytest.raises(InvalidSchema) as caught:
        read_schema({"type": 1, "minLength": -1}, ("schema",))

    assert {each.pointer for each in caught.value.faults} == {"/schema/type", "/schema/minLength"}


def test_words_of_data_are_no_keywords() -> None:
    """In `const`, `enum`, `examples`, and as names of properties anything may stand."""
    data = {"$ref": "http://a/", "$id": "x", "$schema": "y", "$anchor": "z"}
    schema({"const": data, "enum": [data], "default": data, "examples": [data]}).check(data)
    named = schema({"properties": {name: {"type": "string"} for name in data}})
    named.check(data)
    assert faults({"properties": {"$ref": {"type": "null"}}}, data) == [
        ("/$ref", "/properties/$ref/type")
    ]


@pytest.mark.parametrize("name", ["__proto__", "constructor", "ключ", "a/b~c", "\u0000"])
def test_any_name_is_one(name: str) -> None:
    """Properties are found by their names, and pointed at, whatever these are."""
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")

    assert faults({"properties": {name: {"type": "string"}}}, {name: 1}) == [
        (pointer, f"/properties{pointer}/type")
    ]


def test_what_a_document_holds_is_not_repeated() -> None:
    """A fault says what was expected, not what else is there: a patch may not be a way to read."""
    secret = {"a": "secret-1", "b": {"c": "secret-2"}}
    wrong = [
        {"properties": {"a": {"const": 1}, "b": {"type": "string"}}},
        {"not": {"required": ["a"]}},
        {"properties": {"a": {"pattern": "^x"}, "b": {"maxProperties": 0}}},
        {"additionalProperties": {"anyOf": [{"type": "null"}, {"maxLength": 1}]}},
    ]
    for each in wrong:
        with pytest.raises(InvalidDocument) as caught:
            schema(each).check(secret)
        assert "secret" not in repr(caught.value.faults) + caught.value.detail, each
