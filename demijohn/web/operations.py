"""Operators' routes, for WSGI servers; under the shell it answers the probes itself, earlier."""

from __future__ import annotations

import contextlib
from functools import partial

from flask import Blueprint, Response

from demijohn.edge.entrance import PROBES
from demijohn.edge.operations import problem_index, problem_page
from demijohn.errors import Problem
from demijohn.web.problems import to_response
from demijohn.web.services import Services


def blueprint(services: Services) -> Blueprint:
    """The problem pages and the probes."""
    routes = Blueprint("operations", __name__)
    routes.get("/problems")(_index)
    routes.get("/problems/<code>")(_page)
    for path in sorted(PROBES):
        routes.get(path, endpoint=path[1:])(partial(_probe, services, path))
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
    return to_response(services.operations.probe(path))
