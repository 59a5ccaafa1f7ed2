"""Pipelines and the expressions in them: what is let through, and which collections it reads."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest
from bson import ObjectId

from demijohn.errors import ForbiddenOperator, InvalidFilter, InvalidPipeline, Problem
from demijohn.formats.extended_in import parse_extended_value
from demijohn.query import expressions, pipeline
from demijohn.query.filters import LARGEST, read_filter
from demijohn.query.pipeline import MOST_STAGES, STAGES, Pipeline, check_pipeline
from tests.support.queries import STAGE_EXAMPLES

HEX = "65a1f0c2b9d4e83a7c15f206"


def check(stages: Any, *, extended: bool = False) -> Pipeline:
    """Check a pipeline in Extended JSON."""
    node = parse_extended_value(json.dumps(stages).encode(), operators=True)
    return check_pipeline(node, ("pipeline",), extended=extended)


def decoded(stages: Any) -> list[dict[str, Any]]:
    """The stages as they are sent."""
    return [bson.decode(each) for each in check(stages).stages]


def refusal(stages: Any, problem: type[Problem]) -> str:
    """Where the fault is that this pipeline is refused for."""
    with pytest.raises(problem) as caught:
        check(stages)
    (fault,) = caught.value.faults
    return fault.pointer.removeprefix("/pipeline")


def test_every_stage_is_let_through() -> None:
    """Each stage of the list, with what it usually says, comes out as it went in."""
    stages = [{name: argument} for name, argument in STAGE_EXAMPLES.items()]

    assert decoded(stages) == stages
    assert set(STAGE_EXAMPLES) == set(STAGES)
    assert check(stages).collections == {"others"}


@pytest.mark.parametrize(
    "name",
    [
        *("$out", "$merge", "$collStats", "$currentOp", "$listSessions", "$changeStream"),
        *(
            "$documents",
            "$indexStats",
            "$planCacheStats",
            "$geoNear",
            "$search",
            "$listLocalSessions",
        ),
        *("$function", "$Match", "match", "", "$"),
    ],
)
def test_no_other_stage_is_let_through(name: str) -> None:
    """Neither on its own nor in a pipeline inside another; stages that write least of all."""
    stage: Any = {name: {}}
    for stages, place in (
        ([stage], "/0"),
        ([{"$match": {}}, stage], "/1"),
        ([{"$facet": {"x": [stage]}}], "/0/$facet/x/0"),
        ([{"$lookup": {"from": "a", "as": "b", "pipeline": [stage]}}], "/0/$lookup/pipeline/0"),
        ([{"$unionWith": {"coll": "a", "pipeline": [stage]}}], "/0/$unionWith/pipeline/0"),
    ):
        assert refusal(stages, ForbiddenOperator) == f"{place}/{name}"


@pytest.mark.parametrize(
    ("stages", "pointer"),
    [
        ({}, ""),
        ("$match", ""),
        ([1], "/0"),
        ([{}], "/0"),
        ([{"$match": {}, "$out": "x"}], "/0"),
        ([{"$match": []}], "/0/$match"),
        ([{"$match": {"$gt": 1}}], "/0/$match/$gt"),
        ([{"$facet": {}}], "/0/$facet"),
        ([{"$facet": {"x": 1}}], "/0/$facet/x"),
        ([{"$lookup": {"as": "b", "pipeline": []}}], "/0/$lookup"),
        ([{"$lookup": {"from": "a", "as": "b", "into": 1}}], "/0/$lookup/into"),
        ([{"$unionWith": {"pipeline": []}}], "/0/$unionWith"),
        ([{"$graphLookup": {"as": "a"}}], "/0/$graphLookup"),
        ([{"$setWindowFields": {"sortBy": {"a": 1}}}], "/0/$setWindowFields/output"),
        ([{"$project": {"a": {"$sum": "$b", "$max": "$b"}}}], "/0/$project/a/$sum"),
        (
            [{"$set": {"a": {"$regexMatch": {"input": "$b", "regex": "a" * 1001}}}}],
            "/0/$set/a/$regexMatch/regex",
        ),
    ],
)
def test_what_is_no_pipeline(stages: Any, pointer: str) -> None:
    """A bad shape is told with its place."""
    assert refusal(stages, InvalidPipeline) == pointer


@pytest.mark.parametrize(
    "name",
    [
        "_idempotency",
        "_collections",
        "system.users",
        "a..b",
        ".a",
        "",
        "a$b",
        1,
        None,
        ["a"],
        {"db": "admin", "coll": "a"},
    ],
)
def test_collections_that_no_client_reaches(name: Any) -> None:
    """The service's own and the database's stay out of reach, and so do other databases."""
    for stages in (
        [{"$lookup": {"from": name, "as": "b"}}],
        [{"$graphLookup": {"from": name, "as": "b"}}],
        [{"$unionWith": name}],
        [{"$unionWith": {"coll": name}}],
        [{"$facet": {"x": [{"$lookup": {"from": name, "as": "b"}}]}}],
    ):
        refusal(stages, InvalidPipeline)


def test_collections_are_found_at_any_depth() -> None:
    """Whoever holds a caller to its rights gets every name that is read."""
    inner = [{"$unionWith": "three"}, {"$facet": {"x": [{"$unionWith": {"coll": "four"}}]}}]
    stages = [
        {"$lookup": {"from": "one", "as": "a", "pipeline": inner}},
        {"$graphLookup": {**STAGE_EXAMPLES["$graphLookup"], "from": "two"}},
    ]

    assert check(stages).collections == {"one", "two", "three", "four"}


def test_hex_digits_under_id_of_a_match_are_object_ids() -> None:
    """In plain JSON, wherever a filter stands; not in Extended JSON."""
    match = {"$match": {"_id": HEX}}
    graph = {"from": "a", "as": "b", "restrictSearchWithMatch": {"_id": HEX}}
    stages = [
        match,
        {"$facet": {"x": [match]}},
        {"$lookup": {"from": "a", "as": "b", "pipeline": [match]}},
        {"$graphLookup": graph},
    ]
    text = json.dumps(stages)
    as_ids = json.loads(text.replace(f'"{HEX}"', "null"), object_hook=_with_id)

    assert decoded(stages) == as_ids
    assert [bson.decode(each) for each in check(stages, extended=True).stages] == stages


def _with_id(members: dict[str, Any]) -> dict[str, Any]:
    return {key: ObjectId(HEX) if key == "_id" else child for key, child in members.items()}


def test_the_bounds() -> None:
    """Stages are counted through all pipelines; levels, parts and bytes are bounded."""
    one: Any = {"$match": {}}
    half = [one] * (MOST_STAGES // 2 - 1)
    check([one] * MOST_STAGES)
    check([{"$unionWith": {"coll": "a", "pipeline": half}}] * 2)
    parts = [1] * (expressions.MOST_NODES - 3)
    check([{"$set": {"a": parts}}])
    check([{"$match": {"a": "x" * (LARGEST - 26)}}])
    check(_inside(pipeline.DEEPEST - 1))
    for beyond in (
        [one] * (MOST_STAGES + 1),
        [{"$unionWith": {"coll": "a", "pipeline": [*half, one]}}] * 2,
        [{"$set": {"a": [*parts, 1, 1]}}],
        [{"$set": {"a": _nots(expressions.DEEPEST)}}],
        [{"$match": {"a": "x" * (LARGEST - 25)}}],
        [{"$match": {"a": "x" * (LARGEST // 2)}}] * 2,
        _inside(pipeline.DEEPEST),
    ):
        with pytest.raises(InvalidPipeline):
            check(beyond)


def _inside(times: int) -> Any:
    stages: Any = []
    for _ in range(times):
        stages = [{"$unionWith": {"coll": "a", "pipeline": stages}}]
    return stages


def _nots(times: int) -> Any:
    expression: Any = True
    for _ in range(times):
        expression = {"$not": expression}
    return expression


@pytest.mark.parametrize("name", ["$function", "$accumulator", "$where", "$meta", "$x", "$expr"])
def test_expressions_that_are_not_let_through(name: str) -> None:
    """Wherever an expression may stand, in filters too."""
    bare: Any = {name: {"body": "function(){}", "args": [], "lang": "js"}}
    places: dict[str, Any] = {
        "/0/$project/a": [{"$project": {"a": bare}}],
        "/0/$group/_id": [{"$group": {"_id": bare}}],
        "/0/$group/n": [{"$group": {"_id": None, "n": bare}}],
        "/0/$sort/a": [{"$sort": {"a": bare}}],
        "/0/$match/$expr/$eq/1": [{"$match": {"$expr": {"$eq": [1, bare]}}}],
        "/0/$lookup/let/x": [{"$lookup": {"from": "a", "as": "b", "let": {"x": bare}}}],
        "/0/$setWindowFields/output/n": [{"$setWindowFields": {"output": {"n": bare}}}],
        "/0/$set/a/$let/vars/x": [{"$set": {"a": {"$let": {"vars": {"x": bare}, "in": 1}}}}],
        "/0/$graphLookup/startWith": [{"$graphLookup": {"from": "a", "startWith": bare}}],
    }

    assert {refusal(stages, ForbiddenOperator) for stages in places.values()} == {
        f"{place}/{name}" for place in places
    }
    with pytest.raises(ForbiddenOperator):
        read_filter(json.dumps({"$expr": bare}).encode())


@pytest.mark.parametrize("name", ["$$USER_ROLES", "$$SEARCH_META", "$$CLUSTER_TIME", "$$X.y"])
def test_variables_of_the_server_are_not_read(name: str) -> None:
    """Of the system's variables those that speak of documents and the time are let through."""
    assert refusal([{"$set": {"a": [name]}}], ForbiddenOperator) == "/0/$set/a/0"
    check([{"$set": {"a": ["$$ROOT", "$$NOW", "$$x.y", {"$literal": name}]}}])


def test_a_near_miss_is_told() -> None:
    """Of the many operators of expressions the one that was probably meant."""
    with pytest.raises(ForbiddenOperator, match=r"\$mutliply .*did you mean \$multiply\?"):
        check([{"$set": {"a": {"$mutliply": [1, 2]}}}])


def test_a_pattern_in_an_expression_is_bounded_too() -> None:
    """By its bytes and its options, as in a filter."""
    pattern = {"pattern": "a", "options": "l"}
    for regex in ("a" * 1001, {"$regularExpression": pattern}):
        with pytest.raises(InvalidFilter):
            read_filter(
                json.dumps({"$expr": {"$regexMatch": {"input": "$a", "regex": regex}}}).encode()
            )
