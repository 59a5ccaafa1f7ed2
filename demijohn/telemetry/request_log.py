"""The log's line of each request, as structlog would write it, for less.

In JSON it is made here in one step, in place of structlog's six, which would cost a tenth of a
small request; on an event loop the lines of one turn are written together.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from demijohn.settings import Settings
from demijohn.telemetry import logs

LARGEST_WRITE = 4096
"""Bytes that a pipe takes in one piece (PIPE_BUF on Linux): other workers write to it as well."""
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
Later = Callable[[Callable[[], None]], object]


class RequestLog:
    """One for each process."""

    def __init__(self, settings: Settings) -> None:
        """Take the form of the log and its level from the settings."""
        self._is_text = logs.is_text(settings)
        self._is_debug = settings.log_level == "debug"
        self._is_info = self._is_debug or settings.log_level == "info"
        self._later: Later | None = None
        self._held: list[bytes] = []

    def hold(self, later: Later) -> None:
        """From now on write lines by a call that `later` brings about, all that came before it.

        All is then called on one thread.
        """
        self._later = later

    def write(self, fields: dict[str, Any], *, is_probe: bool) -> None:
        """Log a request; probes, which come by the second, where the level is `debug` alone."""
        if not (self._is_debug if is_probe else self._is_info):
            return
        level = "debug" if is_probe else "info"
        if self._is_text:
            getattr(structlog.get_logger(), level)("request", **fields)
            return
        line = orjson.dumps(
            {
                "timestamp": datetime.now(UTC),
                "level": level,
                "event": "request",
                **fields,
                "pid": os.getpid(),
            },
            option=_OPTIONS,
        )
        if self._later is None:
            logs.write(line)
            return
        if not self._held:
            self._later(self._flush)
        self._held.append(line)

    def _flush(self) -> None:
        lines, self._held = self._held, []
        part = b""
        for line in lines:
            if part and len(part) + len(line) > LARGEST_WRITE:
                logs.write(part)
                part = b""
            part += line
        logs.write(part)
