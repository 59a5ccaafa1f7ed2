"""Every problem that these routes can meet: status, code, pointer, and nothing stored."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from tests.support.api import Api
from tests.support.database import Documents
from tests.support.raw_http import RawAnswer, connect, head, read_answer

DEEP = '{"a":' * 101 + "1" + "}" * 101


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b"", 1, 1),
        (b'{"a":\n  tru}', 2, 3),
        (b'{"a":1,}', 1, 8),
        (b"{'a':1}", 1, 2),
        (b'{"a":NaN}', 1, 6),
        (b'{"a":1} x', 1, 9),
        (b'\xef\xbb\xbf{"a":1}', 1, 1),
        (b'{"a":"\xff"}', 1, 7),
        ('{"ü":"\\ud800"}'.encode(), 1, 7),
        (b'{"a":"\x01"}', 1, 7),
    ],
)
def test_what_is_not_json(api: Api, stored: Documents, body: bytes, line: int, column: int) -> None:
    """400 with the line and the column where the parser stopped."""
    answer = api.post(body)
    assert (answer.status, answer.problem()) == (400, "malformed-json")
    assert answer.json()["line"] == line
    # Where a bad escape or character is noticed, parsers differ by one column.
    assert abs(answer.json()["column"] - column) <= 1
    assert stored.count_documents({}) == 0


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ("[]", [""]),
        ('"text"', [""]),
        ("null", [""]),
        ('{"a":{"$set":1}}', ["/a/$set"]),
        ('{"\\u0024where":"1"}', ["/$where"]),
        ('{"a":[0,{"b\\u0000c":1}]}', ["/a/1/b\0c"]),
        ('{"a":9223372036854775808}', ["/a"]),
        ('{"a":[1,-9223372036854775809]}', ["/a/1"]),
        ('{"a~/b":18446744073709551616}', ["/a~0~1b"]),
        ('{"a":1e400}', ["/a"]),
        ('{"_id":null}', ["/_id"]),
        ('{"_id":[1]}', ["/_id"]),
        ('{"_id":true}', ["/_id"]),
        ('{"_id":"' + "x" * 1023 + '"}', ["/_id"]),
    ],
)
def test_json_that_is_no_document(
    api: Api, stored: Documents, body: str, pointers: list[str]
) -> None:
    """422 with a pointer to each fault."""
    answer = api.post(body)
    assert (answer.status, answer.problem()) == (422, "invalid-document")
    assert answer.pointers() == pointers
    assert stored.count_documents({}) == 0


def test_nesting_is_bounded(api: Api, stored: Documents) -> None:
    """100 levels are kept; 101, and ten thousand, get 422."""
    assert api.post('{"a":' * 100 + "1" + "}" * 100).status == 201
    for body in (DEEP, '{"a":' + "[" * 10_000 + "]" * 10_000 + "}"):
        answer = api.post(body)
        assert (answer.status, answer.problem()) == (422, "invalid-document")
    assert stored.count_documents({}) == 1


def test_operators_as_data_do_nothing(api: Api, stored: Documents) -> None:
    """A text that looks like an operator is a text."""
    assert api.post('{"a":"$where","b":{"c":["$ne"]}}').status == 201
    assert stored.count_documents({"a": "$where"}) == 1


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/ejson", ""],
)
def test_another_media_type_is_refused(api: Api, stored: Documents, content_type: str) -> None:
    """415 for what is not JSON by its own word."""
    answer = api.ask("POST", "/data", b"{}", {"Content-Type": content_type})
    assert (answer.status, answer.problem()) == (415, "unsupported-media-type")
    assert stored.count_documents({}) == 0


def test_charset_and_coding(api: Api, stored: Documents) -> None:
    """UTF-8 by any of its names is read; another charset or a compressed body is refused."""
    good = api.post("{}", Content_Type="application/json; charset=UTF-8")
    assert good.status == 201
    for headers in (
        {"Content_Type": "application/json; charset=latin-1"},
        {"Content_Encoding": "gzip"},
    ):
        assert api.post("{}", **headers).problem() == "unsupported-media-type"
    assert stored.count_documents({}) == 1


def test_a_body_past_the_bound(api: Api, stored: Documents) -> None:
    """2 MiB are taken, more gets 413, with a length and chunked."""
    just = b'{"a":"' + b"x" * (2 * 1024 * 1024 - 8) + b'"}'
    assert api.post(just).status == 201
    answer = api.post(just + b" ")
    assert (answer.status, answer.problem()) == (413, "too-large")
    assert stored.count_documents({}) == 1


def test_a_chunked_body_past_the_bound(api: Api, stored: Documents) -> None:
    """Without a length too: neither what comes after the bound nor a part is passed over."""
    just = b'{"a":1}'.ljust(2 * 1024 * 1024)
    for body, status in (
        (just, 201),
        (just + b"GARBAGE", 413),
        (b'{"b":"' + b"x" * 3_000_000, 413),
    ):
        answer = _chunked(api, body)
        assert answer.status == status, answer.body
    assert stored.count_documents({}) == 1


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(("Content-Length: 20", b'{"cl":1}'), id="length"),
        pytest.param(("Transfer-Encoding: chunked", b'8\r\n{"cl":1}\r\n'), id="chunked"),
    ],
)
def test_a_body_that_ends_early(api: Api, stored: Documents, sent: tuple[str, bytes]) -> None:
    """A part is never taken for the whole, though it be JSON by itself."""
    framing, body = sent
    port = int(api.url.rpartition(":")[2])
    with connect(port) as connection:
        request = head("POST", "/data", "Content-Type: application/json", framing)
        connection.sendall(request + body)
        connection.shutdown(socket.SHUT_WR)
        assert read_answer(connection).status == 400
    assert stored.count_documents({}) == 0


def _chunked(api: Api, body: bytes) -> RawAnswer:
    port = int(api.url.rpartition(":")[2])
    framing = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with connect(port) as connection:
        # Who has heard enough may answer and leave before all of it is sent.
        with suppress(ConnectionError):
            connection.sendall(head("POST", "/data", *framing) + chunks)
        return read_answer(connection)


def test_unknown_addresses_and_methods(api: Api) -> None:
    """404 and 405 are problems too; 405 lists what is allowed."""
    paths = ["/nope", "/data/", "/data/x", "/v1", "/%00", "/..%2f", "/problems/x"]
    for path in (*paths, "/problems//not-found", "/v1//collections/things/documents/one"):
        answer = api.get(path)
        assert (answer.status, answer.problem()) == (404, "not-found"), path
    answer = api.ask("DELETE", "/data")
    assert (answer.status, answer.problem()) == (405, "method-not-allowed")
    assert {"GET", "HEAD", "POST"} <= set(answer.headers["Allow"].split(", "))
    assert api.ask("POST", "/", b"").problem() == "method-not-allowed"


def test_what_cannot_be_answered_as_asked(api: Api, stored: Documents) -> None:
    """406 where Accept leaves nothing; JSON and wildcards are fine."""
    stored.insert_one({"a": 1})
    for accept in ("application/json", "*/*", "application/*", "text/html, */*;q=0.1"):
        assert api.get("/data", Accept=accept).status == 200
    for accept in ("text/html", "application/json;q=0", "application/x-ndjson"):
        assert api.get("/data", Accept=accept).problem() == "not-acceptable"
    assert api.post("{}", Accept="text/html").problem() == "not-acceptable"
    assert stored.count_documents({}) == 1


def test_no_parameter_is_passed_over(api: Api, stored: Documents) -> None:
    """A parameter that nobody would go by is refused, not ignored."""
    answer = api.put("/v1/collections/things/documents/one?name=Ada&limit=1", "{}")
    assert (answer.status, answer.problem()) == (400, "bad-parameter")
    assert "limit, name" in answer.json()["detail"]
    assert api.post("{}", "/data?x").problem() == "bad-parameter"
    assert stored.count_documents({}) == 0


def test_problems_have_pages(api: Api) -> None:
    """Each problem's `type` is a page that exists and can't run anything."""
    answer = api.get(api.get("/nope").json()["type"])
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert b"not-found" in answer.body
    assert b"/problems/duplicate-key" in api.get("/problems").body
