"""PATCH over HTTP: what each kind of patch makes of a document, and what it leaves alone."""

from __future__ import annotations

import json

import bson
import pytest

from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import EJSON, JSON_PATCH, MERGE, ONE, THINGS, UPDATE, Api

PLAIN = "application/json"
SERVERS_WORDS = (
    *("caused by", "executor", "cannot apply", "cannot create field", "modifier", "non-numeric"),
    *("element {", "document {", "_id:", "E11000", "pymongo", "mongod", "BSON", "errmsg"),
)
OPERATIONS = """[
    {"op":"test","path":"/a/b","value":1.0}, {"op":"move","from":"/a/b","path":"/f"},
    {"op":"add","path":"/g","value":[1,3]}, {"op":"add","path":"/g/1","value":2},
    {"op":"add","path":"/g/-","value":{"~/":0}}, {"op":"remove","path":"/g/3/~0~1"},
    {"op":"copy","from":"/a","path":"/h"}, {"op":"replace","path":"/a","value":null}
]"""
OPERATORS = """{
    "$inc":{"a.b":2}, "$set":{"d":{"$date":"1970-01-01T00:00:00Z"}}, "$unset":{"a.c":""},
    "$push":{"e":{"$each":[3,1,2],"$sort":1,"$slice":2}}
}"""
MORE_OPERATORS = """{
    "$rename":{"a.b":"n"}, "$mul":{"a.c":{"$numberDouble":"0.5"}}, "$min":{"m":7},
    "$max":{"x":"z"}, "$addToSet":{"s":1}
}"""


@pytest.mark.parametrize(
    ("kind", "patch", "wanted"),
    [
        (MERGE, '{"a":{"b":null,"d":[null]},"e":1.0}', {"a": {"c": 2, "d": [None]}, "e": 1.0}),
        (PLAIN, '{"a":null}', {}),
        (PLAIN, "{}", {"a": {"b": 1, "c": 2}}),
        (EJSON, '{"a":{"b":{"$numberLong":"1"}}}', {"a": {"b": bson.Int64(1), "c": 2}}),
        (
            EJSON,
            '{"a":{"$oid":"0123456789abcdef01234567"}}',
            {"a": bson.ObjectId(b"\1#Eg\x89\xab\xcd\xef\1#Eg")},
        ),
        (JSON_PATCH, OPERATIONS, {"a": None, "f": 1, "g": [1, 2, 3, {}], "h": {"c": 2}}),
        (JSON_PATCH, "[]", {"a": {"b": 1, "c": 2}}),
        (UPDATE, OPERATORS, {"a": {"b": 3}, "d": bson.DatetimeMS(0), "e": [1, 2]}),
        (UPDATE, MORE_OPERATORS, {"a": {"c": 1.0}, "n": 1, "m": 7, "x": "z", "s": [1]}),
    ],
)
def test_what_a_patch_makes(
    api: Api, things: Things, kind: str, patch: str, wanted: dict[str, object]
) -> None:
    """Each media type by its standard; the answer and the stored document are the result."""
    keep(things, {"_id": "one", "a": {"b": 1, "c": 2}})
    answer = api.patch(ONE, patch, kind)
    assert answer.status == 200, answer.body
    assert answer.body == api.get(ONE).body
    (raw,) = lying_in(things)
    # MongoDB adds new fields in an order of its own; numbers are compared with their types.
    assert bson.encode(dict(sorted(bson.decode(raw).items()))) == bson.encode(
        dict(sorted({"_id": "one", **wanted}.items()))
    )


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, '{"n":2}'),
        (EJSON, '{"n":{"$numberInt":"2"}}'),
        (JSON_PATCH, '[{"op":"replace","path":"/n","value":2}]'),
        (UPDATE, '{"$set":{"n":{"$numberInt":"2"}}}'),
    ],
)
def test_what_is_not_touched_keeps_its_bytes(
    shell_api: Api, things: Things, kind: str, patch: str
) -> None:
    """A patch of one member leaves every other as it is, though plain JSON could not say it."""
    before = keep(
        things,
        {
            "_id": "one",
            "n": 1,
            "nan": float("nan"),
            "zero": -0.0,
            "date": bson.DatetimeMS(5),
            "long": bson.Int64(1),
            "decimal": bson.Decimal128("1.10"),
            "max": bson.MaxKey(),
            "binary": bson.Binary(b"\0", 128),
            "regex": bson.Regex("a", "im"),
            "": {"a.b": 1},
            "in": [bson.Timestamp(1, 2), bson.Code("f()", {"a": bson.Int64(1)}), 1.0, {}, []],
        },
    )
    assert lying_in(things) == [before]
    assert shell_api.patch(ONE, patch, kind).status == 200
    assert lying_in(things) == [before.replace(b"\x10n\0\1", b"\x10n\0\2")]


