"""What a schema may ask of the service: bounded before it is taken, or before it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from demijohn.errors import InvalidDocument, InvalidSchema
from demijohn.schemas.schema import Schema, compile_schema
from demijohn.schemas.work import LONGEST_CHAIN, MOST_PARTS, MOST_PATTERNS

ROOT = {"$ref": "#"}
TREE = {"properties": {"left": ROOT, "right": ROOT}}
JSON = {
    "anyOf": [
        {"type": ["null", "boolean", "number", "string"]},
        {"type": "array", "items": ROOT},
        {"type": "object", "additionalProperties": ROOT},
    ]
}
"""Any value: what leads back does so once for each member."""
SYNTAX = {
    "oneOf": [
        {"properties": {"op": {"const": at}, "a": ROOT, "b": ROOT}, "required": ["op"]}
        for at in range(10)
    ]
}
"""Each member is looked at ten times, and each of its own a hundred times."""


def schema(value: object) -> Schema:
    """A schema from a Python value."""
    return compile_schema(json.dumps(value).encode())


def refusal(value: object) -> tuple[str, str]:
    """Why a schema is not taken: what is said, and the pointer."""
    with pytest.raises(InvalidSchema) as caught:
        schema(value)
    return caught.value.detail, caught.value.faults[0].pointer


def nested(levels: int, key: str, leaf: object) -> Any:
    """A document of so many levels."""
    document = leaf
    for _ in range(levels):
        document = {key: document}
    return document


def layers(count: int, build: Any) -> dict[str, Any]:
    """Definitions, each made of the next."""
    defs = {f"d{at}": build({"$ref": f"#/$defs/d{at + 1}"}) for at in range(count)}
    return {"$defs": {**defs, f"d{count}": {"const": 1}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (ROOT, ""),
        ({"allOf": [ROOT]}, ""),
        ({"not": ROOT}, ""),
        ({"if": True, "then": {"else": ROOT}}, ""),
        ({"dependentSchemas": {"a": ROOT}}, ""),
        ({"dependencies": {"a": ROOT}}, ""),
        ({"$dynamicAnchor": "n", "$dynamicRef": "#n"}, ""),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "/properties/a"),
        (
            {
                "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}},
                "items": {"$ref": "#/$defs/a"},
            },
            "/$defs/a",
        ),
    ],
)
def test_a_schema_that_never_gets_further_is_refused(value: object, pointer: str) -> None:
    """One that leads back to itself at the same value; inside the value it may."""
    said, at = refusal(value)

    assert "leads back to itself" in said
    assert at == pointer


@pytest.mark.parametrize(
    "build",
    [
        lambda next_: {"anyOf": [next_, next_]},
        lambda next_: {"dependencies": {"a": next_, "b": next_, "c": ["d"]}},
        lambda next_: {"allOf": [next_, {"not": next_}]},
        lambda next_: {"anyOf": [{"properties": {"a": next_}}, {"properties": {"a": next_}}]},
        lambda next_: {"properties": {"a": next_}, "patternProperties": {"a": next_}},
        lambda next_: {"unevaluatedItems": next_, "prefixItems": [next_]},
    ],
)
def test_references_that_multiply_are_refused(build: Any) -> None:
    """Each layer of two of the next is twice as many looks; a few layers are fine."""
    said, _ = refusal(layers(25, build))

    assert f"{MOST_PARTS:,}" in said
    schema(layers(5, build))


def test_chains_of_references_are_bounded() -> None:
    """A long row of references would take the native stack, of the compiler too."""
    for count in (LONGEST_CHAIN, 4_000):
        assert f"{LONGEST_CHAIN}" in refusal(layers(count, lambda next_: next_))[0]
    schema(layers(LONGEST_CHAIN // 2, lambda next_: next_))


def test_regular_expressions_are_bounded() -> None:
    """Each may take a MiB of memory: there cannot be thousands."""
    many = {"allOf": [{"pattern": f"\\w{{{at % 90}}}"} for at in range(MOST_PATTERNS + 1)]}
    assert str(MOST_PATTERNS) in refusal(many)[0]
    names = {f"^a{at}$": True for at in range(MOST_PATTERNS + 1)}
    assert str(MOST_PATTERNS) in refusal({"patternProperties": names})[0]


@pytest.mark.parametrize(
    "hostile",
    [
        {"pattern": "(?:a|b|ab|ba){3000}c"},
        {"allOf": [{"pattern": f"(?:[ab]*a){{20}}{at:c}"} for at in range(0x63, 0x63 + 20)]},
        {"patternProperties": {f"(?:[ab]*a){{{at}}}c": {} for at in range(20, 60)}},
        {"propertyNames": {"pattern": "(?:a|b|ab|ba){3000}c"}},
        {
            "additionalProperties": {"$ref": "#/$defs/a"},
            "$defs": {"a": {"pattern": "(a?b?){2000}c"}},
        },
    ],
)
def test_patterns_are_not_put_to_much_text(hostile: dict[str, Any]) -> None:
    """One that is in thousands of places at once takes minutes for 2 MiB, and nobody else runs."""
    text = "ab" * (1 << 20)
    compiled = schema({"properties": {"a": hostile}, **hostile})
    for document in ({"a": text}, {"a": {text: 1}}):
        assert not compiled.fits(document)
        with pytest.raises(InvalidDocument, match="too much text"):
            compiled.check(document)
    compiled.check({})


def test_usual_patterns_take_the_largest_text() -> None:
    """Any number of fields, each with its pattern, and as much in them as a request has."""
    usual = ("^[a-z]+$", r"^[^@ ]+@[^@ ]+\.[^@ ]+$", r"^\d{4}-\d\d-\d\d$", "^(?:[a-z0-9]+-?)*$")
    fields = {f"f{at}": {"pattern": usual[at % len(usual)]} for at in range(100)}
    compiled = schema({"properties": {**fields, "long": {"pattern": "^[a-z]+$"}}})
    compiled.check({"f0": "a", "long": "a" * (2 << 20)})


def test_large_schemas_are_no_trouble() -> None:
    """Thousands of properties and values are what people have."""
    names = {f"p{at}": {"type": "integer"} for at in range(9_000)}
    schema({"properties": names}).check(dict.fromkeys(names, 1))
    schema({"properties": {"a": {"enum": list(range(20_000))}}}).check({"a": 19_999})
    schema({"items": {"uniqueItems": True}}).check([list(range(100_000))])


def test_circles_are_taken_to_the_depth_of_documents() -> None:
    """Trees, any value, syntax: schemas that lead back to themselves inside the value."""
    tree: dict[str, Any] = {}
    for _ in range(90):
        tree = {"left": tree, "right": {}}
    schema(TREE).check(tree)
    schema(JSON).check(nested(90, "a", [1, [2, {"b": None}]]))
    schema(SYNTAX).check({"op": 1, "a": {"op": 2}, "b": {"op": 3, "a": {"op": 4}}})


@pytest.mark.parametrize(
    ("value", "document"),
    [
        (SYNTAX, nested(60, "a", {"op": 1})),
        ({"anyOf": [{**TREE, "required": ["x"]}, TREE], "type": "object"}, nested(60, "left", 1)),
        ({"allOf": [{"items": ROOT}, {"items": ROOT}], "type": "array"}, 60 * [[1]]),
    ],
)
def test_what_does_not_fit_far_below_ends(value: object, document: object) -> None:
    """Where alternatives multiply at each level it is told that it does not fit, if not where."""
    with pytest.raises(InvalidDocument):
        schema(value).check(document)


def test_few_alternatives_far_below_are_pointed_at() -> None:
    """Without multiplication a fault is found at any depth."""
    with pytest.raises(InvalidDocument) as caught:
        schema({**TREE, "type": "object"}).check(nested(60, "left", 1))

    assert [each.pointer for each in caught.value.faults] == [60 * "/left"]


def test_a_document_of_many_values_is_not_held_to_a_schema_of_many_parts() -> None:
    """The product of both is bounded; to tell each fault of so many is, too."""
    wide = schema({"items": {"allOf": [{"type": "integer"}] * 1_000}})
    wide.check(list(range(1_000)))
    with pytest.raises(InvalidDocument) as caught:
        wide.check(list(range(100_000)))
    assert "too many values" in caught.value.detail
    strings = {"items": {"type": "string"}}
    for held, pointer in ((strings, "/0"), ({"anyOf": [strings]}, "")):
        with pytest.raises(InvalidDocument) as caught:
            schema(held).check(list(range(1_000_000)))
        assert [each.pointer for each in caught.value.faults] == [pointer]
    assert "too large to say where" in caught.value.detail


OVERFLOWING = """
import json, sys, threading
from demijohn.errors import InvalidDocument
from demijohn.schemas.schema import compile_schema
BUILD = {
    "oneOf": lambda next_: {"oneOf": [next_, False]},
    "dependent": lambda next_: {"dependentSchemas": {"a": next_}},
    "reference": lambda next_: next_,
}
def run():
    for build in BUILD.values():
        for count in (1, 5, 20, 60):
            defs = {f"d{at}": build({"$ref": f"#/$defs/d{at + 1}"}) for at in range(count)}
            last = {"properties": {"a": {"$ref": "#"}}, "unevaluatedProperties": False}
            schema = {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{count}": last}}
            held = compile_schema(json.dumps(schema).encode())
            for levels in (1, 10, 50, 100, 180):
                for leaf in ({}, {"b": 1}):
                    document = leaf
                    for _ in range(levels):
                        document = {"a": document}
                    try:
                        held.check(document)
                    except InvalidDocument:
                        pass
    print("alive")
threading.stack_size(1024 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_no_schema_and_document_together_overflow_the_stack() -> None:
    """The process lives, on a thread with a stack of 1 MiB, whatever is nested in what."""
    ended = subprocess.run(
        [sys.executable, "-c", OVERFLOWING], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr
