"""Patches of every kind for fuzzers, most of which say something of the documents beside them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.support.fuzz_bson import WRAPPED
from tests.support.fuzz_queries import ODD, PATHS
from tests.support.fuzz_texts import Json, mostly, replaced
from tests.support.queries import filters

_KEYS = st.sampled_from(["a", "b", "_id", "", "a.b", "$a", "é", "0"])
PLAIN: Json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=3),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=6,
)
"""Values of plain JSON."""
MERGES: Json = st.dictionaries(_KEYS, PLAIN | WRAPPED, max_size=4) | PLAIN
_POINTERS = mostly(
    st.lists(st.sampled_from(["a", "b", "0", "1", "-", "", "é"]), min_size=1, max_size=2).map(
        lambda tokens: "".join(f"/{token}" for token in tokens)
    ),
    st.one_of(
        st.sampled_from(
            ["", "a", "/~", "/~2", "/a/999999999999", "/a\0", "/$a", "/٣", "/_id", "/a/01"]
        ),
        st.integers(97, 103).map(lambda levels: "/a" * levels),
    ),
)


@st.composite
def _operations(draw: st.DrawFn) -> dict[str, Any]:
    op = draw(st.sampled_from(["add", "add", "remove", "replace", "move", "copy", "copy", "test"]))
    operation = {"op": op, "path": draw(_POINTERS), "value": draw(PLAIN), "from": draw(_POINTERS)}
    left_out = draw(st.sampled_from([*["none"] * 12, "op", "path", "value", "from"]))
    return {name: each for name, each in operation.items() if name != left_out}


JSON_PATCHES: Json = st.one_of(
    replaced(st.lists(_operations(), max_size=4), ODD | PLAIN),
    st.integers(99, 102).map(lambda count: [{"op": "test", "path": "", "value": 1}] * count),
)
"""Lists of operations, a third of them with an odd part."""
_ARGUMENTS: dict[str, Json] = {
    "$set": PLAIN | WRAPPED,
    "$unset": PLAIN,
    "$inc": st.integers(-(2**63), 2**63 - 1) | st.floats(-1, 1),
    "$mul": st.integers(-3, 3) | WRAPPED,
    "$min": PLAIN | WRAPPED,
    "$max": PLAIN | WRAPPED,
    "$rename": PATHS,
    "$currentDate": st.sampled_from([True, {"$type": "date"}, {"$type": "timestamp"}, False]),
    "$push": PLAIN
    | st.fixed_dictionaries(
        {"$each": st.lists(PLAIN, max_size=3)},
        optional={
            "$slice": st.integers(-3, 3),
            "$position": st.integers(-3, 3),
            "$sort": st.sampled_from([1, -1, 0, {"a": 1}, {"a.b": -1}, {}, {"": 1}, "a"]),
        },
    ),
    "$addToSet": PLAIN | st.fixed_dictionaries({"$each": st.lists(PLAIN, max_size=3)}),
    "$pop": st.sampled_from([1, -1, 0, 1.0]),
    "$pull": PLAIN | filters(),
    "$pullAll": st.lists(PLAIN, max_size=3),
    "$bit": st.dictionaries(
        st.sampled_from(["and", "or", "xor", "not"]), st.integers(-9, 9), max_size=2
    ),
    "$where": st.just("1"),
    "$setOnInsert": PLAIN,
}


@st.composite
def _updates(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(_ARGUMENTS)), min_size=1, max_size=2))
    return {
        name: draw(st.dictionaries(PATHS, _ARGUMENTS[name], min_size=1, max_size=3))
        for name in names
    }


UPDATES: Json = replaced(_updates(), ODD)
"""Objects of update operators, a third of them with an odd part."""