MISFITS = (
    ('{"op":"add","path":"/b","value":1},{"op":"test","path":"/n","value":2}', 1),
    (
        '{"op":"remove","path":"/n"},{"op":"add","path":"/b","value":1},{"op":"remove","path":"/n"}',
        2,
    ),
    ('{"op":"replace","path":"/none","value":1}', 0),
    ('{"op":"add","path":"/n/x","value":1}', 0),
    ('{"op":"remove","path":"/l/0"},{"op":"add","path":"/l/2","value":1}', 1),
    ('{"op":"copy","from":"/none","path":"/b"}', 0),
    ('{"op":"move","from":"/l","path":"/l/0"}', 0),
    ('{"op":"remove","path":"/l/01"}', 0),
    ('{"op":"add","path":"/b","value":1},{"op":"spam","path":"/b"}', 1),
    ('{"op":"Remove","path":"/n"}', 0),
    ('{"op":"add","path":"b","value":1}', 0),
    ('{"op":"add","path":"/b"}', 0),
    ('{"op":"add","path":"/b","value":1},{"op":"replace","path":"","value":[1]}', 1),
    ('{"op":"add","path":"/b","value":1},{"op":"remove","path":""}', 1),
    ('{"op":"add","path":"/$where","value":"1"}', 0),
    ('{"op":"add","path":"/b","value":{"$set":1}}', 0),
)


def test_a_json_patch_that_fails(shell_api: Api, things: Things) -> None:
    """422 points at the operation that failed, and those before it have done nothing."""
    raw = keep(things, {"_id": "one", "n": 1, "l": [1, 2]})
    for operations, at in MISFITS:
        answer = shell_api.patch(ONE, f"[{operations}]", JSON_PATCH)
        assert (answer.status, answer.problem()) == (422, "invalid-patch"), operations
        assert answer.pointers(), operations
        assert all(each.startswith(f"/{at}") for each in answer.pointers()), operations
        assert lying_in(things) == [raw]


@pytest.mark.parametrize("kind", [MERGE, PLAIN, EJSON, JSON_PATCH, UPDATE])
def test_what_is_no_patch(api: Api, things: Things, kind: str) -> None:
    """400 for what is not JSON, 422 for JSON that is no patch of the type; 404 comes after both."""
    raw = keep(things, {"_id": "one", "n": 1})
    for body in ("", "{", '{"a":1}x', "[1]", "1", '"x"', "null"):
        is_json = body in ("[1]", "1", '"x"', "null")
        wanted = (422, "invalid-patch") if is_json else (400, "malformed-json")
        for path in (ONE, f"{THINGS}/none"):
            answer = api.patch(path, body, kind)
            assert (answer.status, answer.problem()) == wanted, body
    assert lying_in(things) == [raw]


def test_how_many_operations(shell_api: Api, things: Things) -> None:
    """100 are applied, 101 are refused; 22 copies that would make 29 MB are stopped on the way."""
    keep(things, {"_id": "one", "n": 0})
    add = '{"op":"add","path":"/n","value":1}'
    assert shell_api.patch(ONE, f"[{','.join([add] * 100)}]", JSON_PATCH).status == 200
    (raw,) = lying_in(things)
    refused = shell_api.patch(ONE, f"[{','.join([add] * 101)}]", JSON_PATCH)
    assert (refused.status, refused.problem()) == (422, "invalid-patch")
    first = json.dumps({"op": "add", "path": "/a", "value": ["seven b"]})
    copy = '{"op":"copy","from":"/a","path":"/a/-"}'
    grown = shell_api.patch(ONE, f"[{','.join([first, *[copy] * 22])}]", JSON_PATCH)
    assert (grown.status, grown.problem()) == (413, "too-large")
    assert 15 < grown.json()["operation"] <= 22
    assert grown.pointers() == [f"/{grown.json()['operation']}"]
    assert lying_in(things) == [raw]


