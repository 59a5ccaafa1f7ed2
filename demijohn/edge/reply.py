"""Answers as values, and the one place where a problem becomes one (RFC 9457)."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from demijohn.edge.context import Context
from demijohn.errors import Fault, Problem

PROBLEM_TYPE = "application/problem+json"


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    problem: str | None = None
    """The code, where the answer is a problem."""


def problem_reply(problem: Problem, context: Context) -> Reply:
    """The answer that a problem means: status, headers and `application/problem+json`."""
    body = {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": context.trace.request_id,
        **problem.extra,
    }
    if problem.faults:
        body["errors"] = [_told(fault) for fault in problem.faults]
    headers = [("Content-Type", PROBLEM_TYPE), ("Cache-Control", "no-store"), *problem.headers]
    if problem.retry_after is not None:
        headers.append(("Retry-After", str(problem.retry_after)))
    return Reply(problem.status, tuple(headers), dump(body), problem.code)


def _told(fault: Fault) -> dict[str, str]:
    place = {"pointer": fault.pointer, "detail": fault.detail}
    return place if fault.schema is None else {**place, "schema": fault.schema}


def json_reply(status: int, value: object) -> Reply:
    """A small JSON answer that must not be cached."""
    headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Reply(status, headers, orjson.dumps(value) + b"\n")


def dump(body: dict[str, object]) -> bytes:
    """The text of an answer's body, with a newline at its end."""
    try:
        return orjson.dumps(body) + b"\n"
    except TypeError:
        # A pointer or detail can quote a lone surrogate from a hostile body or URL.
        cleaned = {name: _plain(value) for name, value in body.items()}
        return orjson.dumps(cleaned) + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    return value
