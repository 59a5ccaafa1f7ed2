"""Versions: entity tags, and what conditions on them let through (RFC 9110, sections 8.8.3, 13)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import bson
import pytest
from bson import Code, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import CANONICAL, EJSON, JSON_PATCH, MERGE, ONE, THINGS, UPDATE, Answer, Api
from tests.support.together import at_once

TAG = re.compile(r'"([\x21\x23-\x7e]+)\.([prc])"')
FOREIGN = '"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.p"'
ACCEPTS = {"p": "application/json", "r": EJSON, "c": CANONICAL}


def tags(api: Api, path: str = ONE) -> dict[str, str]:
    """The document's tags by their spelling."""
    return {each: api.get(path, Accept=kind).headers["ETag"] for each, kind in ACCEPTS.items()}


def writes(api: Api) -> dict[str, Callable[..., Answer]]:
    """Every way to change the document, each with headers."""
    return {
        "put": lambda **headers: api.put(ONE, '{"n":2}', **headers),
        "merge": lambda **headers: api.patch(ONE, '{"n":2}', **headers),
        "json patch": lambda **headers: api.patch(
            ONE, '[{"op":"replace","path":"/n","value":2}]', JSON_PATCH, **headers
        ),
        "update": lambda **headers: api.patch(ONE, '{"$set":{"n":2}}', UPDATE, **headers),
        "delete": lambda **headers: api.delete(ONE, **headers),
    }


WRITES = ("put", "merge", "json patch", "update", "delete")


def test_a_tag_is_a_digest_and_a_spelling(api: Api, things: Things) -> None:
    """One digest with three endings; of other bytes it is another, 1 and 1.0 told apart."""
    digests = set()
    for number in (1, 1.0, Int64(1), 2):
        things.delete_many({})
        keep(things, {"_id": "one", "n": number})
        by_letter = tags(api)
        matches = [TAG.fullmatch(by_letter[letter]) for letter in "prc"]
        assert [each and each[2] for each in matches] == ["p", "r", "c"]
        (digest,) = {each and each[1] for each in matches}
        digests.add(digest)
    assert len(digests) == 4


def test_what_is_undone_is_the_old_version(api: Api, things: Things) -> None:
    """The tag is of the bytes alone: not of when, by whom or how often they were written."""
    keep(things, {"_id": "one", "n": 1})
    first = tags(api)["p"]
    changed = api.patch(ONE, '{"n":2}').headers["ETag"]
    assert changed != first
    assert api.patch(ONE, '{"n":1}', If_Match=changed).headers["ETag"] == first
    assert api.patch(ONE, "{}").headers["ETag"] == first
    assert api.delete(ONE).status == 204
    assert api.put(ONE, '{"n":1}').headers["ETag"] == first


def test_a_read_of_what_the_client_has(api: Api, things: Things) -> None:
    """304 by If-None-Match for a copy in the same spelling; the whole document for another."""
    keep(things, {"_id": "one", "n": 1})
    by_letter = tags(api)
    for mine, kind in ACCEPTS.items():
        for letter, tag in by_letter.items():
            for named in (tag, f"W/{tag}", f'"x", {tag}', f"{FOREIGN},W/{tag} ", f',{tag}, ,"y"'):
                answer = api.get(ONE, Accept=kind, If_None_Match=named)
                assert answer.status == (304 if letter == mine else 200), named
                assert answer.headers["ETag"] == by_letter[mine]
    for named, status in (("*", 304), (FOREIGN, 200), ('"x"', 200), ('""', 200), ('W/"é"', 200)):
        assert api.get(ONE, If_None_Match=named).status == status


def test_a_read_under_if_match(api: Api, things: Things) -> None:
    """If-Match on a read looks at the digest alone, and compares strongly; 412 has the tag."""
    keep(things, {"_id": "one", "n": 1})
    by_letter = tags(api)
    for tag in (*by_letter.values(), "*", f'"x", {by_letter["c"]}'):
        assert api.get(ONE, If_Match=tag).status == 200
        assert api.ask("HEAD", ONE, headers={"If-Match": tag}).status == 200
    for tag in (FOREIGN, f"W/{by_letter['p']}", '"x"'):
        answer = api.get(ONE, If_Match=tag)
        assert (answer.status, answer.problem()) == (412, "precondition-failed")
        assert answer.headers["ETag"] == by_letter["p"]
    both = api.get(ONE, If_Match=by_letter["c"], If_None_Match=by_letter["p"])
    assert both.status == 304


