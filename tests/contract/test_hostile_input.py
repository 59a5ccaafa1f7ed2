"""Hostile text and JSON over HTTP: kept as it is or refused, by each way in, and harmless on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pymongo
import pytest
from bson.raw_bson import RawBSONDocument

from tests.contract.conftest import Things
from tests.support.api import EJSON, ONE, THINGS, Answer, Api
from tests.support.events import listening
from tests.support.hostile import LONG, TEXTS, in_path, seen_as_control
from tests.support.raw_http import ask, head
from tests.unit.test_formats_json_vectors import ACCEPTED_VALUES, EITHER_VALUES, REJECTED_VALUES

LINES = "application/x-ndjson"
Way = Callable[[Api, bytes], tuple[int, str]]
"""Sends a document in a way of its own; the status and the problem's code that it got, if any."""
EACH = pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))


def _judged(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.problem() if answer.status >= 400 else ""


def _line(api: Api, body: bytes) -> tuple[int, str]:
    answer = api.post(body, THINGS, Content_Type=LINES)
    first = json.loads(answer.body.split(b"\n")[0])
    return (201, "") if first.get("inserted") else (first["status"], first["code"])


WAYS: dict[str, Way] = {
    "express": lambda api, body: _judged(api.post(body, THINGS)),
    "full": lambda api, body: _judged(api.post(body, THINGS, Prefer="return=representation")),
    "PUT": lambda api, body: _judged(api.put(ONE, body)),
    "patch": lambda api, body: _judged(_patched(api, body)),
    "Extended JSON": lambda api, body: _judged(api.post(body, THINGS, Content_Type=EJSON)),
    "array": lambda api, body: _first(api.post(b"[" + body + b"]", THINGS)),
    "line": _line,
}


def _first(answer: Answer) -> tuple[int, str]:
    """What the first of an array got; all of it, where it is no array."""
    (refused,) = answer.json().get("errors", [{}])[:1] or [{}]
    return (refused["status"], refused["code"]) if "status" in refused else _judged(answer)


def _patched(api: Api, body: bytes) -> Answer:
    api.put(ONE, "{}")
    return api.patch(ONE, body)


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    """Each way that a document comes in by."""
    return WAYS[str(request.param)]


def test_what_json_accepts_is_kept(shell_api: Api, things: Things, way: Way) -> None:
    """Every text of the suite that must be accepted is stored and read back equal."""
    for text, value in ACCEPTED_VALUES:
        if (way is _line and b"\n" in text) or (way is WAYS["patch"] and value is None):
            continue  # two lines; and a merge patch takes null for a removal
        things.delete_many({})
        assert way(shell_api, b'{"value":' + text + b"}")[0] in (200, 201, 204), text
        (found,) = shell_api.get(THINGS).json()["documents"]
        assert (found["value"], type(found["value"])) == (value, type(value)), text


def test_what_json_rejects_is_refused(shell_api: Api, things: Things, way: Way) -> None:
    """Every text that must be rejected is 400, and nothing of it is stored."""
    for text in REJECTED_VALUES:
        if way is _line and b"\n" in text:
            continue
        got = way(shell_api, b'{"value":' + text + b"}")
        assert got == (400, "malformed-json"), text
    assert all(set(each) == {"_id"} for each in things.find())


def test_what_json_leaves_open_is_refused(shell_api: Api, things: Things, way: Way) -> None:
    """Numbers and depths past what is kept are JSON, but no document's: 422, nothing stored."""
    for text in EITHER_VALUES:
        got = way(shell_api, b'{"value":' + text + b"}")
        assert got[0] in (400, 422), text[:30]
        assert way is WAYS["Extended JSON"] or got[0] == 422, text[:30]
    assert all(set(each) == {"_id"} for each in things.find())


@EACH
def test_text_is_kept_as_it_is(shell_api: Api, things: Things, text: str) -> None:
    """As a value, a key and an id it comes back equal; its address and all headers are plain."""
    key = text if text[:1] != "$" and "\0" not in text else "key"
    document = {"_id": text, "value": [text, LONG], key: {key: text}}
    made = shell_api.post(json.dumps(document), THINGS)
    assert made.status == 201
    location = made.headers["Location"]
    assert text in unquote(location.rpartition("/")[2])
    found = shell_api.get(location)
    assert found.json() == document
    listed = shell_api.get(f"{THINGS}?limit=1", Accept="application/json")
    for answer in (made, found, listed):
        assert _is_plain(answer)
    again = shell_api.post(json.dumps(document), THINGS)
    assert (again.status, again.problem(), _is_plain(again)) == (409, "duplicate-key", True)
    assert shell_api.delete(location).status == 204
    assert things.count_documents({}) == 0


@EACH
def test_names_and_addresses_are_not_repeated(shell_api: Api, text: str) -> None:
    """Of a collection, a problem, a file and a page that there is none of: 400 or 404, in words."""
    segment = in_path(text)
    for path in (
        f"/{segment}",
        f"/problems/{segment}",
        f"/docs/{segment}",
        f"/v1/collections/{segment}",
        f"/v1/collections/{segment}/documents",
    ):
        answer = shell_api.get(path, Accept="text/html, */*")
        assert (answer.status, answer.problem()) in ((400, "bad-parameter"), (404, "not-found"))
        assert _is_plain(answer)
        assert text not in answer.json()["detail"]


@EACH
def test_headers_are_not_repeated(shell_api: Api, text: str) -> None:
    """What comes in a header comes out in none, nor is it taken for another header."""
    shown = "".join(each for each in text if each not in "\r\n\0").encode()
    names = ("X-Request-Id", "traceparent", "Idempotency-Key", "If-None-Match", "Accept", "Range")
    for name in names:
        sent = head("GET", "/data").removesuffix(b"\r\n")
        answer = ask(_port(shell_api), sent + name.encode() + b": " + shown + b"\r\n\r\n")
        assert answer.status in (200, 304, 400, 406), name
        assert not seen_as_control("".join(answer.headers.values()))
        assert "set-cookie" not in answer.headers


def _is_plain(answer: Answer) -> bool:
    return not seen_as_control("".join(f"{name}{value}" for name, value in answer.headers.items()))


def _port(api: Api) -> int:
    return int(api.url.rpartition(":")[2])


def test_metrics_have_no_label_of_a_clients_choice(shell_api: Api) -> None:
    """However many paths, methods, names and ids are tried: not one more series."""
    _scanned(shell_api)  # which counts its own look at the metrics
    before = _scanned(shell_api)
    after = _scanned(shell_api)

    assert after == before
    assert not seen_as_control("".join(after))


def _scanned(api: Api) -> set[str]:
    """The series that there are once a scanner has been here."""
    for number in range(10):
        text = in_path(f"{uuid4().hex}\x1b[5m{number}")
        for path in (f"/{text}", f"/problems/{text}", f"/v1/collections/{uuid4().hex}/documents"):
            api.get(path)
            ask(_port(api), head("BREW" if number % 2 else "PROPFIND", path))
        api.get(f"{THINGS}/{text}")
    lines = api.get("/metrics").body.decode().split("\n")
    return {re.sub(r"\s\S+$", "", line) for line in lines if line.startswith("demijohn_")}


def test_events_hold_no_line_of_a_documents(
    shell_api: Api, raw_client: pymongo.MongoClient[RawBSONDocument]
) -> None:
    """Whatever is in ids, keys and values: each change is one event, with the very document."""
    # Its own: what happened to a collection just before may be told too.
    things = raw_client["flask_db"][uuid4().hex]
    place = f"/v1/collections/{things.name}"
    given: list[Any] = [
        {"_id": text, "value": f"{text}\nevent: taken\ndata: 1\n\nid: 0\nretry: 0"}
        for text in TEXTS.values()
    ]
    with listening(f"{shell_api.url}{place}/changes") as listener:
        for each in given:
            assert shell_api.post(json.dumps(each), f"{place}/documents").status == 201
        told = listener.wait_for(len(given))
    assert [each.name for each in told] == ["insert"] * len(given)
    assert [each.data["document"] for each in told] == given
    assert things.count_documents({}) == len(given)
