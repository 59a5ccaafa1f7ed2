"""`GET /openapi.json`: the description, made anew when a collection's schema has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, Response, request

from demijohn.documents.collections import Configuration, Configurations
from demijohn.errors import NotAcceptable, Problem
from demijohn.formats import media_types
from demijohn.web.openapi.description import describe
from demijohn.web.openapi.growth import grown
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


class _Pages:
    """The description as it is, and the last one made."""

    def __init__(self, configurations: Configurations) -> None:
        self.description: dict[str, Any] = {}
        self._configurations = configurations
        self._made: tuple[Mapping[str, object], _Page] | None = None

    def page(self) -> _Page:
        """The page for the schemas of this time; without a database for those last known."""
        versions = self._configurations.versions()
        if self._made is None or self._made[0] != versions:
            try:
                found = self._configurations.all()
            except Problem:
                return self._make({}) if self._made is None else self._made[1]
            self._made = versions, self._make(found)
        return self._made[1]

    def _make(self, found: Mapping[str, Configuration]) -> _Page:
        schemas = {name: each.schema.text for name, each in found.items() if each.schema}
        text = orjson.dumps(grown(self.description, schemas)) + b"\n"
        return _Page(text, hashlib.sha256(text).hexdigest()[:32])


def publish(app: Flask, configurations: Configurations) -> None:
    """Add the route that describes all routes, itself among them; to be called last.

    Raises UndescribedError where a route has no description.
    """
    pages = _Pages(configurations)
    view = View(OPERATION, lambda: _answer(pages.page()))
    app.add_url_rule("/openapi.json", endpoint="openapi", view_func=view)
    pages.description = describe(app)


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
