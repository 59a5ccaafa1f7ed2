"""Filters by chance: well formed, but for what a test mixes in."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = st.SearchStrategy[Any]
PATHS = st.sampled_from(["a", "b.c", "d.0", "_id"])
TYPES = st.sampled_from(["string", "number", "objectId", "null", 2, 16])
SCALARS: Json = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.sampled_from(["", "a", "$a", "65a1f0c2b9d4e83a7c15f206"]),
    st.just({"$date": {"$numberLong": "0"}}),
    st.just({"$numberDecimal": "NaN"}),
)
VALUES: Json = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(PATHS, SCALARS, max_size=2)


def filters(odd: Json | None = None) -> Json:
    """Filters of every operator that is let through; `odd` stands where a value may."""
    values = _brief(VALUES if odd is None else VALUES | odd)
    return st.recursive(
        st.dictionaries(PATHS, values | _brief(_expressions(values)), max_size=2),
        _combined,
        max_leaves=4,
    )


def _brief(strategy: Json) -> Json:
    """The same without its description, which hypothesis would print, of many kilobytes."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Any:
        return draw(strategy)

    return drawn()


def _combined(inner: Json) -> Json:
    some = st.lists(inner.filter(bool), min_size=1, max_size=2)
    return st.one_of(
        st.fixed_dictionaries({}, optional={"$and": some, "$or": some, "$nor": some}),
        st.builds(lambda path, each: {path: {"$elemMatch": each}}, PATHS, inner.filter(bool)),
    )


def _expressions(values: Json) -> Json:
    lists = st.lists(values, max_size=3)
    bits = st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2)
    matches = st.builds(lambda each: {"$elemMatch": {"$gt": each}}, values)
    patterns = st.fixed_dictionaries(
        {"$regex": st.sampled_from(["^a", "", "(b|c)"])}, optional={"$options": st.just("im")}
    )
    plain = st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"), values),
            **dict.fromkeys(("$in", "$nin"), lists),
            "$all": lists | st.lists(matches, min_size=1, max_size=2),
            "$exists": st.booleans(),
            "$type": TYPES | st.lists(TYPES, min_size=1, max_size=2),
            "$size": st.integers(0, 3),
            "$mod": st.tuples(st.integers(1, 3), st.integers(0, 2)).map(list),
            "$elemMatch": st.builds(lambda each: {"$lte": each}, values),
            **dict.fromkeys(("$bitsAllSet", "$bitsAnySet"), bits),
            **dict.fromkeys(("$bitsAllClear", "$bitsAnyClear"), bits),
        },
    ).filter(bool)
    return st.one_of(plain, patterns, (plain | patterns).map(lambda each: {"$not": each}))