@pytest.mark.parametrize("name", WRITES)
def test_a_write_under_if_match(api: Api, things: Things, name: str) -> None:
    """The present tag in any spelling lets the write through, and so does `*`."""
    keep(things, {"_id": "one", "n": 1})
    present = tags(api)
    for tag in (*present.values(), "*", f'{FOREIGN} , {present["r"]},W/"z"'):
        things.delete_many({})
        keep(things, {"_id": "one", "n": 1})
        answer = writes(api)[name](If_Match=tag)
        assert answer.status == (204 if name == "delete" else 200)
        wanted = [] if name == "delete" else [bson.encode({"_id": "one", "n": 2})]
        assert lying_in(things) == wanted


@pytest.mark.parametrize("name", WRITES)
def test_a_write_under_a_stale_tag(api: Api, things: Things, name: str) -> None:
    """412 with the present tag, and nothing changes: for that of 1 where 1.0 is, for a weak one."""
    keep(things, {"_id": "one", "n": 1})
    before = tags(api)["p"]
    things.delete_many({})
    raw = keep(things, {"_id": "one", "n": 1.0})
    present = tags(api)
    for tag in (before, FOREIGN, f"W/{present['p']}", '""', f'"x{present["p"][1:]}'):
        answer = writes(api)[name](If_Match=tag, Accept=EJSON)
        if tag.endswith('px"'):
            # An ending that is no spelling's names the same version; nobody was told it.
            continue
        assert (answer.status, answer.problem()) == (412, "precondition-failed"), tag
        assert answer.headers["ETag"] == present["r"]
        assert lying_in(things) == [raw]


@pytest.mark.parametrize("name", WRITES)
def test_a_write_under_if_none_match(api: Api, things: Things, name: str) -> None:
    """The present version refuses the write, weakly compared; another lets it through."""
    raw = keep(things, {"_id": "one", "n": 1})
    present = tags(api)
    for tag in (*present.values(), f"W/{present['c']}", "*", f"{FOREIGN}, {present['r']}"):
        answer = writes(api)[name](If_None_Match=tag)
        assert (answer.status, answer.problem()) == (412, "precondition-failed")
        assert answer.headers["ETag"] == present["p"]
        assert lying_in(things) == [raw]
    both = writes(api)[name](If_Match=present["p"], If_None_Match=present["p"])
    assert both.problem() == "precondition-failed"
    assert writes(api)[name](If_None_Match=FOREIGN).status in (200, 204)
    assert lying_in(things) != [raw]


def test_put_where_there_is_none(api: Api, things: Things) -> None:
    """Of PUT If-Match demands a document: 412 without a tag; If-None-Match: * creates only."""
    for tag in ("*", FOREIGN):
        answer = api.put(ONE, "{}", If_Match=tag)
        assert (answer.status, answer.problem()) == (412, "precondition-failed")
        assert "ETag" not in answer.headers
    assert lying_in(things) == []
    assert api.put(ONE, '{"n":1}', If_None_Match="*").status == 201
    assert api.put(ONE, '{"n":2}', If_None_Match="*").problem() == "precondition-failed"
    assert lying_in(things) == [bson.encode({"_id": "one", "n": 1})]
    assert api.put(f"{THINGS}/two", "{}", If_None_Match=FOREIGN).status == 201


def test_no_document_is_404_whatever_the_condition(api: Api, things: Things) -> None:
    """A condition is not looked at where there would be no success without it (13.2.1)."""
    for headers in ({"If_Match": "*"}, {"If_Match": FOREIGN}, {"If_None_Match": "*"}):
        answers = [api.get(ONE, **headers), api.delete(ONE, **headers)]
        answers += [api.patch(ONE, "{}", **headers), api.patch(ONE, "[]", JSON_PATCH, **headers)]
        assert {each.problem() for each in answers} == {"not-found"}
    assert lying_in(things) == []


