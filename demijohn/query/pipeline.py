"""Aggregation pipelines: stages that read, by an allow-list (MongoDB manual, "Aggregation Stages").

What writes (`$out`, `$merge`), reads of the server itself or of other databases, and what is not
known here is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from demijohn.errors import InvalidPipeline
from demijohn.formats.bson_values import Node, encode
from demijohn.patches.faults import refusal
from demijohn.patches.operands import Place, forbidden, items, members, text
from demijohn.query.expressions import check_expression
from demijohn.query.faults import told_as
from demijohn.query.filters import FILTER, LARGEST, with_ids
from demijohn.query.names import REACHABLE, is_reachable

MOST_STAGES = 100
DEEPEST = 5
"""Levels of pipelines in one another."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages as BSON, and every collection that they read besides their own."""

    stages: tuple[bytes, ...]
    collections: frozenset[str]


def check_pipeline(node: Node, place: Place = (), *, extended: bool = False) -> Pipeline:
    """The pipeline that was parsed with its operators.

    `extended` takes strings of hex digits for what they are, under `_id` of a `$match` too. Raises
    InvalidPipeline, ForbiddenOperator.
    """
    with told_as(InvalidPipeline):
        checker = _Checker(extended)
        stages = checker.pipeline(node, place, 1)
        encoded = tuple(encode(each) for each in stages)
        if sum(len(each) for each in encoded) > LARGEST:
            raise refusal(f"A pipeline has at most {LARGEST:,} bytes of BSON.", place)
    return Pipeline(encoded, frozenset(checker.collections))


@dataclass(slots=True)
class _Checker:
    """Checks one pipeline and those inside it, and keeps what is counted over all of them."""

    extended: bool
    collections: set[str] = field(default_factory=set)
    stages: int = 0

    def pipeline(self, node: Node, place: Place, level: int) -> list[dict[str, Node]]:
        """The stages, as they are to be sent."""
        if level > DEEPEST:
            raise refusal(f"Pipelines are nested deeper than {DEEPEST} levels.", place)
        given = items(node, "A pipeline", place)
        self.stages += len(given)
        if self.stages > MOST_STAGES:
            raise refusal(f"A pipeline has at most {MOST_STAGES} stages.", place)
        return [self._stage(each, (*place, at), level) for at, each in enumerate(given)]

    def query(self, node: Node, place: Place) -> Node:
        """A filter inside a stage."""
        FILTER.check_query(node, place)
        assert isinstance(node, dict)
        return node if self.extended else with_ids(node)

    def reached(self, node: Node, place: Place) -> None:
        """Note a collection by its name, which clients have to be able to reach."""
        name = text(node)
        if name is None or not is_reachable(name):
            raise refusal(REACHABLE, place)
        self.collections.add(name)

    def _stage(self, node: Node, place: Place, level: int) -> dict[str, Node]:
        stage = members(node, "A stage", place)
        if len(stage) > 1:
            raise refusal("A stage is an object with one member, its name.", place)
        ((name, argument),) = stage.items()
        here = (*place, name)
        if name not in STAGES:
            raise forbidden(name, STAGES, here)
        return {name: STAGES[name](self, argument, here, level)}


Stage: TypeAlias = Callable[[_Checker, Node, Place, int], Node]
"""Checks a stage's argument; the argument as it is to be sent."""


def _plain(_checker: _Checker, node: Node, place: Place, _level: int) -> Node:
    """An argument made of expressions, or of nothing that could do harm."""
    check_expression(node, place)
    return node


def _windows(_checker: _Checker, node: Node, place: Place, _level: int) -> Node:
    """`$setWindowFields`: in its output, and nowhere else, an operator has a neighbour."""
    given = _members(node, "$setWindowFields", {"partitionBy", "sortBy", "output"}, place)
    _rest(given, {"output"}, place)
    inside = (*place, "output")
    for name, each in members(given.get("output", {}), "output", inside).items():
        output = members(each, "A field of the output", (*inside, name))
        # Apart, each is an expression like any other.
        for key, child in output.items():
            check_expression({key: child}, (*inside, name))
    return given


def _match(checker: _Checker, node: Node, place: Place, _level: int) -> Node:
    return checker.query(node, place)


def _facet(checker: _Checker, node: Node, place: Place, level: int) -> Node:
    return {
        name: list(checker.pipeline(each, (*place, name), level + 1))
        for name, each in members(node, "$facet", place).items()
    }


def _lookup(checker: _Checker, node: Node, place: Place, level: int) -> Node:
    known = {"from", "localField", "foreignField", "let", "pipeline", "as"}
    given = _members(node, "$lookup", known, place)
    if "from" not in given:
        raise refusal("$lookup takes the name of a collection in `from`.", place)
    checker.reached(given["from"], (*place, "from"))
    return _inside(checker, given, place, level)


def _union(checker: _Checker, node: Node, place: Place, level: int) -> Node:
    if text(node) is not None:
        checker.reached(node, place)
        return node
    given = _members(node, "$unionWith", {"coll", "pipeline"}, place)
    if "coll" not in given:
        raise refusal("$unionWith takes the name of a collection in `coll`.", place)
    checker.reached(given["coll"], (*place, "coll"))
    return _inside(checker, given, place, level)


def _graph(checker: _Checker, node: Node, place: Place, _level: int) -> Node:
    known = {"from", "startWith", "connectFromField", "connectToField", "as"}
    more = {"maxDepth", "depthField", "restrictSearchWithMatch"}
    given = _members(node, "$graphLookup", known | more, place)
    if "from" not in given:
        raise refusal("$graphLookup takes the name of a collection in `from`.", place)
    checker.reached(given["from"], (*place, "from"))
    name = "restrictSearchWithMatch"
    if name in given:
        given = {**given, name: checker.query(given[name], (*place, name))}
    _rest(given, {name}, place)
    return given


def _inside(checker: _Checker, given: dict[str, Node], place: Place, level: int) -> Node:
    """The same argument with the pipeline in it checked, and all else made of expressions."""
    _rest(given, {"pipeline"}, place)
    if "pipeline" not in given:
        return given
    stages = checker.pipeline(given["pipeline"], (*place, "pipeline"), level + 1)
    return {**given, "pipeline": list(stages)}


def _rest(given: dict[str, Node], checked: set[str], place: Place) -> None:
    for name, each in given.items():
        if name not in checked:
            check_expression(each, (*place, name))


def _members(node: Node, what: str, known: set[str], place: Place) -> dict[str, Node]:
    given = members(node, what, place)
    for name in given:
        if name not in known:
            raise refusal(f"{what} takes {', '.join(sorted(known))}.", (*place, name))
    return given


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "$match": _match,
        "$facet": _facet,
        "$lookup": _lookup,
        "$unionWith": _union,
        "$graphLookup": _graph,
        "$setWindowFields": _windows,
        **dict.fromkeys(
            (
                *("$project", "$addFields", "$set", "$unset", "$group", "$sort", "$limit"),
                *("$skip", "$unwind", "$count", "$sortByCount", "$bucket", "$bucketAuto"),
                *("$replaceRoot", "$replaceWith", "$redact", "$sample", "$densify", "$fill"),
            ),
            _plain,
        ),
    }
)
"""By name: what checks a stage's argument."""
