"""Filters by chance, well formed but for what a test mixes in, and an example of every stage."""

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

STAGE_EXAMPLES: dict[str, Any] = {
    "$addFields": {"b": {"$add": ["$a", 1]}},
    "$bucket": {
        "groupBy": "$a",
        "boundaries": [0, 5],
        "default": "x",
        "output": {"n": {"$sum": 1}},
    },
    "$bucketAuto": {"groupBy": "$a", "buckets": 2},
    "$count": "n",
    "$densify": {"field": "a", "range": {"step": 1, "bounds": "full"}},
    "$facet": {"one": [{"$match": {"a": 1}}, {"$count": "n"}], "two": []},
    "$fill": {"sortBy": {"a": 1}, "output": {"b": {"method": "linear"}, "c": {"value": 0}}},
    "$graphLookup": {
        "from": "others",
        "startWith": "$a",
        "connectFromField": "a",
        "connectToField": "_id",
        "as": "found",
        "maxDepth": 2,
        "restrictSearchWithMatch": {"a": {"$gt": 1}},
    },
    "$group": {"_id": {"a": "$a"}, "n": {"$sum": 1}, "all": {"$push": "$$ROOT"}},
    "$limit": 3,
    "$lookup": {
        "from": "others",
        "let": {"mine": "$a"},
        "pipeline": [{"$match": {"$expr": {"$eq": ["$a", "$$mine"]}}}],
        "as": "found",
    },
    "$match": {"a": {"$in": [1, 2]}},
    "$project": {"_id": 0, "a": 1, "b": {"$cond": [{"$gt": ["$a", 1]}, "$$NOW", "$$REMOVE"]}},
    "$redact": {"$cond": {"if": {"$eq": ["$a", 1]}, "then": "$$PRUNE", "else": "$$DESCEND"}},
    "$replaceRoot": {"newRoot": {"$mergeObjects": ["$b", {"a": 1}]}},
    "$replaceWith": "$b",
    "$sample": {"size": 2},
    "$set": {"b": {"$map": {"input": "$c", "as": "x", "in": {"$toUpper": "$$x.name"}}}},
    "$setWindowFields": {
        "partitionBy": "$b",
        "sortBy": {"a": 1},
        "output": {"sum": {"$sum": "$a", "window": {"documents": ["unbounded", "current"]}}},
    },
    "$skip": 1,
    "$sort": {"a": -1, "b": 1},
    "$sortByCount": "$a",
    "$unionWith": {"coll": "others", "pipeline": [{"$set": {"a": 1}}]},
    "$unset": ["a", "b.c"],
    "$unwind": {"path": "$a", "preserveNullAndEmptyArrays": True},
}
"""By name: what each stage of a pipeline may say."""


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
