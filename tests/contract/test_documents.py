"""One document's life over HTTP: statuses, headers, bodies, and what lies in the database."""

from __future__ import annotations

import re
from itertools import product

import bson
import pytest
from bson import ObjectId

from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import CANONICAL, EJSON, JSON_PATCH, MERGE, ONE, THINGS, UPDATE, Answer, Api

TYPED = '{"$date":{"$numberLong":"1795435200000"}},"n":{"$numberInt":"5"}'
PLAIN = '"2026-11-23T12:00:00.000Z","n":5'
TAG = re.compile(r'"[\x21\x23-\x7e]+\.([prc])"')
CHANGING = ("Date", "X-Request-Id", "Traceresponse", "Content-Length", "Transfer-Encoding")


def steady(answer: Answer) -> dict[str, str]:
    """The headers of an answer that another answer to the same request must have too."""
    named = ((name.title(), value) for name, value in answer.headers.items())
    return {name: value for name, value in named if name not in CHANGING}


def is_versioned(answer: Answer, letter: str = "p") -> bool:
    """Whether it has a strong tag of this spelling, and may be kept by its client alone."""
    tag = TAG.fullmatch(answer.headers["ETag"])
    assert tag is not None
    assert answer.headers["Vary"] == "Accept"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    return tag[1] == letter


def is_bodyless(answer: Answer) -> bool:
    """Whether an answer that can't have a body says nothing of one (RFC 9110, 8.6)."""
    assert answer.body == b""
    assert "Transfer-Encoding" not in answer.headers
    return not {"Content-Type", "Content-Length"} & set(answer.headers)


def test_a_whole_life(api: Api, things: Things) -> None:
    """Created, read, replaced, patched, deleted: each answer is the document, and where it is."""
    made = api.post('{"name":"Ada","n":1}', THINGS)
    assert made.status == 201
    assert made.headers["Content-Type"] == "application/json"
    assert is_versioned(made)
    (raw,) = lying_in(things)
    document_id = bson.decode(raw)["_id"]
    assert isinstance(document_id, ObjectId)
    assert made.body == f'{{"_id":"{document_id}","name":"Ada","n":1}}\n'.encode()
    where = made.headers["Location"]
    assert where == f"{THINGS}/{document_id}"
    read = api.get(where)
    assert (read.status, read.body) == (200, made.body)
    assert steady(read) == {k: v for k, v in steady(made).items() if k != "Location"}
    replaced = api.put(where, '{"name":"Eve"}')
    assert (replaced.status, replaced.json()) == (200, {"_id": str(document_id), "name": "Eve"})
    assert "Location" not in replaced.headers
    patched = api.patch(where, '{"age":7}')
    assert (patched.status, patched.json()) == (200, {**replaced.json(), "age": 7})
    assert is_versioned(patched)
    gone = api.delete(where)
    assert gone.status == 204
    assert is_bodyless(gone)
    assert lying_in(things) == []
    for answer in (api.get(where), api.patch(where, "{}"), api.delete(where)):
        assert (answer.status, answer.problem()) == (404, "not-found")


def test_what_is_stored_is_what_was_sent(api: Api, things: Things) -> None:
    """The stored bytes are the user's alone, keys in their order after `_id`, by every write."""
    wanted: dict[str, object] = {"_id": "one", "b": 1, "a": {"z": 1.0, "": None}, "c": []}
    assert api.post('{"b":1,"a":{"z":1.0,"":null},"_id":"one","c":[]}', THINGS).status == 201
    assert lying_in(things) == [bson.encode(wanted)]
    tag = api.get(ONE).headers["ETag"]
    assert api.put(ONE, '{"y":1,"x":-0.0}', If_Match=tag).status == 200
    assert lying_in(things) == [bson.encode({"_id": "one", "y": 1, "x": -0.0})]
    assert api.patch(ONE, '{"y":null,"w":[1]}').status == 200
    assert lying_in(things) == [bson.encode({"_id": "one", "x": -0.0, "w": [1]})]
    assert api.patch(ONE, '{"$set":{"v":"1"}}', UPDATE).status == 200
    assert lying_in(things) == [bson.encode({"_id": "one", "x": -0.0, "w": [1], "v": "1"})]


@pytest.mark.parametrize("condition", [{}, {"If_None_Match": "*"}, {"Idempotency_Key": "unique"}])
def test_put_creates_under_its_id(api: Api, things: Things, condition: dict[str, str]) -> None:
    """201 with Location, the document as body, and nothing but it in the database."""
    if "Idempotency_Key" in condition:
        condition = {"Idempotency_Key": str(ObjectId())}
    answer = api.put(ONE, '{"b":[1.5],"a":2147483648}', **condition)
    assert (answer.status, answer.headers["Location"]) == (201, ONE)
    assert answer.body == b'{"_id":"one","b":[1.5],"a":2147483648}\n'
    assert is_versioned(answer)
    assert lying_in(things) == [bson.encode({"_id": "one", "b": [1.5], "a": 2**31})]


