"""Answers held against the service's own description: what it does not say must not happen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema_rs
from urllib3 import HTTPHeaderDict

Json = dict[str, Any]

PROBLEM = "application/problem+json"
REST = {"{id}", "{index}", "{path}"}
"""Parameters that are the rest of their path, slashes too."""
MINIMAL = "return=minimal"
OF_HTTP = {
    *("connection", "content-length", "content-type", "date"),
    *("keep-alive", "server", "transfer-encoding"),
}
"""Headers that HTTP itself or any server adds; a description passes over them."""


class UndescribedAnswerError(AssertionError):
    """An answer that the description does not allow."""


class Description:
    """An OpenAPI document, and what it allows."""

    def __init__(self, document: Json) -> None:
        """Take the document, parsed."""
        self.document = document
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def check(
        self, method: str, path: str, status: int, headers: HTTPHeaderDict, body: bytes
    ) -> None:
        """Raise UndescribedAnswerError where the answer is not one of those described."""
        found = self._find(unquote(urlsplit(path).path, "latin-1"))
        place = f"{method} {path[:200]} → {status}"
        operation = self.document["paths"][found].get(method.lower()) if found else None
        if operation is None:
            if method != "HEAD":
                self._check_refusal(place, "method-not-allowed" if found else "not-found", body)
            return
        response = operation["responses"].get(str(status))
        if response is None:
            raise UndescribedAnswerError(f"{place}: the status is not described")
        response = self._resolved(response)
        self._check_headers(place, response, headers)
        self._check_body(place, response, headers, body)

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Each operation: its path, its method in capitals, and itself."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield path, method.upper(), operation

    def codes(self) -> set[str]:
        """The codes of all problems that some operation may answer with."""
        return {code for _, _, operation in self.operations() for code in self.codes_of(operation)}

    def codes_of(self, operation: Json) -> Iterator[str]:
        """The codes of the problems that an operation may answer with."""
        for response in map(self._resolved, operation["responses"].values()):
            schema = response.get("content", {}).get(PROBLEM, {}).get("schema", {})
            for part in schema.get("oneOf", [schema] if schema else []):
                yield self._resolved(part)["properties"]["code"]["const"]

    def _find(self, path: str) -> str | None:
        """The template that the path is of; an id is all that is left of one."""
        return next((name for name, pattern in self._patterns if pattern.fullmatch(path)), None)

    @cached_property
    def _patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        names = sorted(self.document["paths"], key=lambda path: path.count("{"))
        return [(name, re.compile(_pattern(name), re.DOTALL)) for name in names]

    def _check_refusal(self, place: str, expected: str, body: bytes) -> None:
        """An answer outside all operations is one problem, or what may befall every request."""
        problem = _parsed(place, body)
        code = problem.get("code") if isinstance(problem, dict) else None
        if code not in {expected, *self.codes_of(self.document["paths"]["/"]["get"])}:
            raise UndescribedAnswerError(f"{place}: {code} instead of {expected}")
        schemas = self.document["components"]["schemas"]
        (name,) = (
            name
            for name, schema in schemas.items()
            if schema.get("properties", {}).get("code") == {"const": code}
        )
        self._validate(place, {"$ref": f"#/components/schemas/{name}"}, problem)

    def _check_headers(self, place: str, response: Json, headers: HTTPHeaderDict) -> None:
        described = {
            name.lower(): self._resolved(each) for name, each in response["headers"].items()
        }
        for name, header in described.items():
            if name in headers:
                value = _as_type(headers[name], header["schema"])
                self._validate(f"{place}, {name}", header["schema"], value)
            elif header["required"]:
                raise UndescribedAnswerError(f"{place}: the header {name} is missing")
        more = {name.lower() for name in headers} - described.keys() - OF_HTTP
        if more:
            raise UndescribedAnswerError(f"{place}: {sorted(more)} are not described")

    def _check_body(self, place: str, response: Json, headers: HTTPHeaderDict, body: bytes) -> None:
        content = response.get("content", {})
        is_minimal = headers.get("Preference-Applied") == MINIMAL
        if not content or is_minimal:
            if body:
                raise UndescribedAnswerError(f"{place}: a body is not described")
            return
        media_type = headers.get("Content-Type", "").partition(";")[0]
        if media_type not in content:
            raise UndescribedAnswerError(f"{place}: {media_type or 'no type'} is not described")
        is_json = media_type.endswith(("/json", "/ejson", "+json"))
        value = _parsed(place, body) if is_json else body.decode()
        self._validate(place, content[media_type]["schema"], value)

    def _validate(self, place: str, schema: Json, value: object) -> None:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        for error in self._validators[key].iter_errors(value):
            raise UndescribedAnswerError(f"{place}: {error.message[:500]}")

    def _resolved(self, part: Json) -> Json:
        """What a reference into the document leads to, or the part itself."""
        if "$ref" not in part:
            return part
        found: Any = self.document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        assert isinstance(found, Mapping)
        return dict(found)


def _pattern(template: str) -> str:
    parts = re.split(r"(\{\w+\})", template)
    return "".join(
        (".*" if part in REST else "[^/]+") if part.startswith("{") else re.escape(part)
        for part in parts
    )


def _parsed(place: str, body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise UndescribedAnswerError(f"{place}: the body is no JSON") from error


def _as_type(text: str, schema: Json) -> object:
    return int(text) if schema.get("type") == "integer" and text.isdigit() else text
