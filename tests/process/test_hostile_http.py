"""Bodies that are framed or announced to deceive: large ones, wrong lengths, `Expect`."""

from __future__ import annotations

import re

import pytest

from tests.support.database import Database, emptied
from tests.support.raw_http import connect, head, read_answer
from tests.support.service import Service

MIB = 1024 * 1024
JSON = "Content-Type: application/json"
LARGE = 17 * MIB
"""More than a document of MongoDB's may have."""


def test_who_asks_first_is_told_to_go_on(service: Service, database: Database) -> None:
    """`Expect: 100-continue` (RFC 9110, section 10.1.1): 100, then the body, then its answer."""
    body = b'{"asked":true}'
    about = (JSON, f"Content-Length: {len(body)}", "Expect: 100-continue")
    with emptied(database.uri, "data") as stored, connect(service.port) as connection:
        connection.sendall(head("POST", "/data", *about))
        assert connection.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_answer(connection).status == 201
        assert stored.count_documents({"asked": True}) == 1


@pytest.mark.parametrize("path", ["/data", "/v1/collections/data/documents"])
def test_who_asks_first_with_too_much_is_refused_at_once(service: Service, path: str) -> None:
    """The answer to a length that is too large is 413 and not 100: nothing of it is sent."""
    about = (JSON, f"Content-Length: {LARGE}", "Expect: 100-continue")
    with connect(service.port) as connection:
        connection.sendall(head("POST", path, *about))
        assert read_answer(connection).status == 413


@pytest.mark.parametrize("framing", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/data"), ("PUT", "/v1/collections/data/documents/one")]
)
def test_seventeen_megabytes_are_refused(
    service: Service, database: Database, method: str, path: str, framing: str
) -> None:
    """However it is framed: 413, read by a client that has not stopped sending, nothing stored."""
    body = b'{"a":"'.ljust(LARGE - 2, b"x") + b'"}'
    if framing.startswith("Transfer"):
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with emptied(database.uri, "data") as stored, connect(service.port) as connection:
        connection.sendall(head(method, path, JSON, framing))
        try:
            connection.sendall(body)
        except ConnectionError:
            return  # it was closed behind the answer, long before the end
        finally:
            assert stored.count_documents({}) == 0
        assert read_answer(connection).status == 413


def test_a_length_that_is_too_short_smuggles_nothing(service: Service, database: Database) -> None:
    """What comes behind the announced bytes is no part of the document, nor a request by itself."""
    with emptied(database.uri, "data") as stored, connect(service.port) as connection:
        about = head("POST", "/data", JSON, "Content-Length: 7")
        connection.sendall(about + b'{"a":1},"b":2}')
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"201", b"400"]
        assert [set(each) - {"_id"} for each in stored.find()] == [{"a"}]
