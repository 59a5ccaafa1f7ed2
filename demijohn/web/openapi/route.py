"""`GET /openapi.json`: the description, made anew when a collection's schema has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, Response, request

from demijohn.auth.caller import Caller, Level
from demijohn.documents.collections import Configuration, Configurations
from demijohn.errors import NotAcceptable, Problem
from demijohn.formats import media_types
from demijohn.web.openapi.description import describe
from demijohn.web.openapi.growth import grown
from demijohn.web.openapi.headers import CACHED_ANEW, ETAG
from demijohn.web.openapi.operation import PUBLIC, Answer, Operation, Parameter, View
from demijohn.web.requests import refuse_parameters, require_acceptable
from demijohn.web.services import current_context

OPERATION = Operation(
    id="describe",
    access=PUBLIC,
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


MOST_MADE = 16
"""Pages that are kept, each of other collections."""


@dataclass(frozen=True, slots=True)
class _Page:
    text: bytes
    tag: str


class _Pages:
    """The description as it is, and the last one made."""

    def __init__(self, configurations: Configurations) -> None:
        self.description: dict[str, Any] = {}
        self._configurations = configurations
        self._found: tuple[Mapping[str, object], Mapping[str, Configuration]] = {}, {}
        self._made: dict[frozenset[str], _Page] = {}

    def page(self, caller: Caller) -> _Page:
        """The page for the schemas of this time; without a database for those last known.

        It has those of the collections that the caller may read.
        """
        versions = self._configurations.versions()
        if self._found[0] != versions:
            with suppress(Problem):
                self._found = versions, self._configurations.all()
                self._made = {}
        found, made = self._found[1], self._made
        names = frozenset(name for name in found if caller.may(Level.READ, name))
        if names not in made:
            if len(made) >= MOST_MADE:
                made.clear()
            made[names] = self._make({name: found[name] for name in sorted(names)})
        return made[names]

    def _make(self, found: Mapping[str, Configuration]) -> _Page:
        schemas = {name: each.schema.text for name, each in found.items() if each.schema}
        text = orjson.dumps(grown(self.description, schemas)) + b"\n"
        return _Page(text, hashlib.sha256(text).hexdigest()[:32])


def publish(app: Flask, configurations: Configurations) -> None:
    """Add the route that describes all routes, itself among them; to be called last.

    Raises UndescribedError where a route has no description.
    """
    pages = _Pages(configurations)
    view = View(OPERATION, lambda: _answer(pages.page(current_context().caller)))
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
