"""What goes in comes out: any JSON value in plain JSON, any BSON document in Extended JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.contract.conftest import Things, lying_in
from tests.support.api import CANONICAL, EJSON, ONE, THINGS, Api
from tests.support.openapi import Description
from tests.support.service import Service

# The fixtures are one client and one collection, which every example leaves as it needs them.
SIXTY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_KEYS = _TEXT.filter(lambda key: not key.startswith("$") and "\0" not in key and key != "_id")
_LONGS = st.integers(-(2**63), 2**63 - 1)


def _nested(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        values,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=12,
    )


_PLAIN = st.dictionaries(
    _KEYS,
    _nested(
        st.none()
        | st.booleans()
        | _LONGS
        | st.floats(allow_nan=False, allow_infinity=False)
        | _TEXT
    ),
    max_size=5,
)
_FLAGS = st.integers(0, 63).map(lambda bits: sum(1 << n for n in (1, 2, 3, 4, 6) if bits >> n & 1))
# The database of the tests keeps no date outside of Python's, and Python no leap of a second.
_DATES = st.integers(-62_135_596_800_000, 253_402_300_799_999).map(DatetimeMS)
_PARTS = st.integers(0, 2**32 - 1)
_BSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    _LONGS.map(Int64),
    st.floats(allow_nan=False),
    # Of the many bit patterns that are no number, JSON has one.
    st.just(float("nan")),
    _TEXT,
    st.binary(min_size=12, max_size=12).map(ObjectId),
    _DATES,
    st.decimals(places=3, min_value=-(10**20), max_value=10**20).map(Decimal128),
    st.sampled_from(["NaN", "-Infinity", "1E+6144", "-0", "0E-6176", "1.10"]).map(Decimal128),
    st.builds(Binary, st.binary(max_size=9), st.sampled_from([0, 1, 5, 128, 255])),
    st.builds(Binary, st.binary(min_size=16, max_size=16), st.sampled_from([3, 4])),
    st.builds(Regex, _TEXT.filter(lambda text: "\0" not in text), _FLAGS),
    st.builds(Code, _TEXT, st.none() | st.dictionaries(_KEYS, _LONGS.map(Int64), max_size=2)),
    st.builds(Timestamp, _PARTS, _PARTS),
    st.sampled_from([MinKey(), MaxKey()]),
)
_BSON = st.dictionaries(_KEYS, _nested(_BSON_VALUES), max_size=5)


@pytest.fixture(scope="module")
def api(service: Service, description: Description) -> Iterator[Api]:
    """A client of one service: what is held here is the same under every server."""
    client = Api(service.url, description.check)
    yield client
    client.close()


@SIXTY
@given(document=_PLAIN)
@example(document={"n": [-0.0, 0, 0.0, 1, 1.0, 1e308, 5e-324, 2**53 + 1, 2**63 - 1, -(2**63)]})
@example(document={"": {"": {"a.b": 1, ".": 2, "a..": [], "é": "e\u0301"}}, "a.b": {"c.d": None}})
@example(document={"t": ["\0", "\uffff", "😀", '"\\/\b\f\n\r\t', "\u2028\u2029", "\x7f\x80"]})
@example(document={"a": json.loads("[" * 99 + "]" * 99)})
@example(document={"10": 1, "9": 2, "a$b": 3, "_id_": 4, "__proto__": {}})
def test_any_json_value(api: Api, things: Things, document: dict[str, Any]) -> None:
    """Equal in value, type, order and text, from the write's answer and from the read."""
    answer = api.put(ONE, json.dumps(document))
    assert answer.status in (200, 201), answer.body
    # Unlike ==, repr tells 1 from 1.0, 0.0 from -0.0, and one order of keys from another.
    wanted = repr({"_id": "one", **document})
    assert repr(answer.json()) == wanted
    read = api.get(ONE)
    assert read.body == answer.body
    assert [repr(bson.decode(raw)) for raw in lying_in(things)] == [wanted]
    assert api.put(ONE, read.body).headers["ETag"] == read.headers["ETag"]


@SIXTY
@given(document=_BSON)
def test_any_bson_document(api: Api, things: Things, document: dict[str, Any]) -> None:
    """Canonical Extended JSON is the bytes in the database and back; so is what comes back."""
    things.delete_many({})
    wanted = bson.encode({"_id": "one", **document})
    sent = dumps({**document, "_id": "one"}, json_options=CANONICAL_JSON_OPTIONS)
    made = api.post(sent, THINGS, Content_Type=EJSON, Accept=CANONICAL)
    assert made.status == 201, made.body
    assert lying_in(things) == [wanted]
    read = api.get(ONE, Accept=CANONICAL)
    assert read.body == made.body
    first = dumps({"_id": "one", **document}, json_options=CANONICAL_JSON_OPTIONS)
    assert repr(read.json()) == repr(json.loads(first))
    assert api.put(ONE, read.body, Content_Type=EJSON).status == 200
    assert lying_in(things) == [wanted]


@SIXTY
@given(document=_BSON)
def test_what_relaxed_extended_json_keeps(
    api: Api, things: Things, document: dict[str, Any]
) -> None:
    """Sent back, a relaxed answer is the same document in plain and in relaxed spelling."""
    sent = dumps({**document, "_id": "one"}, json_options=CANONICAL_JSON_OPTIONS)
    assert api.put(ONE, sent, Content_Type=EJSON).status in (200, 201)
    relaxed, plain = api.get(ONE, Accept=EJSON), api.get(ONE)
    again = api.put(ONE, relaxed.body, Content_Type=EJSON, Accept=EJSON)
    assert (again.status, again.body) == (200, relaxed.body)
    assert api.get(ONE).body == plain.body
    assert things.count_documents({}) == 1