OTHER_IDS = (
    (MERGE, '{"_id":null}'),
    (MERGE, '{"b":1,"_id":"two"}'),
    (MERGE, '{"_id":{"a":1}}'),
    (PLAIN, '{"_id":1}'),
    (EJSON, '{"_id":{"$oid":"0123456789abcdef01234567"}}'),
    (JSON_PATCH, '[{"op":"remove","path":"/_id"}]'),
    (JSON_PATCH, '[{"op":"replace","path":"/_id","value":"two"}]'),
    (JSON_PATCH, '[{"op":"add","path":"/_id","value":"two"}]'),
    (JSON_PATCH, '[{"op":"add","path":"/_id/x","value":"two"}]'),
    (JSON_PATCH, '[{"op":"move","from":"/_id","path":"/b"}]'),
    (JSON_PATCH, '[{"op":"copy","from":"/n","path":"/_id"}]'),
    (JSON_PATCH, '[{"op":"move","from":"/n","path":"/_id"}]'),
    (JSON_PATCH, '[{"op":"replace","path":"","value":{"_id":"two"}}]'),
    (UPDATE, '{"$set":{"_id":"two"}}'),
    (UPDATE, '{"$set":{"_id.x":1}}'),
    (UPDATE, '{"$unset":{"_id":""}}'),
    (UPDATE, '{"$rename":{"_id":"b"}}'),
    (UPDATE, '{"$rename":{"n":"_id"}}'),
    (UPDATE, '{"$rename":{"n":"_id.x"}}'),
    (UPDATE, '{"$inc":{"_id":1}}'),
    (UPDATE, '{"$currentDate":{"_id":true}}'),
    (UPDATE, '{"$push":{"_id":1}}'),
)


def test_the_id_stays(shell_api: Api, things: Things) -> None:
    """422 for whatever would change, remove or move it."""
    raw = keep(things, {"_id": "one", "n": 1})
    for kind, patch in OTHER_IDS:
        answer = shell_api.patch(ONE, patch, kind)
        assert (answer.status, answer.problem()) == (422, "invalid-patch"), patch
        assert answer.pointers(), patch
        assert lying_in(things) == [raw], patch


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, '{"_id":"one","n":2}'),
        (EJSON, '{"_id":"one","n":2}'),
        (
            JSON_PATCH,
            '[{"op":"test","path":"/_id","value":"one"},{"op":"replace","path":"","value":{"n":2}}]',
        ),
        (
            JSON_PATCH,
            '[{"op":"replace","path":"/_id","value":"one"},{"op":"add","path":"/n","value":2}]',
        ),
    ],
)
def test_the_id_may_be_named(shell_api: Api, things: Things, kind: str, patch: str) -> None:
    """The same id again is no change of it, and it stays the first member."""
    keep(things, {"_id": "one", "n": 1})
    assert shell_api.patch(ONE, patch, kind).status == 200
    assert lying_in(things) == [bson.encode({"_id": "one", "n": 2})]


UNFIT = (
    '{"$inc":{"t":1}}',
    '{"$mul":{"t":2}}',
    '{"$inc":{"big":{"$numberLong":"9223372036854775807"}}}',
    '{"$push":{"t":1}}',
    '{"$addToSet":{"n":1}}',
    '{"$pop":{"n":1}}',
    '{"$pull":{"n":1}}',
    '{"$pullAll":{"n":[1]}}',
    '{"$bit":{"t":{"and":1}}}',
    '{"$set":{"t.x":1}}',
    '{"$set":{"l.x":1}}',
    '{"$min":{"n.x":1}}',
    '{"$rename":{"t":"n.x"}}',
    '{"$set":{"a":1,"a.b":2}}',
    '{"$set":{"a":1},"$unset":{"a":""}}',
    '{"$set":{"":1}}',
    '{"$set":{"a..b":1}}',
    '{"$set":{"a.":1}}',
    '{"$set":{"l.$":1}}',
    '{"$set":{"l.$[x]":1}}',
    '{"$inc":{"n":"1"}}',
    '{"$inc":{"n":null}}',
    '{"$pop":{"l":2}}',
    '{"$push":{"l":{"$each":1}}}',
    '{"$push":{"l":{"$each":[1],"$slice":1.5}}}',
    '{"$bit":{"n":{"and":"x"}}}',
    '{"$currentDate":{"n":"x"}}',
    '{"$rename":{"n":1}}',
    '{"$rename":{"n":"n"}}',
    '{"$set":1}',
    '{"$set":{"a":{"$where":"1"}}}',
    '{"a":1}',
    '{"$set":{"a":1},"b":2}',
    "{}",
    '[{"$set":{"a":1}}]',
)


