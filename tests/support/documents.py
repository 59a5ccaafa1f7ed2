"""The guide's routes as a client uses them: one connection a request, nothing retried."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def get(url: str) -> Answer:
    """GET the URL. Raises OSError or http.client.HTTPException where no whole answer comes."""
    return _request("GET", url, None)


def post(base: str, document: Document) -> Answer:
    """POST the document to `/data` of the service at `base`; raises as `get` does."""
    return _request("POST", f"{base}/data", json.dumps(document).encode())


def stored(base: str) -> list[Document]:
    """All documents of `/data`. Raises AssertionError where the answer is no 200."""
    answer = get(f"{base}/data")
    assert answer.status == 200, answer
    documents: list[Document] = json.loads(answer.body)
    return documents


def _request(method: str, url: str, body: bytes | None) -> Answer:
    with _connection(url) as connection:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, urlsplit(url).path, body, headers)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())


@contextmanager
def _connection(url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        yield connection
    finally:
        connection.close()