def test_an_empty_document(api: Api, things: Things) -> None:
    """`{}` is a document like any other, for POST and PUT."""
    assert api.put(ONE, "{}").body == b'{"_id":"one"}\n'
    assert api.post("{}", THINGS).status == 201
    assert len(lying_in(things)) == 2


def test_an_id_that_is_there_already(api: Api, things: Things) -> None:
    """POST never replaces: 409 says which index and which fields."""
    raw = keep(things, {"_id": "one", "n": 1})
    answer = api.post('{"_id":"one","n":2}', THINGS)
    assert (answer.status, answer.problem()) == (409, "duplicate-key")
    assert (answer.json()["index"], answer.json()["fields"]) == ("_id_", ["_id"])
    assert lying_in(things) == [raw]


def test_head_is_get_without_a_body(api: Api, things: Things) -> None:
    """The same status and headers, for a document, an unchanged one and none."""
    keep(things, {"_id": "one", "n": 1})
    tag = api.get(ONE).headers["ETag"]
    asked: list[dict[str, str]] = [{}, {"If-None-Match": tag}, {"If-Match": '"x"'}]
    asked.append({"Accept": CANONICAL})
    for path, headers in (*((ONE, each) for each in asked), (f"{THINGS}/none", {})):
        get, head = (api.ask(method, path, headers=headers) for method in ("GET", "HEAD"))
        assert (head.status, head.body) == (get.status, b"")
        assert steady(head) == steady(get)


def test_answers_that_have_no_body(api: Api, things: Things) -> None:
    """204 and 304 have no length and no type, and are where the contract says."""
    keep(things, {"_id": "one"})
    unchanged = api.get(ONE, If_None_Match="*")
    assert unchanged.status == 304
    assert is_versioned(unchanged)
    replaced = api.put(ONE, '{"n":1}', Prefer="return=minimal")
    patched = api.patch(ONE, '{"n":2}', Prefer="return=minimal")
    gone = api.delete(ONE, Prefer="return=representation")
    assert [each.status for each in (replaced, patched, gone)] == [204, 204, 204]
    assert all(map(is_bodyless, (unchanged, replaced, patched, gone)))


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("return=minimal", "minimal"),
        ('return="minimal"', "minimal"),
        ("Return = minimal", "minimal"),
        ("respond-async, return=minimal; why=thrift, wait=10", "minimal"),
        ("return=representation", "representation"),
        ("return=representation, return=minimal", "representation"),
        ("return=everything", None),
        ("x-return=minimal", None),
        ('x="a, return=minimal"', None),
        ("x; return=minimal", None),
        ("handling=lenient", None),
    ],
)
def test_what_a_client_prefers(api: Api, things: Things, prefer: str, applied: str | None) -> None:
    """RFC 7240: a preference is honoured and said to be, and what is none is passed over.

    Neither quoted text nor a parameter of another preference is one; the first of two counts.
    """
    made = api.put(ONE, '{"n":1}', Prefer=prefer)
    replaced = api.put(ONE, '{"n":2}', Prefer=prefer)
    patched = api.patch(ONE, '{"n":3}', Prefer=prefer)
    posted = api.post('{"_id":"two"}', THINGS, Prefer=prefer)
    is_minimal = applied == "minimal"
    statuses = [201, 204, 204, 201] if is_minimal else [201, 200, 200, 201]
    answers = (made, replaced, patched, posted)
    assert [each.status for each in answers] == statuses
    for answer in answers:
        assert (answer.body == b"") == is_minimal
        said = f"return={applied}" if applied else None
        assert answer.headers.get("Preference-Applied") == said
        assert is_versioned(answer)
    assert (made.headers["Location"], posted.headers["Location"]) == (ONE, f"{THINGS}/two")
    assert len(lying_in(things)) == 2


@pytest.mark.parametrize(
    ("accept", "kind", "text"),
    [
        ("application/json", "application/json", PLAIN),
        ("*/*", "application/json", PLAIN),
        ("application/*", "application/json", PLAIN),
        ("text/html, */*;q=0.1", "application/json", PLAIN),
        (EJSON, f"{EJSON}; mode=relaxed", '{"$date":"2026-11-23T12:00:00Z"},"n":5'),
        (CANONICAL, CANONICAL, TYPED),
        (f"application/json;q=0.5, {CANONICAL}", CANONICAL, TYPED),
        (
            f"{EJSON};q=0.1, application/json",
            "application/json",
            '"2026-11-23T12:00:00.000Z","n":5',
        ),
    ],
)
def test_the_spelling_that_is_asked_for(
    api: Api, things: Things, accept: str, kind: str, text: str
) -> None:
    """`Accept` chooses, on reads and on writes; the type of the answer and its tag say which."""
    sent = '{"_id":"one","at":{"$date":"2026-11-23T12:00:00Z"},"n":{"$numberInt":"5"}}'
    typed = {"Content_Type": EJSON, "Accept": accept}
    answers = [api.put(ONE, sent, **typed), api.get(ONE, Accept=accept)]
    answers.append(api.patch(ONE, "{}", EJSON, Accept=accept))
    things.delete_many({})
    answers.append(api.post(sent, THINGS, **typed))
    letter = {"application/json": "p", CANONICAL: "c"}.get(kind, "r")
    for answer in answers:
        assert answer.body.decode() == f'{{"_id":"one","at":{text}}}\n'
        assert answer.headers["Content-Type"] == kind
        assert is_versioned(answer, letter)


