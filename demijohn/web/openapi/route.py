"""`GET /openapi.json`: the description, made once for each application."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import orjson
from flask import Flask, Response, request

from demijohn.errors import NotAcceptable
from demijohn.formats import media_types
from demijohn.web.openapi.description import describe
from demijohn.web.openapi.headers import CACHED_ANEW, ETAG
from demijohn.web.openapi.operation import Answer, Operation, Parameter, View
from demijohn.web.requests import refuse_parameters, require_acceptable

OPERATION = Operation(
    id="describe",
    tag="operations",
    summary="This document",
    description=(
        "The OpenAPI document of this service as it runs. `If-None-Match` with its `ETag` "
        "saves reading it again."
    ),
    answers=(
        Answer(
            200,
            "An OpenAPI 3.1 document.",
            {media_types.PLAIN: {"type": "object", "required": ["openapi", "info", "paths"]}},
            (ETAG, CACHED_ANEW),
        ),
        Answer(304, "It is still the same.", headers=(ETAG, CACHED_ANEW)),
    ),
    problems=(NotAcceptable,),
    parameters=(
        Parameter("If-None-Match", "header", "Tags of copies at hand, or `*`.", {"type": "string"}),
    ),
)


@dataclass(frozen=True, slots=True)
class _Page:
    text: bytes
    tag: str


def publish(app: Flask) -> None:
    """Add the route that describes all routes, itself among them; to be called last.

    Raises UndescribedError where a route has no description.
    """

    @cache
    def page() -> _Page:
        text = orjson.dumps(describe(app)) + b"\n"
        return _Page(text, hashlib.sha256(text).hexdigest()[:32])

    view = View(OPERATION, lambda: _answer(page()))
    app.add_url_rule("/openapi.json", endpoint="openapi", view_func=view)
    page()


def _answer(page: _Page) -> Response:
    require_acceptable(media_types.PLAIN)
    refuse_parameters()
    if request.if_none_match.contains_weak(page.tag):
        response = Response(status=304)
        del response.headers["Content-Type"]
    else:
        response = Response(page.text, content_type=media_types.PLAIN)
    response.set_etag(page.tag)
    response.headers["Cache-Control"] = "no-cache"
    return response
