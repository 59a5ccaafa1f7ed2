"""Structured logs on stderr: JSON lines, or text for a person at a terminal.

A line never holds a request's body, its query string, a credential or the database's URI. What
clients and the database chose, as paths and reasons, is there with nothing in it that a terminal
obeys, and a record in JSON is one line, whoever counts lines.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import textwrap
from io import StringIO
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import ExcInfo

from demijohn.settings import Settings
from demijohn.telemetry.printable import printable, printable_json

STDERR = 2


def configure(settings: Settings) -> None:
    """Set up structlog for this process, by `log_format` and `log_level`."""
    text = is_text(settings)
    structlog.configure(
        processors=_text() if text else _json(),
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, settings.log_level.upper())
        ),
        logger_factory=(
            structlog.WriteLoggerFactory(_Stderr())  # type: ignore[arg-type]
            if text
            else structlog.BytesLoggerFactory(_Stderr())  # type: ignore[arg-type]
        ),
        cache_logger_on_first_use=True,
    )
    # uvicorn's own lines repeat ours or speak of its internals.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)


def is_text(settings: Settings) -> bool:
    """Whether lines are text for a person."""
    return settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())


def write(lines: bytes) -> None:
    """Write to standard error; a reader that is gone or a full disk stops no service."""
    with contextlib.suppress(OSError):
        os.write(STDERR, lines)


class _Stderr:
    """Standard error, a line a call."""

    def write(self, line: bytes | str) -> None:
        write(line.encode("utf-8", "replace") if isinstance(line, str) else line)

    def flush(self) -> None:
        """Nothing is held back."""


def _json() -> list[Any]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _headline_first,
        structlog.processors.JSONRenderer(serializer=_dumps),
    ]


def _text() -> list[Any]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _short,
        _plain,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=20,
            # Where rich is installed the default shows local variables: bodies and secrets.
            exception_formatter=_traceback,
        ),
    ]


def _headline_first(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """When, how bad and what, before the rest: lines are read from the left."""
    headline = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return {**headline, **event, "pid": os.getpid()}


def _short(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A request in a few words, for a person who watches it."""
    if event["event"] != "request":
        return event
    words = "{method} {path} {status} {ms} ms".format_map(event)
    kept = ("level", "timestamp", "problem", "cut")
    return {"event": words} | {name: event[name] for name in kept if name in event}


def _plain(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The same, with nothing in it that a terminal obeys; a traceback is still to come."""
    return {
        name: value if name == "exc_info" or value is None else _shown(value)
        for name, value in event.items()
    }


def _shown(value: object) -> object:
    return value if isinstance(value, bool | int | float) else printable(str(value))


def _traceback(out: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback; what an exception says is indented, so that it can't pass for a record."""
    lines = StringIO()
    structlog.dev.plain_traceback(lines, exc_info)
    text = "\n".join(map(printable, lines.getvalue().split("\n")))
    out.write(textwrap.indent(text, "  "))


def _dumps(event: object, **_: object) -> bytes:
    try:
        return printable_json(orjson.dumps(event, default=str))
    except TypeError:  # half a surrogate pair, or a number past 64 bits
        return json.dumps(event, default=str).encode()
