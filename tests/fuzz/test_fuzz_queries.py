"""Query parameters, filters, sorts, fields and pipelines: a checked plan, or the refusal of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import (
    BadParameter,
    ForbiddenOperator,
    InvalidFilter,
    InvalidPipeline,
    MalformedJson,
    Problem,
)
from demijohn.formats.bson_values import (
    ARRAY,
    DOCUMENT,
    Value,
    elements,
    open_document,
)
from demijohn.formats.extended_in import parse_extended_value
from demijohn.formats.extended_out import render_value
from demijohn.patches.conditions import LOGICAL
from demijohn.patches.operands import is_operator
from demijohn.query.beneath import beneath
from demijohn.query.expressions import OPERATORS as IN_EXPRESSIONS
from demijohn.query.faults import told_as
from demijohn.query.fields import Fields, read_fields
from demijohn.query.filters import FILTER, SHAPES, Filter, read_filter
from demijohn.query.parameters import RESERVED, Asked, parse_query, read_body, read_parameters
from demijohn.query.pipeline import STAGES, Pipeline, check_pipeline
from demijohn.query.sort import Sort, read_sort
from tests.support.fuzz import attempt, fuzz
from tests.support.fuzz_bson import documents
from tests.support.fuzz_queries import FILTERS, ODD, PATHS, PIPELINES, WORDS, query_strings
from tests.support.fuzz_texts import dumped, replaced, spoilt

KNOWN = (
    FILTER.operators.keys()
    | FILTER.queries.keys()
    | LOGICAL
    | SHAPES
    | IN_EXPRESSIONS
    | STAGES.keys()
)
"""Every key with a `$` that may reach the database, wherever it stands."""
_PLAIN = frozenset(("$literal",))
"""What is inside is a value, whatever it looks like."""


def operators_in(document: bytes) -> Iterator[str]:
    """The keys of a query that are operators to the database, at any depth."""
    for name, value in elements(document):
        if is_operator(name):
            yield name
        if value.kind in (DOCUMENT, ARRAY) and name not in _PLAIN:
            yield from operators_in(value.payload)


def check_safe(query: bytes) -> None:
    """Hold what goes to the database to being BSON with no operator that is not let through."""
    bson.decode(query, CodecOptions(RawBSONDocument))
    assert set(operators_in(query)) <= KNOWN


@fuzz(1500)
@given(spoilt(query_strings()) | st.binary(max_size=30))
def test_query_strings(raw: bytes) -> None:
    """Any bytes are the names and values that the standard library reads, or a bad parameter."""
    pairs = attempt(lambda: parse_query(raw), BadParameter)
    if isinstance(pairs, Problem):
        return
    if raw.isascii():
        assert pairs == parse_qsl(raw.decode(), keep_blank_values=True)
    problems = (BadParameter, MalformedJson, InvalidFilter, ForbiddenOperator)
    asked = attempt(lambda: read_parameters(pairs, RESERVED), *problems)
    if isinstance(asked, Asked):
        check_safe(asked.filter.bson)
        assert asked.limit is None or 1 <= asked.limit <= 1_000
        assert {name for name, _ in pairs} & RESERVED or asked == Asked(asked.filter)


@fuzz(1500)
@given(PATHS, st.sampled_from(["", "[eq]", "[gt]", "[in]", "[regex]", "[type]", "[exists]"]), WORDS)
def test_values_are_values(path: str, operator: str, word: str) -> None:
    """Nothing in a value becomes an operator: there is the one of the name, at its path."""
    if path in RESERVED:
        return
    asked = attempt(lambda: read_parameters([(path + operator, word)]), BadParameter)
    if isinstance(asked, Asked):
        ((name, condition),) = open_document(asked.filter.bson).items()
        assert name == path
        assert isinstance(condition, Value)
        ((key, _),) = elements(condition.payload)
        assert key == "$" + (operator.strip("[]") or "eq")
        assert list(operators_in(asked.filter.bson)) == [key]


def spelt(filter_: Filter) -> bytes:
    """A filter in canonical Extended JSON."""
    return render_value(Value(DOCUMENT, filter_.bson), canonical=True)


@fuzz(2500)
@given(spoilt(dumped(FILTERS), most=1), st.booleans())
def test_filters(body: bytes, extended: bool) -> None:  # noqa: FBT001 - drawn
    """Any bytes are a refusal, or a filter of allowed operators that is taken again as it is."""
    found = attempt(
        lambda: read_filter(body, extended=extended),
        *(MalformedJson, InvalidFilter, ForbiddenOperator),
        given=body,
    )
    if isinstance(found, Filter):
        check_safe(found.bson)
        again = read_filter(spelt(found), extended=True)
        assert spelt(again) == spelt(found)
        below = attempt(lambda: beneath("document", found), InvalidFilter, given=None)
        if isinstance(below, bytes):
            check_safe(below)


@fuzz(1500)
@given(spoilt(dumped(PIPELINES), most=1), st.booleans())
def test_pipelines(body: bytes, extended: bool) -> None:  # noqa: FBT001 - drawn
    """A pipeline reads, by stages that are let through, of collections that clients can reach."""

    def read() -> Pipeline:
        with told_as(InvalidPipeline):
            node = parse_extended_value(body, operators=True)
        return check_pipeline(node, extended=extended)

    found = attempt(read, MalformedJson, InvalidPipeline, ForbiddenOperator, given=body)
    if isinstance(found, Pipeline):
        for stage in found.stages:
            check_safe(stage)
        assert not any(name.startswith(("_", "system.")) for name in found.collections)


def _bodies() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "filter": FILTERS,
            "sort": st.dictionaries(PATHS, st.sampled_from([1, -1, 1, 0]), max_size=3) | PATHS,
            "fields": PATHS,
            "limit": st.integers(-1, 1001) | ODD,
            "after": WORDS,
            "count": st.sampled_from(["exact", "estimated", "x", None]),
            "sorted": ODD,
        },
    )


@fuzz(1500)
@given(spoilt(dumped(replaced(_bodies(), ODD)), most=1), st.booleans())
def test_bodies(body: bytes, extended: bool) -> None:  # noqa: FBT001 - drawn
    """A search in a body is what its parameters say, or a refusal with pointers into it."""
    problems = (BadParameter, MalformedJson, InvalidFilter, ForbiddenOperator)
    asked = attempt(lambda: read_body(body, extended=extended), *problems, given=body)
    if isinstance(asked, Asked):
        check_safe(asked.filter.bson)
        assert not asked.is_all


PATH_LISTS = st.lists(
    st.builds(str.__add__, st.sampled_from(["", "-", " ", "- "]), PATHS), max_size=9
).map(",".join)


@fuzz(1000)
@given(PATH_LISTS | st.text(max_size=20))
def test_sorts(text: str) -> None:
    """A sort is total, ends with `_id`, and is what its own spelling says again."""
    found = attempt(lambda: read_sort(text), BadParameter)
    if isinstance(found, Sort):
        assert found.paths[-1] == "_id"
        assert found.paths.count("_id") == 1
        words = [f"{'-' if way < 0 else ''}{path}" for path, way in found.keys]
        # The last is added with the direction of the one before it, and need not be said.
        is_added = len(words) > 1 and found.keys[-1][1] == found.keys[-2][1]
        assert read_sort(",".join(words[:-1] if is_added else words)) == found


@fuzz(1000)
@given(PATH_LISTS | st.text(max_size=20), documents(), PATHS)
def test_fields(text: str, document: bytes, needed: str) -> None:
    """Fields that are taken show a part of any document, and the same part of that part."""
    found = attempt(lambda: read_fields(text), BadParameter)
    if isinstance(found, Fields):
        bson.decode(found.projection())
        shown = found.apply(document)
        assert found.apply(shown) == shown
        wider = found.widened([needed])
        if wider is not None:
            assert found.apply(wider.apply(document)) == shown
