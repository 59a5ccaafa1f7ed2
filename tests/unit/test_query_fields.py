"""Fields that are shown or left out: in the database, and here as it would."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import BadParameter
from demijohn.query.fields import MOST_FIELDS, read_fields

DOCUMENT: dict[str, Any] = {
    "_id": 7,
    "a": 1,
    "b": {"c": 1, "d": {"e": 2, "f": 3}},
    "l": [{"c": 1, "d": 2}, 5, [{"c": 3, "d": 4}, 6], {}, {"c": {"x": 1}}],
    "n": None,
}


def apply(fields: str, document: dict[str, Any] = DOCUMENT) -> dict[str, Any]:
    """What of the document these fields show."""
    return bson.decode(read_fields(fields).apply(bson.encode(document)))


@pytest.mark.parametrize(
    ("fields", "projection"),
    [
        ("a", {"a": True}),
        ("a,b.c", {"a": True, "b.c": True}),
        ("a,_id", {"a": True}),
        ("a,-_id", {"a": True, "_id": False}),
        ("_id", {"_id": True}),
        ("-a, -b.c", {"a": False, "b.c": False}),
        ("-_id", {"_id": False}),
        ("-_id,-a", {"a": False, "_id": False}),
        ("l.0", {"l.0": True}),
        ("--a", {"-a": False}),
    ],
)
def test_the_database_projects(fields: str, projection: dict[str, bool]) -> None:
    """Names are shown, names after `-` left out; `_id` comes along unless it is left out."""
    assert bson.decode(read_fields(fields).projection()) == projection


@pytest.mark.parametrize(
    "fields",
    [
        *(
            "",
            ",",
            "a,",
            "-",
            "a,-b",
            "_id,-a",
            "a,a",
            "-a,-a",
            "a,a.b",
            "a.b,a",
            "_id,-_id",
        ),
        *("_id.a", "-_id.a", "$a", "a.$", "a.$[]", "a..b", "a\0", "-$a", "a" * 1001),
        ",".join(f"a{at}" for at in range(MOST_FIELDS + 1)),
    ],
)
def test_what_are_no_fields(fields: str) -> None:
    """Paths that are none, collide or mix, and too many of them, are a 400."""
    with pytest.raises(BadParameter):
        read_fields(fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("a", {"_id": 7, "a": 1}),
        ("n,x,-_id", {"n": None}),
        ("b.d.e", {"_id": 7, "b": {"d": {"e": 2}}}),
        ("a.x,b.x", {"_id": 7, "b": {}}),
        ("l.c", {"_id": 7, "l": [{"c": 1}, [{"c": 3}], {}, {"c": {"x": 1}}]}),
        ("l.c.x", {"_id": 7, "l": [{}, [{}], {}, {"c": {"x": 1}}]}),
        ("l.0", {"_id": 7, "l": [{}, [{}], {}, {}]}),
        ("-b,-l,-n,-_id", {"a": 1}),
        ("-b.c,-b.d.e,-l,-n,-a.x", {"_id": 7, "a": 1, "b": {"d": {"f": 3}}}),
        ("-l.c,-a,-b,-n", {"_id": 7, "l": [{"d": 2}, 5, [{"d": 4}, 6], {}, {}]}),
        ("_id", {"_id": 7}),
        ("-_id,-a,-b,-l", {"n": None}),
    ],
)
def test_what_is_left_out_here(fields: str, expected: dict[str, Any]) -> None:
    """Through documents and arrays; what a path does not lead into is neither shown nor dropped."""
    assert apply(fields) == expected
    assert list(apply(fields)) == list(expected)


def test_values_keep_their_bytes() -> None:
    """What is shown is what is stored, in its order, even where Python could not say it."""
    stored = bson.encode({"_id": 1, "a": bson.Int64(5), "b": 0, "c": bson.Decimal128("1.50")})

    assert read_fields("c,a").apply(stored) == bson.encode(
        {"_id": 1, "a": bson.Int64(5), "c": bson.Decimal128("1.50")}
    )


@pytest.mark.parametrize(
    ("fields", "needed", "projection"),
    [
        ("a", ["a", "_id"], {"a": True}),
        ("a,-_id", ["_id"], {"a": True}),
        ("a", ["b", "_id"], {"a": True, "b": True}),
        ("a.x,b", ["a", "_id"], {"b": True, "a": True}),
        ("a", ["a.x", "_id"], {"a": True}),
        ("a", ["_id.x", "_id"], {"a": True}),
        ("-a", ["b", "_id"], {"a": False}),
        ("-a,-_id", ["b", "_id"], {"a": False}),
        ("-_id", ["_id"], None),
        ("-a", ["a", "_id"], None),
        ("-a", ["a.x", "_id"], None),
        ("-a.x", ["a", "_id"], None),
        ("-a.x", ["a.y", "_id"], {"a.x": False}),
    ],
)
def test_what_a_page_needs_is_added(
    fields: str, needed: list[str], projection: dict[str, bool] | None
) -> None:
    """The paths of the sort and `_id` are read whole, whether they are shown or not."""
    widened = read_fields(fields).widened(needed)

    assert (widened and bson.decode(widened.projection())) == projection


PATHS = st.sampled_from(["a", "b", "b.c", "b.d", "b.d.e", "l", "l.c", "n", "x"])


@given(
    st.lists(PATHS, unique=True),
    st.sampled_from(["", "-"]),
    st.sampled_from([[], ["-_id"]]),
    st.lists(PATHS),
)
def test_more_is_read_and_the_same_is_shown(
    paths: list[str], sign: str, more: list[str], needed: list[str]
) -> None:
    """Whatever a page needs beside what is asked for, the answer is the same."""
    text = ",".join([*(f"{sign}{each}" for each in paths), *more])
    try:
        fields = read_fields(text)
    except BadParameter:
        return
    stored = bson.encode(DOCUMENT)
    widened = fields.widened([*needed, "_id"])

    read = stored if widened is None else widened.apply(stored)
    assert bson.decode(read)["_id"] == DOCUMENT["_id"]
    assert fields.apply(read) == fields.apply(stored)
    for path in needed:
        if "l" not in path:
            assert _at(read, path) == _at(stored, path)


def _at(document: bytes, path: str) -> object:
    value: Any = bson.decode(document)
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