def test_no_answer_could_be_accepted(api: Api, things: Things) -> None:
    """406 before anything is done, on reads and writes."""
    raw = keep(things, {"_id": "one"})
    for accept in ("text/html", "application/json;q=0", "application/x-ndjson"):
        answers = [
            api.get(ONE, Accept=accept),
            api.post("{}", THINGS, Accept=accept),
            api.put(ONE, '{"n":1}', Accept=accept),
            api.patch(ONE, '{"n":1}', Accept=accept),
        ]
        assert {each.problem() for each in answers} == {"not-acceptable"}
    assert lying_in(things) == [raw]


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-json", "application/xml"])
def test_no_other_media_type_is_read(api: Api, things: Things, kind: str) -> None:
    """415 for POST, PUT and PATCH of what is not JSON by its own word; it names what is read."""
    raw = keep(things, {"_id": "one"})
    for method, path in (("POST", THINGS), ("PUT", ONE), ("PATCH", ONE)):
        answer = api.ask(method, path, b"{}", {"Content-Type": kind})
        assert (answer.status, answer.problem()) == (415, "unsupported-media-type")
        read = answer.headers["Accept"].split(", ")
        assert {"application/json", EJSON} <= set(read)
        assert ({MERGE, JSON_PATCH, UPDATE} <= set(read)) == (method == "PATCH")
    assert lying_in(things) == [raw]


@pytest.mark.parametrize("kind", [MERGE, JSON_PATCH, UPDATE])
def test_a_patch_is_no_document(api: Api, things: Things, kind: str) -> None:
    """A patch's media type is refused where a whole document is read."""
    for method, path in (("POST", THINGS), ("PUT", ONE)):
        answer = api.ask(method, path, b"{}", {"Content-Type": kind})
        assert answer.problem() == "unsupported-media-type"
    assert lying_in(things) == []


NO_DOCUMENTS = (
    ("", 400, "malformed-json"),
    (" ", 400, "malformed-json"),
    ('{"a":1', 400, "malformed-json"),
    ('{"a":1}\n{"b":2}\n', 400, "malformed-json"),
    ("[]", 422, "invalid-document"),
    ('[{"a":1}]', 422, "invalid-document"),
    ("null", 422, "invalid-document"),
    ('"text"', 422, "invalid-document"),
    ('{"a":{"$set":1}}', 422, "invalid-document"),
    ('{"a\\u0000":1}', 422, "invalid-document"),
    ('{"a":18446744073709551616}', 422, "invalid-document"),
)


def test_a_body_that_is_no_document(api: Api, things: Things) -> None:
    """POST and PUT refuse it in both spellings, and change nothing."""
    raw = keep(things, {"_id": "one"})
    for (body, status, code), kind in product(NO_DOCUMENTS, ("application/json", EJSON)):
        answers = [api.put(ONE, body, Content_Type=kind)]
        if not body.startswith("["):  # which is many documents to POST
            answers.append(api.post(body, THINGS, Content_Type=kind))
        for answer in answers:
            assert (answer.status, answer.problem()) == (status, code), (kind, body)
    assert lying_in(things) == [raw]


def test_no_other_method(api: Api, things: Things) -> None:
    """405 lists what there is."""
    answer = api.ask("POST", ONE, b"{}", {"Content-Type": "application/json"})
    assert (answer.status, answer.problem()) == (405, "method-not-allowed")
    allowed = set(answer.headers["Allow"].split(", "))
    assert {"GET", "HEAD", "PUT", "PATCH", "DELETE"} <= allowed
    assert "POST" not in allowed
    answer = api.put(THINGS, "{}")
    assert (answer.status, answer.problem()) == (405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"].split(", ")
    assert lying_in(things) == []


def test_no_parameter_is_passed_over(api: Api, things: Things) -> None:
    """400 for any query parameter: a filter that nobody applies would be a lie."""
    raw = keep(things, {"_id": "one"})
    for query in ("?fields=n", "?x", "?filter=%7B%7D"):
        answers = [
            api.get(ONE + query),
            api.post("{}", THINGS + query),
            api.put(ONE + query, "{}"),
            api.patch(ONE + query, '{"n":1}'),
            api.delete(ONE + query),
        ]
        assert {each.problem() for each in answers} == {"bad-parameter"}
    assert lying_in(things) == [raw]
