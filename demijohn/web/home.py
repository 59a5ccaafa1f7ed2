"""`GET /`: the guide's greeting."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint

from demijohn.web.openapi.operation import PUBLIC, Answer, Operation, View

GREETING = Operation(
    id="greet",
    access=PUBLIC,
    tag="guide",
    summary="The guide's greeting",
    description="Says which time it is at the server.",
    answers=(
        Answer(
            200,
            "The greeting, with the server's local time.",
            {"text/html": {"type": "string", "pattern": "^Welcome to the Flask app!"}},
        ),
    ),
)


def blueprint() -> Blueprint:
    """The route of the greeting."""
    routes = Blueprint("home", __name__)
    routes.get("/", endpoint="greet")(View(GREETING, greet))
    return routes


def greet() -> str:
    """The guide's words and the server's local time, to the byte as the guide prints them."""
    now = datetime.now()  # noqa: DTZ005 — the guide promises str(datetime.now())
    return f"Welcome to the Flask app! The current time is: {now}"
