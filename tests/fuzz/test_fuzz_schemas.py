"""JSON Schemas, and documents held to them: another validator says the same, or it is told why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import InvalidDocument, InvalidSchema, MalformedJson, Problem
from demijohn.schemas.schema import Schema, compile_schema, read_schema
from tests.support.fuzz import attempt, fuzz, leads_into
from tests.support.fuzz_patches import PLAIN
from tests.support.fuzz_schemas import SCHEMAS, WHOLE
from tests.support.fuzz_texts import dumped, spoilt

DOCUMENTS = PLAIN | st.dictionaries(st.sampled_from(["a", "b", "", "a/b"]), PLAIN, max_size=4)
_OTHERWISE = frozenset(
    (
        *("format", "pattern", "patternProperties", "$dynamicRef", "$dynamicAnchor", "multipleOf"),
        *("unevaluatedItems", "unevaluatedProperties", "dependencies", "$id"),
    )
)
"""Of these the two have opinions of their own: engines, roundings, bases, and what is evaluated."""


@fuzz(1500)
@given(spoilt(dumped(SCHEMAS), most=1) | st.binary(max_size=20), DOCUMENTS)
def test_schemas(body: bytes, document: Any) -> None:
    """Any bytes are a schema that every document fits or does not, or a refusal."""
    schema = attempt(
        lambda: compile_schema(body),
        *(MalformedJson, InvalidDocument, InvalidSchema),
        given=body,
    )
    if isinstance(schema, Schema):
        assert json.loads(schema.text) == json.loads(body)
        again = compile_schema(schema.text)
        verdict = attempt(lambda: schema.check(document), InvalidDocument, given=document)
        assert is_refused(again, document) == isinstance(verdict, Problem)
        check_keywords(verdict, json.loads(body))


def is_refused(schema: Schema, document: Any) -> bool:
    """Whether a document does not fit."""
    return isinstance(attempt(lambda: schema.check(document), InvalidDocument), Problem)


def check_keywords(verdict: Problem | None, schema: Any) -> None:
    """Hold the faults of a document to naming keywords that the schema has."""
    if "" in keywords_in(schema):
        return  # the engine leaves empty names out of its paths in a schema
    for fault in verdict.faults if verdict else ():
        assert fault.schema is None or "$ref" in fault.schema or leads_into(schema, fault.schema)


@fuzz(1500)
@given(WHOLE, DOCUMENTS)
def test_another_validator_says_the_same(value: Any, document: Any) -> None:
    """What fits a schema is what another validator finds to fit it."""
    jsonschema: Any = pytest.importorskip("jsonschema")
    schema = attempt(lambda: read_schema(value), InvalidSchema, given=value)
    if isinstance(schema, Schema) and not _OTHERWISE & set(keywords_in(value)):
        expected = jsonschema.Draft202012Validator(value).is_valid(document)
        assert is_refused(schema, document) != expected


def keywords_in(value: Any) -> list[str]:
    """Every key at any depth."""
    if isinstance(value, dict):
        return [*value, *(name for each in value.values() for name in keywords_in(each))]
    return [name for each in value for name in keywords_in(each)] if isinstance(value, list) else []
