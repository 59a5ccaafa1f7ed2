"""`GET /`: the guide's greeting."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint


def blueprint() -> Blueprint:
    """The route of the greeting."""
    routes = Blueprint("home", __name__)
    routes.get("/")(greet)
    return routes


def greet() -> str:
    """The guide's words and the server's local time, to the byte as the guide prints them."""
    now = datetime.now()  # noqa: DTZ005 — the guide promises str(datetime.now())
    return f"Welcome to the Flask app! The current time is: {now}"
