"""`GET /openapi.json`: the description, made anew when a collection's schema has changed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, Response, request

from demijohn.auth.caller import Caller, Level
from demijohn.documents.collections import Configurations
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


MOST_COLLECTIONS = 100
"""Collections whose schemas a page has, the first by name: each adds some 50 KB of paths."""
MOST_TEXT = 1024 * 1024
"""Bytes of these schemas together; what they are made into takes 50 times as much meanwhile."""
MOST_MADE = 16 * 1024 * 1024
"""Bytes of the pages that are kept, each of other collections."""
_PATIENCE = 2.0
"""Seconds that one waits for another whose page is made."""
LEFT_OUT = "x-collections-left-out"
"""Of a page: how many more collections have a schema, be it that theirs cannot be read."""


@dataclass(frozen=True, slots=True)
class _Page:
    text: bytes
    tag: str
    versions: Mapping[str, object]
    """What it was made of."""


class _Pages:
    """The description as it is, and what was made of it lately."""

    def __init__(self, configurations: Configurations) -> None:
        self.description: dict[str, Any] = {}
        self._configurations = configurations
        self._made: dict[frozenset[str], _Page] = {}
        self._making = threading.Lock()

    def page(self, caller: Caller) -> _Page:
        """The page for the schemas of this time; without a database one of before, if any.

        It has those of the collections that the caller may read.
        """
        versions = self._configurations.versions()
        names = frozenset(name for name in versions if caller.may(Level.READ, name))
        known = self._made.get(names)
        if known is not None and known.versions == versions:
            return known
        made = self._made_anew(versions, names)
        return made or known or _page({}, self.description)

    def _made_anew(self, versions: Mapping[str, object], names: frozenset[str]) -> _Page | None:
        """One is made at a time, for what it takes; None where that is not soon, or cannot be."""
        if not self._making.acquire(timeout=_PATIENCE):
            return None
        try:
            made = self._made.get(names)
            if made is None or made.versions != versions:
                made = _page(versions, self._grown(names))
                self._keep(names, made)
        except Problem:
            return None
        else:
            return made
        finally:
            self._making.release()

    def _keep(self, names: frozenset[str], page: _Page) -> None:
        self._made.pop(names, None)
        if sum(len(each.text) for each in self._made.values()) + len(page.text) > MOST_MADE:
            self._made.clear()
        self._made[names] = page

    def _grown(self, names: frozenset[str]) -> dict[str, Any]:
        """The description with the schemas of these collections, as many as it may have."""
        schemed = sorted(names & self._configurations.with_schema()) if names else []
        if not schemed:
            return self.description
        # Not above: with its engine it takes 3 MiB of a worker, and where there is none, none.
        from demijohn.schemas.schema import read_form  # noqa: PLC0415

        schemas: dict[str, dict[str, Any]] = {}
        room = MOST_TEXT
        for name, text in self._configurations.texts(schemed[:MOST_COLLECTIONS]):
            room -= len(text)
            if room < 0:
                break
            # One that was not put by this service may be anything.
            with suppress(Problem):
                schemas[name] = read_form(text)
        left_out = len(schemed) - len(schemas)
        made = grown(self.description, schemas)
        return {**made, LEFT_OUT: left_out} if left_out else made


def _page(versions: Mapping[str, object], description: dict[str, Any]) -> _Page:
    text = orjson.dumps(description) + b"\n"
    return _Page(text, hashlib.sha256(text).hexdigest()[:32], versions)


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
