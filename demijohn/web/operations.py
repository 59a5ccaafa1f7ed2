"""Operators' routes, for WSGI servers; under the shell it answers the probes itself, earlier."""

from __future__ import annotations

import contextlib
from functools import partial

from flask import Blueprint, Response

from demijohn.auth.caller import EVERY, Level
from demijohn.edge.entrance import PROBES
from demijohn.edge.operations import problem_index, problem_page
from demijohn.errors import DatabaseUnavailable, NotFound, Problem, ShuttingDown, problem_classes
from demijohn.web.openapi.headers import CACHED, NO_SCRIPTS, NO_STORE
from demijohn.web.openapi.operation import PUBLIC, Access, Answer, Operation, Parameter, View
from demijohn.web.openapi.vocabulary import constant, ref
from demijohn.web.problems import to_response
from demijohn.web.services import Services, current_context

CODES = [each.code for each in problem_classes()]
_HTML = {"text/html": {"type": "string", "pattern": "^<!doctype html>"}}

INDEX = Operation(
    id="listProblems",
    access=PUBLIC,
    tag="operations",
    summary="Every problem there is",
    description="A page for people, with a link to each problem's own.",
    answers=(Answer(200, "The page.", _HTML, (CACHED, NO_SCRIPTS)),),
)
PAGE = Operation(
    id="readProblem",
    access=PUBLIC,
    tag="operations",
    summary="What a problem means",
    description="The page that a problem's `type` points at.",
    parameters=(Parameter("code", "path", "The problem's `code`.", {"enum": CODES}),),
    answers=(Answer(200, "The page.", _HTML, (CACHED, NO_SCRIPTS)),),
    problems=(NotFound,),
)
PROBE_ANSWERS = {
    "/livez": Operation(
        id="isLive",
        access=PUBLIC,
        tag="operations",
        summary="Whether the process lives",
        description="Never asks the database.",
        answers=(
            Answer(
                200,
                "It lives.",
                {"application/json": constant("status", "live")},
                (NO_STORE,),
            ),
        ),
    ),
    "/readyz": Operation(
        id="isReady",
        access=PUBLIC,
        tag="operations",
        summary="Whether requests should come here",
        description=(
            "Ready from the first time that the database has answered until the process is told "
            "to stop; a database that is lost later is in the body."
        ),
        answers=(Answer(200, "It is ready.", {"application/json": ref("Readiness")}, (NO_STORE,)),),
        problems=(DatabaseUnavailable, ShuttingDown),
    ),
    "/metrics": Operation(
        id="readMetrics",
        access=Access(Level.READ, EVERY),
        tag="operations",
        summary="Figures for Prometheus",
        description="With `DEMIJOHN_MANAGEMENT_PORT` set they are on that port alone.",
        answers=(Answer(200, "Prometheus' text format.", {"text/plain": {"type": "string"}}),),
        problems=(NotFound,),
    ),
}


def blueprint(services: Services) -> Blueprint:
    """The problem pages and the probes."""
    routes = Blueprint("operations", __name__)
    routes.get("/problems", endpoint="index")(View(INDEX, _index))
    routes.get("/problems/<code>", endpoint="page")(View(PAGE, _page))
    for path in sorted(PROBES):
        view = View(PROBE_ANSWERS[path], partial(_probe, services, path))
        routes.get(path, endpoint=path[1:])(view)
    return routes


def _index() -> Response:
    return to_response(problem_index())


def _page(code: str) -> Response:
    return to_response(problem_page(code))


def _probe(services: Services, path: str) -> Response:
    if path == "/readyz" and not services.store.status.reached:
        # No worker keeps trying here, so this request does; the answer says how it went.
        with contextlib.suppress(Problem):
            services.store.ping()
    return to_response(services.operations.probe(path, current_context().caller))
