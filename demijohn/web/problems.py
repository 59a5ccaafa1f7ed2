"""Every failure inside the application becomes a problem here, the framework's own included."""

from __future__ import annotations

from functools import partial

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod

from demijohn.edge.context import PROBLEM
from demijohn.edge.reply import Reply, problem_reply
from demijohn.errors import (
    BadParameter,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    UnsupportedMediaType,
)
from demijohn.web.services import Services, current_context

_BY_STATUS: dict[int, tuple[type[Problem], str]] = {
    404: (NotFound, "There is nothing at this address."),
    413: (TooLarge, "The body is larger than this service takes."),
    415: (UnsupportedMediaType, "The request's Content-Type is not one this route reads."),
}


def register(app: Flask, services: Services) -> None:
    """Make the application answer every exception with a problem."""
    app.register_error_handler(Problem, _answer)
    app.register_error_handler(HTTPException, _of_framework)
    app.register_error_handler(Exception, partial(_defect, services))


def to_response(reply: Reply) -> Response:
    """A reply in Flask's terms; its code is left where the entrance finds it."""
    if reply.problem is not None:
        request.environ[PROBLEM] = reply.problem
    response = Response(reply.body, reply.status, list(reply.headers))
    response.autocorrect_location_header = False
    if not any(name == "Content-Type" for name, _ in reply.headers):
        del response.headers["Content-Type"]  # the framework's own guess
    return response


def _answer(problem: Problem) -> Response:
    return to_response(problem_reply(problem, current_context()))


def _of_framework(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:  # noqa: PLR2004 — a redirect is no failure
        return error.get_response()  # type: ignore[return-value]
    return _answer(_translate(error))


def _translate(error: HTTPException) -> Problem:
    if isinstance(error, NoSuchMethod):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"This address takes {allowed} only."
        return MethodNotAllowed(detail, headers=(("Allow", allowed),))
    if error.code is None or error.code >= 500:  # noqa: PLR2004 — by the framework's own word
        return InternalError("The service failed; its log has the details.")
    problem, detail = _BY_STATUS.get(
        error.code, (BadParameter, "The request cannot be understood.")
    )
    return problem(detail)


def _defect(services: Services, error: Exception) -> Response:
    context = current_context()
    services.entrance.defect(context, error)
    return _answer(InternalError("The service failed; its log has the details."))
