"""MongoDB's update operators: what is let through, with its types, and what is not."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest
from bson.int64 import Int64
from bson.objectid import ObjectId

from demijohn.errors import ForbiddenOperator, InvalidPatch, Problem
from demijohn.formats.extended_in import parse_extended_value
from demijohn.patches import operators


def checked(update: Any) -> bytes:
    """BSON of what the driver is given for an update in Extended JSON."""
    body = json.dumps(update).encode()
    return bson.encode(operators.check(parse_extended_value(body, operators=True)))


def refused(update: Any, problem: type[Problem] = InvalidPatch) -> str:
    """The pointer of the one fault for which an update is refused."""
    with pytest.raises(problem) as caught:
        checked(update)
    (fault,) = caught.value.faults
    return fault.pointer


@pytest.mark.parametrize(
    "update",
    [
        {"$set": {"a": 1, "b.c": {"d": [None, {"e": 1.5}]}, "f.0.$[].g": "x"}},
        {"$unset": {"a": "", "b": 1, "c.$[]": True}},
        {"$inc": {"a": 1, "b": -2.5}},
        {"$mul": {"a": 2}},
        {"$min": {"a": 1, "b": "x"}, "$max": {"c": None}},
        {"$rename": {"a": "b", "c.d": "e.f"}},
        {"$currentDate": {"a": True, "b": {"$type": "date"}, "c": {"$type": "timestamp"}}},
        {"$push": {"a": 1, "b": {"c": 1}, "d": [1, 2]}},
        {"$push": {"a": {"$each": [3, 1], "$slice": -5, "$sort": 1, "$position": 0}}},
        {"$push": {"a": {"$each": [{"b": {"c": 1}}], "$sort": {"b.c": -1, "d": 1}}}},
        {"$push": {"a": {"$each": []}}},
        {"$addToSet": {"a": 1, "b": {"$each": [1, 2]}, "c": {"d": 1}}},
        {"$pop": {"a": 1, "b": -1}},
        {"$pull": {"a": 1, "b": {"$gte": 6}, "c": {"d": 8, "e.f": "B"}, "g": {}}},
        {"$pullAll": {"a": [1, {"b": 1}], "c": []}},
        {"$bit": {"a": {"and": 10}, "b": {"or": 1, "xor": 3}}},
        {"$set": {"ab": 1, "a.c": 1, "a.b": 1, "a-b": 1}},
        {"$set": {"a": {"$ref": "c", "$id": 1, "$db": "d"}}, "$push": {"b": {"$ref": "c"}}},
        {"$set": {"a._id": 1, "_id2": 1}},
    ],
)
def test_what_is_let_through(update: Any) -> None:
    """Each operator of the list, in each of its forms, comes to the driver as it was sent."""
    assert checked(update) == bson.encode(update)


def test_types_are_kept() -> None:
    """Values come with the type that Extended JSON gives them, the old ones with their bytes."""
    update = {
        "$set": {
            "long": {"$numberLong": "1"},
            "double": {"$numberDouble": "1.0"},
            "id": {"$oid": "0123456789abcdef01234567"},
            "in": [{"$numberLong": "2"}],
        },
        "$inc": {"n": {"$numberLong": "3"}},
        "$max": {"s": {"$symbol": "x"}, "u": {"$undefined": True}},
    }
    expected = {
        "$set": {
            "long": Int64(1),
            "double": 1.0,
            "id": ObjectId("0123456789abcdef01234567"),
            "in": [Int64(2)],
        },
        "$inc": {"n": Int64(3)},
    }
    old = b"\x0es\0\2\0\0\0x\0\x06u\0"
    last = b"\x03$max\0" + (len(old) + 5).to_bytes(4, "little") + old + b"\0"
    assert checked(update)[4:] == bson.encode(expected)[4:-1] + last + b"\0"


@pytest.mark.parametrize(
    ("update", "pointer"),
    [
        ({"$setOnInsert": {"a": 1}}, "/$setOnInsert"),
        ({"$where": "1"}, "/$where"),
        ({"$set": {"a": 1}, "$function": {"a": 1}}, "/$function"),
        ({"$pushAll": {"a": [1]}}, "/$pushAll"),
        ({"$SET": {"a": 1}}, "/$SET"),
        ({"$": {"a": 1}}, "/$"),
        ({"$addToSet": {"a": {"$each": [1], "$slice": 1}}}, "/$addToSet/a/$slice"),
        ({"$push": {"a": {"$each": [1], "$where": 1}}}, "/$push/a/$where"),
        ({"$pull": {"a": {"$where": "1"}}}, "/$pull/a/$where"),
        ({"$pull": {"a": {"$expr": {}}}}, "/$pull/a/$expr"),
        ({"$pull": {"a": {"$regex": "x"}}}, "/$pull/a/$regex"),
        ({"$pull": {"a": {"b": {"$regex": "x", "$options": "i"}}}}, "/$pull/a/b/$regex"),
        ({"$pull": {"a": {"$not": {"$regex": "x"}}}}, "/$pull/a/$not/$regex"),
        ({"$pull": {"a": {"$or": [{"b": 1}, {"$where": "1"}]}}}, "/$pull/a/$or/1/$where"),
        ({"$pull": {"a": {"$elemMatch": {"$jsonSchema": {}}}}}, "/$pull/a/$elemMatch/$jsonSchema"),
        ({"$pull": {"a": {"b": {"$near": [1, 2]}}}}, "/$pull/a/b/$near"),
    ],
)
def test_operators_that_are_not_on_the_list(update: Any, pointer: str) -> None:
    """Whatever else starts with `$` where an operator may stand is refused by its name."""
    assert refused(update, ForbiddenOperator) == pointer


@pytest.mark.parametrize("place", ["a", "b", "in", "not"])
def test_patterns_are_not_let_through(place: str) -> None:
    """A regular expression as a value of Extended JSON matches as `$regex` does: refused too."""
    pattern = {"$regularExpression": {"pattern": "x", "options": ""}}
    condition: Any = {
        "a": pattern,
        "b": {"b": pattern},
        "in": {"$in": [1, pattern]},
        "not": {"b": {"$not": pattern}},
    }[place]
    with pytest.raises((ForbiddenOperator, InvalidPatch)):
        checked({"$pull": {"a": condition}})


@pytest.mark.parametrize(
    ("update", "pointer"),
    [
        ([{"$set": {"a": 1}}], ""),
        ([], ""),
        (1, ""),
        ({}, ""),
        ({"a": 1}, "/a"),
        ({"$set": {"a": 1}, "b": 2}, "/b"),
        ({"$set": {}}, "/$set"),
        ({"$set": 1}, "/$set"),
        ({"$set": [1]}, "/$set"),
        ({"$set": {"a": {"$inc": 1}}}, "/$set/a/$inc"),
        ({"$set": {"a": [{"b": {"$c": 1}}]}}, "/$set/a/0/b/$c"),
        ({"$inc": {"a": "1"}}, "/$inc/a"),
        ({"$inc": {"a": {}}}, "/$inc/a"),
        ({"$mul": {"a": None}}, "/$mul/a"),
        ({"$rename": {"a": 1}}, "/$rename/a"),
        ({"$rename": {"a": ""}}, "/$rename/a"),
        ({"$rename": {"a": "b.$[]"}}, "/$rename/a"),
        ({"$rename": {"a.$[]": "b"}}, "/$rename/a.$[]"),
        ({"$currentDate": {"a": False}}, "/$currentDate/a"),
        ({"$currentDate": {"a": {"$type": "clock"}}}, "/$currentDate/a"),
        ({"$currentDate": {"a": {"$type": "date", "b": 1}}}, "/$currentDate/a"),
        ({"$push": {"a": {"$each": 1}}}, "/$push/a/$each"),
        ({"$push": {"a": {"$slice": 1}}}, "/$push/a"),
        ({"$push": {"a": {"$each": [1], "b": 1}}}, "/$push/a/b"),
        ({"$push": {"a": {"$each": [{"$b": 1}]}}}, "/$push/a/$each/0/$b"),
        ({"$push": {"a": {"$each": [1], "$slice": 1.5}}}, "/$push/a/$slice"),
        ({"$push": {"a": {"$each": [1], "$position": "0"}}}, "/$push/a/$position"),
        ({"$push": {"a": {"$each": [1], "$sort": 2}}}, "/$push/a/$sort"),
        ({"$push": {"a": {"$each": [1], "$sort": {}}}}, "/$push/a/$sort"),
        ({"$push": {"a": {"$each": [1], "$sort": {"b": "up"}}}}, "/$push/a/$sort"),
        ({"$push": {"a": {"$each": [1], "$sort": {"$b": 1}}}}, "/$push/a/$sort/$b"),
        ({"$addToSet": {"a": {"b": {"$c": 1}}}}, "/$addToSet/a/b/$c"),
        ({"$pop": {"a": 2}}, "/$pop/a"),
        ({"$pop": {"a": "1"}}, "/$pop/a"),
        ({"$pullAll": {"a": 1}}, "/$pullAll/a"),
        ({"$pullAll": {"a": [{"$gt": 1}]}}, "/$pullAll/a/0/$gt"),
        ({"$bit": {"a": 1}}, "/$bit/a"),
        ({"$bit": {"a": {}}}, "/$bit/a"),
        ({"$bit": {"a": {"not": 1}}}, "/$bit/a/not"),
        ({"$bit": {"a": {"and": 1.0}}}, "/$bit/a/and"),
    ],
)
def test_arguments_of_the_wrong_shape(update: Any, pointer: str) -> None:
    """What is no update, or an argument that its operator does not take, is told with its place."""
    assert refused(update) == pointer


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "$", "$a", "a.$", "a.$.b", "a.$b"])
def test_paths_that_are_none(path: str) -> None:
    """No part of a path is empty or starts with `$`: no query has found a position."""
    assert refused({"$set": {path: 1}}) == f"/$set/{path}"
    assert refused({"$rename": {"x": path}}) == "/$rename/x"
    assert refused({"$pull": {path: 1}}) == f"/$pull/{path}"


@pytest.mark.parametrize(
    ("path", "word"), [("a.$", "query"), ("a.$[x]", "filters"), ("$[].a", "array"), ("a.$b", "$[]")]
)
def test_a_path_with_positions_is_told_why(path: str, word: str) -> None:
    """The refusal says what the path would need, and what can be had."""
    with pytest.raises(InvalidPatch, match=word.replace("$", r"\$").replace("[", r"\[")):
        checked({"$set": {path: 1}})


@pytest.mark.parametrize("path", ["_id", "_id.a", "_id.$[]"])
@pytest.mark.parametrize(
    "name", ["$set", "$unset", "$inc", "$min", "$rename", "$currentDate", "$push", "$pull", "$bit"]
)
def test_the_id_cannot_be_changed(name: str, path: str) -> None:
    """No operator reaches `_id` or anything below it, not even to set it to what it is."""
    with pytest.raises(InvalidPatch, match="The id cannot be changed"):
        checked({name: {path: 1}})


def test_nothing_is_renamed_to_the_id() -> None:
    """`$rename` reaches `_id` from neither side."""
    with pytest.raises(InvalidPatch, match="The id cannot be changed"):
        checked({"$rename": {"a": "_id"}})
    with pytest.raises(InvalidPatch, match="The id cannot be changed"):
        checked({"$rename": {"a": "_id.b"}})


@pytest.mark.parametrize(
    "update",
    [
        {"$set": {"a": 1}, "$inc": {"a": 1}},
        {"$set": {"a": 1, "a.b": 1}},
        {"$set": {"a.b.c": 1}, "$unset": {"a": 1}},
        {"$set": {"a.b": 1, "a.bc": 1}, "$inc": {"a": 1}},
        {"$rename": {"a": "a"}},
        {"$rename": {"a": "a.b"}},
        {"$rename": {"a": "b", "c": "b"}},
        {"$rename": {"a": "b"}, "$set": {"b.c": 1}},
        {"$set": {"a.$[]": 1, "a.$[].b": 1}},
    ],
)
def test_paths_in_each_others_way(update: Any) -> None:
    """Two changes of one path, or of one that leads through the other, are refused."""
    with pytest.raises(InvalidPatch, match="leads through"):
        checked(update)


def test_paths_are_bounded() -> None:
    """At most 100 paths in all operators together, and at most 100 parts in a path."""
    assert checked(
        {"$set": {f"a{n}": n for n in range(50)}, "$inc": {f"b{n}": n for n in range(50)}}
    )
    assert refused({"$set": {f"a{n}": n for n in range(101)}}) == ""
    assert refused({"$rename": {f"a{n}": f"b{n}" for n in range(51)}}) == ""
    assert checked({"$set": {".".join("a" * 100): 1}})
    assert refused({"$set": {".".join("a" * 101): 1}})[:5] == "/$set"


def test_depth_is_bounded() -> None:
    """A path and the value at its end make at most 100 levels together."""
    value: Any = 1
    for _ in range(60):
        value = [value]
    assert checked({"$set": {".".join("a" * 40): value}})
    assert refused({"$set": {".".join("a" * 41): value}}).startswith("/$set/a.a")
    assert refused({"$push": {".".join("a" * 40): value}}).startswith("/$push/a.a")
    assert refused({"$push": {".".join("a" * 40): {"$each": [value]}}}).startswith("/$push/a.a")


@pytest.mark.parametrize("parts", [1, 98, 99])
def test_what_is_renamed_may_not_become_too_deep(parts: int) -> None:
    """The value at the old path has levels of its own, here two, which the update does not tell."""
    body = json.dumps({"$rename": {"a.b": ".".join("x" * parts)}}).encode()
    update = operators.check(parse_extended_value(body, operators=True))
    deep = bson.encode({"a": {"b": [[1]]}})
    operators.check_levels(bson.encode({"a": {"b": 1}}), update)
    operators.check_levels(bson.encode({"a": {"c": [[1]]}}), update)
    if parts <= 98:
        operators.check_levels(deep, update)
        return
    with pytest.raises(InvalidPatch) as caught:
        operators.check_levels(deep, update)
    assert [fault.pointer for fault in caught.value.faults] == ["/$rename/a.b"]


def test_a_long_name_is_not_repeated() -> None:
    """A refusal does not send the client's own text back at any length."""
    with pytest.raises(ForbiddenOperator) as caught:
        checked({"$" + "x" * 100_000: {"a": 1}})
    assert len(caught.value.detail) + len(caught.value.faults[0].pointer) < 2_000