def test_an_update_that_does_not_fit(shell_api: Api, things: Things) -> None:
    """422 with a reason in our own words, whoever refused it, and nothing changes."""
    document = {"_id": "one", "n": 1, "t": "text", "l": [1], "big": bson.Int64(2**62)}
    raw = keep(things, document)
    for patch in UNFIT:
        answer = shell_api.patch(ONE, patch, UPDATE)
        assert (answer.status, answer.problem()) == (422, "invalid-patch"), patch
        text = answer.body.decode().casefold()
        assert not [words for words in SERVERS_WORDS if words.casefold() in text], text
        assert answer.json()["errors"][0]["detail"], patch
        assert lying_in(things) == [raw], patch


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ('{"$where":"1"}', "/$where"),
        ('{"$set":{"a":1},"$spam":{"a":1}}', "/$spam"),
        ('{"$setOnInsert":{"a":1}}', "/$setOnInsert"),
        ('{"$replaceWith":{"a":1}}', "/$replaceWith"),
        ('{"$out":"c"}', "/$out"),
        ('{"$pull":{"l":{"$where":"1"}}}', "/$pull/l/$where"),
        ('{"$pull":{"l":{"$expr":{"$function":{}}}}}', "/$pull/l/$expr"),
        ('{"$push":{"l":{"$each":[1],"$spam":1}}}', "/$push/l/$spam"),
    ],
)
def test_an_operator_that_is_not_let_through(
    shell_api: Api, things: Things, patch: str, pointer: str
) -> None:
    """422 names it: what is not known to be harmless is refused."""
    raw = keep(things, {"_id": "one", "l": [1]})
    answer = shell_api.patch(ONE, patch, UPDATE)
    assert (answer.status, answer.problem()) == (422, "forbidden-operator")
    assert answer.pointers() == [pointer]
    assert lying_in(things) == [raw]


def test_a_patch_cannot_make_what_could_not_be_inserted(shell_api: Api, things: Things) -> None:
    """What is refused in a new document is refused as the result of a patch: depth, size, `$`."""
    deep = '{"a":' * 100 + "1" + "}" * 100
    keep(things, {"_id": "one", "a": json.loads(deep[5:-1])})
    (raw,) = lying_in(things)
    path = "/a" * 100
    for kind, patch in (
        (MERGE, deep.replace("1", '{"b":1}')),
        (EJSON, deep.replace("1", '{"b":1}')),
        (JSON_PATCH, f'[{{"op":"replace","path":"{path}","value":[1]}}]'),
        (UPDATE, f'{{"$set":{{"{path[1:].replace("/", ".")}":{{"b":1}}}}}}'),
        (MERGE, '{"$where":1}'),
        (MERGE, '{"b":{"$gt":1}}'),
        (MERGE, '{"b\\u0000":1}'),
        (MERGE, '{"b":9223372036854775808}'),
        (JSON_PATCH, '[{"op":"add","path":"/b","value":18446744073709551616}]'),
    ):
        answer = shell_api.patch(ONE, patch, kind)
        assert answer.status == 422, (kind, patch, answer.body)
        assert answer.problem() in ("invalid-patch", "invalid-document")
    assert lying_in(things) == [raw]


def test_a_patch_cannot_make_a_document_too_large(shell_api: Api, things: Things) -> None:
    """413 past MongoDB's 16 MiB, by each kind of patch; nothing changes."""
    raw = keep(things, {"_id": "one", "a": "x" * 15_800_000, "b": "y" * 900_000})
    for kind, patch in (
        (MERGE, json.dumps({"c": "z" * 900_000})),
        (JSON_PATCH, '[{"op":"copy","from":"/b","path":"/c"}]'),
        (UPDATE, json.dumps({"$set": {"c": "z" * 900_000}})),
    ):
        answer = shell_api.patch(ONE, patch, kind, Prefer="return=minimal")
        assert (answer.status, answer.problem()) == (413, "too-large")
    assert lying_in(things) == [raw]
