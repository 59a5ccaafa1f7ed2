"""`/docs`: people's view of `/openapi.json`, by a viewer that comes as a package (Swagger UI)."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Blueprint, Response, request

from demijohn.errors import NotFound
from demijohn.web.openapi.headers import CACHED_ANEW, ETAG
from demijohn.web.openapi.operation import PUBLIC, Answer, Header, Operation, Parameter, View

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OWN = files("demijohn.web").joinpath("pages")
_VIEWER = files("flask_swagger_ui").joinpath("dist")
_SCRIPT, _STYLE = "text/javascript", "text/css"
ASSETS: dict[str, tuple[Traversable, str]] = {
    "start.js": (_OWN, _SCRIPT),
    "swagger-ui-bundle.js": (_VIEWER, _SCRIPT),
    "swagger-ui.css": (_VIEWER, _STYLE),
}
"""Each file that the page loads: the folder that it lies in, and its media type."""

_TEXT = {"type": "string", "minLength": 1}
_STILL = Answer(304, "It is still the same.", headers=(ETAG, CACHED_ANEW))
_TAGS = Parameter("If-None-Match", "header", "Tags of copies at hand, or `*`.", {"type": "string"})
PAGE = Operation(
    id="showDescription",
    access=PUBLIC,
    tag="operations",
    summary="This document for people",
    description=(
        "A page that shows every operation and can try it out. All that it loads comes from "
        "this service."
    ),
    answers=(
        Answer(
            200,
            "The page.",
            {"text/html": {"type": "string", "pattern": "^<!doctype html>"}},
            (
                ETAG,
                CACHED_ANEW,
                Header(
                    "Content-Security-Policy",
                    "The page loads and asks for what is this service's own.",
                    {"const": _POLICY},
                ),
            ),
        ),
        _STILL,
    ),
    parameters=(_TAGS,),
)
ASSET = Operation(
    id="readDescriptionAsset",
    access=PUBLIC,
    tag="operations",
    summary="What the page of `/docs` loads",
    description="The viewer's script and style, and the script that starts it.",
    answers=(
        Answer(200, "The file.", {_SCRIPT: _TEXT, _STYLE: _TEXT}, (ETAG, CACHED_ANEW)),
        _STILL,
    ),
    problems=(NotFound,),
    parameters=(Parameter("name", "path", "The file's name.", {"enum": sorted(ASSETS)}), _TAGS),
)


def blueprint() -> Blueprint:
    """The routes of the page and of what it loads."""
    routes = Blueprint("docs", __name__)
    routes.get("/docs", endpoint="page")(View(PAGE, _page))
    routes.get("/docs/<name>", endpoint="asset")(View(ASSET, _asset))
    return routes


def _page() -> Response:
    response = _answer(_OWN.joinpath("docs.html"), "text/html")
    if response.status_code != _STILL.status:
        response.headers["Content-Security-Policy"] = _POLICY
    return response


def _asset(name: str) -> Response:
    if name not in ASSETS:
        raise NotFound("The page of /docs loads no such file.")
    folder, media_type = ASSETS[name]
    return _answer(folder.joinpath(name), media_type)


def _answer(file: Traversable, media_type: str) -> Response:
    """A file, or 304: asked for anew each time, page and scripts are always of one version."""
    text = file.read_bytes()
    tag = hashlib.sha256(text).hexdigest()[:32]
    if request.if_none_match.contains_weak(tag):
        response = Response(status=304)
        del response.headers["Content-Type"]
    else:
        response = Response(text, content_type=f"{media_type}; charset=utf-8")
    response.set_etag(tag)
    response.headers["Cache-Control"] = "no-cache"
    return response
