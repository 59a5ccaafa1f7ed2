"""Structured logs on stderr: JSON lines, or text for a person at a terminal.

A line never holds a request's body, its query string, a credential or the database's URI.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Any

import orjson
import structlog

from demijohn.settings import Settings

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
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=20,
            # Where rich is installed the default shows local variables: bodies and secrets.
            exception_formatter=structlog.dev.plain_traceback,
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


def _dumps(event: object, **_: object) -> bytes:
    return orjson.dumps(event, default=str)
