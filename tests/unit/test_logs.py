"""Logs for people and for programs: one line a request, and nothing that a client sent."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SECRET = "what a client has sent"
PROGRAM = """
import structlog
from demijohn.settings import load
from demijohn.telemetry import logs
from demijohn.telemetry.request_log import RequestLog

settings = load({"DEMIJOHN_LOG_FORMAT": FORM})
logs.configure(settings)


def fail(body):
    raise ValueError("a defect")


try:
    fail(SECRET)
except ValueError as error:
    structlog.get_logger().error("defect", exc_info=error)
fields = {"method": "GET", "path": "/", "status": 200, "ms": 1.5}
structlog.get_logger().info("request", **fields)
RequestLog(settings).write([(fields, False), (fields, True)])
"""


def _lines(form: str) -> list[str]:
    """What a process with such logs writes to standard error."""
    given = f"FORM, SECRET = {form!r}, {SECRET!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", given + PROGRAM], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_no_variables(form: str) -> None:
    """A defect is logged with its traceback, and none of the values that were worked on."""
    text = "\n".join(_lines(form))
    assert "ValueError: a defect" in text
    assert SECRET not in text


def test_a_request_is_logged_as_everything_is() -> None:
    """The line that is made in one step is the one that structlog makes; probes are left out."""
    *_, usual, quick = (json.loads(line) for line in _lines("json"))
    assert list(quick) == list(usual)
    assert quick["timestamp"][:11] == usual["timestamp"][:11]
    assert quick["timestamp"].endswith("Z")
    assert {**quick, "timestamp": ""} == {**usual, "timestamp": ""}
