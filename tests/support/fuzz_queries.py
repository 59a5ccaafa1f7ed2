"""Query strings, filters, pipelines and updates for fuzzers: good ones, with odd parts in them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.support.fuzz_bson import HEX, WRAPPED
from tests.support.fuzz_texts import Json, Texts, mostly, replaced
from tests.support.queries import STAGE_EXAMPLES, filters


def _deep(value: Any, name: str, levels: int) -> Any:
    for _ in range(levels):
        value = {name: value}
    return value


def _within(levels: int) -> Any:
    stages: Any = [{"$count": "n"}]
    for level in range(levels):
        stages = [
            {"$facet": {"a": stages}},
            {"$unionWith": {"coll": f"others{level}", "pipeline": stages}},
        ]
    return stages


_ODD_PATHS = st.one_of(
    st.sampled_from(["", ".", "a.", ".a", "a..b", "$a", "a.$b", "a.$[]", "a.$", "a\0", "x" * 1001]),
    st.text("ab._$-[]0", max_size=6),
    st.integers(95, 105).map(lambda parts: ".".join("a" * parts)),
)
PATHS = mostly(
    st.sampled_from(["a", "b", "b.c", "d.0", "_id", "e.b.c", "é", "A-b", "f", "g.a", "c d"]),
    _ODD_PATHS,
)
WORDS = st.one_of(
    st.sampled_from(["", "1", "-0", "1.0", "true", "null", '"a,b"', '"', '"\\ud800"', HEX, "a,b"]),
    st.sampled_from(
        [r'"\"', '"a"b', ",", '{"$oid":"' + HEX + '"}', '{"$gt":""}', "1e999", "9" * 30]
    ),
    st.sampled_from(
        ["string", "objectId", "2", "99", "^a", "(", "a\0b", "x" * 1001, "exact", "-1"]
    ),
    st.text(max_size=5),
)
ODD: Json = st.one_of(
    WRAPPED,
    PATHS,
    WORDS,
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(
        [
            *(
                [],
                {},
                None,
                True,
                0,
                -1,
                1.5,
                {"$where": "1"},
                {"$function": {}},
                {"$gt": {"$gt": 1}},
            ),
            *({"$regex": "a", "$options": "x"}, {"$options": "q"}, [[]], [{}], {"": 1}, {"$": 1}),
            *({"$literal": {"$where": 1}}, "$$ROOT", "$$USER_ROLES.a", "$$x", {"$add": [], "b": 1}),
            *({"$regexMatch": {"regex": "x" * 1001}}, {"$ref": "a", "$id": 1}, {"$and": []}),
            *({"$near": 1}, {"$geometry": {"type": "Point"}}, {"$size": 1.5}, {"$type": "nosuch"}),
        ]
    ),
    st.sampled_from([5, 19, 20, 21, 49, 50, 51, 98, 99]).map(
        lambda levels: _deep({"$not": {"$gt": 1}}, "$elemMatch", levels)
    ),
)
"""What may stand for a part of a query, and mostly should not."""
_GEO: Json = st.builds(
    lambda name, shape, figures: {"a": {name: {shape: figures}}},
    st.sampled_from(["$geoWithin", "$geoIntersects"]),
    st.sampled_from(["$geometry", "$box", "$center", "$centerSphere", "$polygon", "$other"]),
    st.sampled_from(
        [{"type": "Point", "coordinates": [0, 0]}, [[0, 0], [1, 1]], [[0, 0], 1], 1, {}]
    ),
)
_EXPRESSIONS: Json = st.recursive(
    st.sampled_from(["$a", "$$NOW", 1, None, "x"]),
    lambda inner: st.one_of(
        st.builds(
            lambda name, each: {name: each}, st.sampled_from(["$add", "$not", "$max"]), inner
        ),
        st.dictionaries(st.sampled_from(["a", "regex", "input"]), inner, max_size=2),
        st.lists(inner, max_size=3),
        st.builds(
            lambda regex, each: {"$regexMatch": {"regex": regex, "input": each}}, inner, inner
        ),
    ),
    max_leaves=6,
)
FILTERS: Json = replaced(
    st.one_of(filters(), filters(), _GEO, _EXPRESSIONS.map(lambda each: {"$expr": each})), ODD
)
"""Filters in JSON, a third of them with an odd part."""
_STAGES: Json = st.one_of(
    st.sampled_from(sorted(STAGE_EXAMPLES)).map(lambda name: {name: STAGE_EXAMPLES[name]}),
    filters().map(lambda each: {"$match": each}),
    _EXPRESSIONS.map(lambda each: {"$project": {"a": each}}),
    st.sampled_from([{"$out": "x"}, {"$merge": {"into": "x"}}, {"$lookup": {"from": "_x"}}, {}, 1]),
)
PIPELINES: Json = st.one_of(
    replaced(st.lists(_STAGES, max_size=4), ODD),
    st.integers(1, 7).map(_within),
    st.sampled_from([99, 100, 101]).map(lambda count: [{"$limit": 1}] * count),
)
"""Pipelines in JSON, a third of them with an odd part."""


@st.composite
def query_strings(draw: st.DrawFn) -> bytes:
    """Query strings: filters for people, and the parameters of a list, well encoded or not."""
    parts = draw(st.lists(st.one_of(_people(), _people(), _reserved()), max_size=5))
    joined = b"&".join(parts)
    return joined if draw(st.integers(0, 3)) else joined.replace(b"%20", b"+").replace(b"%5B", b"[")


def _people() -> Texts:
    operators = st.sampled_from(
        [
            "",
            "[eq]",
            "[ne]",
            "[gt]",
            "[lte]",
            "[in]",
            "[nin]",
            "[regex]",
            "[exists]",
            "[type]",
            "[x]",
        ]
    )
    return st.builds(_pair, st.builds(str.__add__, PATHS, operators), WORDS)


def _reserved() -> Texts:
    paths = st.lists(st.builds(str.__add__, st.sampled_from(["", "-", " "]), PATHS), max_size=9)
    joined = paths.map(",".join)
    return st.one_of(
        st.builds(_pair, st.sampled_from(["sort", "fields"]), joined),
        st.builds(_pair, st.sampled_from(["limit", "after", "count", "all", "filter"]), WORDS),
        st.builds(
            _pair, st.just("filter"), st.sampled_from(['{"a":1}', '{"a":{"$gt":1}}', "{", "1"])
        ),
        st.builds(_pair, st.just("limit"), st.integers(-1, 1001).map(str)),
    )


def _pair(name: str, value: str) -> bytes:
    return f"{quote(name, safe='')}={quote(value, safe='')}".encode()