def test_a_collection_has_no_version(api: Api, things: Things) -> None:
    """A condition on an insert is refused, not passed over: 400, and nothing is kept."""
    for headers in ({"If_Match": "*"}, {"If_None_Match": "*"}, {"If_Match": FOREIGN}):
        answer = api.post('{"_id":"one"}', THINGS, **headers)
        assert (answer.status, answer.problem()) == (400, "bad-parameter"), headers
    assert lying_in(things) == []


# fmt: off
NO_TAGS = (
    "", "x", '"x', 'x"', '"a" "b"', '"a"x', '*, "a"', "**", "W/", "W/x", 'w/"a"', "'a'", '"a"b"',
    ",", " , ",
)
# fmt: on


def test_what_is_no_list_of_tags(api: Api, things: Things) -> None:
    """400 by every method, before anything is done."""
    raw = keep(things, {"_id": "one", "n": 1})
    for tag, header in product(NO_TAGS, ("If_Match", "If_None_Match")):
        headers = {header: tag}
        answers = [api.get(ONE, **headers), api.delete(ONE, **headers)]
        answers += [writes(api)["put"](**headers), writes(api)["merge"](**headers)]
        told = [(each.status, each.problem()) for each in answers]
        assert told == [(400, "bad-parameter")] * 4, tag
    assert lying_in(things) == [raw]


@pytest.mark.parametrize(
    ("document_id", "spelling"),
    [
        (5, "application/json"),
        (5.5, EJSON),
        (Int64(6), CANONICAL),
        ("text", "application/json"),
        (ObjectId(), EJSON),
        ({"a": 1}, CANONICAL),
    ],
)
def test_a_writes_tag_is_that_of_the_next_read(
    api: Api, things: Things, document_id: object, spelling: str
) -> None:
    """By every method and in every spelling, whatever the id and the fields are."""
    made = api.post(_canonical({"_id": document_id}), THINGS, Content_Type=EJSON)
    where = made.headers["Location"]
    assert api.get(where).headers["ETag"] == made.headers["ETag"]
    fields = {"d": Decimal128("1.10"), "l": Int64(1), "t": Timestamp(1, 2)}
    values = [Regex("a", "i"), MaxKey(), Code("f", {"a": -0.0}), b"\0", None, {"": "é"}]
    steps = (
        (201, "PUT", EJSON, _canonical({**fields, "x": values})),
        (200, "PUT", EJSON, _canonical({**fields, "x": values, "d": Decimal128("1.1")})),
        (200, "PATCH", EJSON, '{"n":{"$numberLong":"1"}}'),
        (200, "PATCH", JSON_PATCH, '[{"op":"add","path":"/a","value":[]}]'),
        (200, "PATCH", UPDATE, '{"$inc":{"l":1},"$set":{"v":{}}}'),
        (200, "PATCH", MERGE, '{"w":1.0}'),
    )
    things.delete_many({})
    for status, method, kind, body in steps:
        answer = api.ask(method, where, body, {"Content-Type": kind, "Accept": spelling})
        read = api.get(where, Accept=spelling)
        assert (answer.status, answer.body) == (status, read.body)
        assert answer.headers["ETag"] == read.headers["ETag"]
    minimal = api.patch(where, '{"z":1}', Accept=spelling, Prefer="return=minimal")
    assert api.get(where, Accept=spelling).headers["ETag"] == minimal.headers["ETag"]
    assert things.count_documents({}) == 1


def test_one_of_many_writers_under_one_tag(api: Api, things: Things) -> None:
    """Exactly one changes the document, however close they come; the others get 412."""
    keep(things, {"_id": "one", "n": 0})
    tag = tags(api)["p"]
    answers = at_once(6, lambda number: api.patch(ONE, f'{{"n":{number + 1}}}', If_Match=tag))
    assert Counter(each.status for each in answers) == {200: 1, 412: 5}
    (winner,) = (each for each in answers if each.status == 200)
    assert api.get(ONE).json() == winner.json()


def _canonical(document: dict[str, Any]) -> str:
    return dumps(document, json_options=CANONICAL_JSON_OPTIONS)
