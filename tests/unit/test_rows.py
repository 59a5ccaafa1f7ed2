"""Row filters: what can be one, which documents it is of, and which updates could change that."""

from __future__ import annotations

import json

import bson
import pytest
from bson import Decimal128, Int64, ObjectId
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import BadParameter, Forbidden
from demijohn.query.rows import LARGEST, MOST, read_rows

ADA = read_rows(b'{"owner":"ada"}')
DEEP = read_rows(b'{"meta.owner":"ada"}')
NAMES = st.from_regex(r"[a-z][a-z0-9 _-]{0,5}", fullmatch=True)
SCALARS = st.one_of(st.text(max_size=5), st.booleans(), st.integers(-(2**63), 2**63 - 1))


@given(st.dictionaries(NAMES, SCALARS, min_size=1, max_size=MOST))
def test_a_filter_is_read_back_from_its_text(equalities: dict[str, object]) -> None:
    """What a key's record keeps is the filter that was given, whatever its strings hold."""
    encoded = {
        name: {"$numberLong": str(value)} if type(value) is int else value
        for name, value in equalities.items()
    }
    rows = read_rows(json.dumps(encoded).encode())

    assert read_rows(rows.text).holds(bson.encode(_long(equalities)))
    assert rows.holds(bson.encode(_long(equalities)))
    assert set(dict(read_rows(rows.text).equalities)) == set(equalities)


def _long(equalities: dict[str, object]) -> dict[str, object]:
    return {
        name: Int64(value) if type(value) is int else value for name, value in equalities.items()
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"owner":null}',
        '{"owner":1.5}',
        '{"owner":[]}',
        '{"owner":["ada"]}',
        '{"owner":{}}',
        '{"owner":{"$ne":"ada"}}',
        '{"owner":{"$gt":""}}',
        '{"owner":{"$numberDecimal":"1"}}',
        '{"owner":{"$date":0}}',
        '{"owner":{"$regularExpression":{"pattern":"","options":""}}}',
        '{"_id":"ada"}',
        '{"_id.owner":"ada"}',
        '{"":"ada"}',
        '{"$where":"1"}',
        '{"$or":[{}]}',
        '{"a.$b":1}',
        '{"a.":1}',
        '{".a":1}',
        '{"a..b":1}',
        '{"a\\u0000b":1}',
        '{"a/b":1}',
        '{"a~b":1}',
        '{"a.0":"ada"}',
        '{"0":"ada"}',
        '{"a.10.b":"ada"}',
        '{"a":1,"a.b":1}',
        '{"a.b":1,"a":1}',
        '{"a":"\\ud800"}',
        '{"a":"' + LARGEST * "x" + '"}',
        "{" + ",".join(f'"a{number}":1' for number in range(MOST + 1)) + "}",
    ],
)
def test_what_is_no_conjunction_of_scalars_is_refused(text: str) -> None:
    """A filter that means something else to somebody, or that no index answers, is none."""
    with pytest.raises(BadParameter):
        read_rows(text.encode())


@pytest.mark.parametrize(
    ("document", "holds"),
    [
        ({"owner": "ada"}, True),
        ({"owner": "Ada"}, False),
        ({"owner": "ada\0"}, False),
        ({"owner": ["ada"]}, False),
        ({"owner": {"owner": "ada"}}, False),
        ({"owner": None}, False),
        ({"owner ": "ada"}, False),
        ({"a": {"owner": "ada"}}, False),
        ({}, False),
    ],
)
def test_a_document_is_of_a_filter_by_the_very_value(
    document: dict[str, object], *, holds: bool
) -> None:
    """What looks like the value, or holds it, is another one; and 403 has the pointer of it."""
    assert ADA.holds(bson.encode(document)) is holds
    if not holds:
        with pytest.raises(Forbidden) as refused:
            ADA.check(bson.encode(document))
        assert [fault.pointer for fault in refused.value.faults] == ["/owner"]


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (1, True),
        (Int64(1), True),
        (1.0, True),
        (Decimal128("1.000"), True),
        (True, False),
        ("1", False),
        (1.0000001, False),
        (float("nan"), False),
        (float("inf"), False),
        (Decimal128("NaN"), False),
        (Decimal128("sNaN"), False),
        (Decimal128("-Infinity"), False),
        (Decimal128("1E+6144"), False),
    ],
)
def test_equal_numbers_are_one_value(value: object, *, holds: bool) -> None:
    """As they are to the database, of whatever type; no number makes a check fail."""
    assert read_rows(b'{"tenant":1}').holds(bson.encode({"tenant": value})) is holds


def test_other_scalars_are_compared_by_type_too() -> None:
    """A boolean is no number, an ObjectId no string of its digits."""
    digits = 24 * "0"
    rows = read_rows(b'{"a":false,"b":{"$oid":"%s"}}' % digits.encode())

    assert rows.holds(bson.encode({"a": False, "b": ObjectId(digits)}))
    assert not rows.holds(bson.encode({"a": 0, "b": ObjectId(digits)}))
    assert not rows.holds(bson.encode({"a": False, "b": digits}))


@pytest.mark.parametrize(
    ("update", "pointers"),
    [
        ({"$set": {"meta.owner": "ada"}}, ["/meta/owner"]),
        ({"$set": {"meta": {"owner": "ada"}}}, ["/meta/owner"]),
        ({"$unset": {"meta": ""}}, ["/meta/owner"]),
        ({"$set": {"meta.owner.x": 1}}, ["/meta/owner"]),
        ({"$set": {"a": 1}, "$inc": {"meta.owner": 1}}, ["/meta/owner"]),
        ({"$rename": {"meta.owner": "x"}}, ["/meta/owner"]),
        ({"$rename": {"x": "meta.owner"}}, ["/meta/owner"]),
        ({"$rename": {"x": "meta"}}, ["/meta/owner"]),
        ({"$push": {"meta.owner": "ada"}}, ["/meta/owner"]),
        ({"$set": {"meta.owner.$[]": 1}}, ["/meta/owner"]),
        ({"$set": {"meta.other": 1, "owner": 1, "metaowner": 1, "x.meta.owner": 1}}, []),
        ({"$rename": {"meta.other": "meta.own"}}, []),
    ],
)
def test_no_update_operator_touches_a_path(update: dict[str, object], pointers: list[str]) -> None:
    """Neither it, nor what is above it or beneath it, whatever would come of that."""
    operators = {name: RawBSONDocument(bson.encode(each)) for name, each in update.items()}  # type: ignore[arg-type]
    if not pointers:
        DEEP.check_update(operators)
        return
    with pytest.raises(Forbidden) as refused:
        DEEP.check_update(operators)
    assert [fault.pointer for fault in refused.value.faults] == pointers


def test_every_expression_of_a_filter_is_guarded() -> None:
    """Of all that a filter may say, only expressions can fail: each is behind the row filter."""
    bad = {"$divide": [1, "$zero"]}
    nested = {"$or": [{"$nor": [{"x": 1}, {"$expr": bad}]}, {"$and": [{"$expr": bad}]}], "y": 1}
    guarded = bson.decode(ADA.guarded(bson.encode({"$expr": bad, **nested})))
    guard = {"$cond": [{"$and": [{"$eq": ["$owner", {"$literal": "ada"}]}]}, bad, False]}

    assert guarded == {
        "$expr": guard,
        "$or": [{"$nor": [{"x": 1}, {"$expr": guard}]}, {"$and": [{"$expr": guard}]}],
        "y": 1,
    }
