"""Requests to the service as any client sends them, and its answers as values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3

JSON = {"Content-Type": "application/json"}
EJSON = "application/ejson"
CANONICAL = "application/ejson; mode=canonical"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
UPDATE = "application/vnd.mongodb.update+json"
THINGS = "/v1/collections/things/documents"
ONE = f"{THINGS}/one"
Check = Callable[[str, str, int, urllib3.HTTPHeaderDict, bytes], None]
"""Raises where the answer to a request, by method and path, is not as it should be."""


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def problem(self) -> str:
        """The code of a problem answer, held to what every problem must have."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        value = self.json()
        assert value["status"] == self.status
        assert value["type"] == f"/problems/{value['code']}"
        assert value["title"]
        assert value["detail"]
        assert value["request_id"] == self.headers["X-Request-Id"]
        assert self.status not in (429, 503) or int(self.headers["Retry-After"]) > 0
        return str(value["code"])

    def pointers(self) -> list[str]:
        """The pointers of a problem answer's faults."""
        return [fault["pointer"] for fault in self.json().get("errors", ())]


class Api:
    """A client of one service. Nothing is retried."""

    def __init__(self, url: str, check: Check | None = None) -> None:
        """Take the service's address, and what each answer is to be held against, if anything."""
        self.url = url
        self._check = check
        self._pool = urllib3.PoolManager(retries=False, timeout=30, maxsize=20)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request and read the whole answer; raises what urllib3 raises."""
        url = self.url + path
        raw = self._pool.request(method, url, body=body, headers=headers, redirect=False)
        if self._check is not None:
            self._check(method, path, raw.status, raw.headers, raw.data)
        return Answer(raw.status, raw.headers, raw.data)

    def get(self, path: str, **headers: str) -> Answer:
        """GET; an underscore in a header's name stands for a hyphen."""
        return self.ask("GET", path, headers=_named(headers))

    def post(self, body: bytes | str, path: str = "/data", **headers: str) -> Answer:
        """POST of JSON text."""
        return self.ask("POST", path, body, {**JSON, **_named(headers)})

    def put(self, path: str, body: bytes | str, **headers: str) -> Answer:
        """PUT of JSON text."""
        return self.ask("PUT", path, body, {**JSON, **_named(headers)})

    def patch(self, path: str, body: bytes | str, kind: str = MERGE, **headers: str) -> Answer:
        """PATCH with a patch of this media type."""
        return self.ask("PATCH", path, body, {"Content-Type": kind, **_named(headers)})

    def delete(self, path: str, **headers: str) -> Answer:
        """DELETE."""
        return self.ask("DELETE", path, headers=_named(headers))

    def insert(self, value: object) -> Answer:
        """POST of a value to `/data`."""
        return self.post(json.dumps(value))

    def close(self) -> None:
        """Close its connections."""
        self._pool.clear()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
