"""Why the service does not start: an exit code and words for whoever started it."""

from __future__ import annotations

from demijohn.exits import Exit


class LaunchError(Exception):
    """The service cannot start or go on; it ends with `code` and says `message`."""

    def __init__(self, code: Exit | int, message: str = "") -> None:
        """Take the exit code; no message where the process that failed has already said why."""
        super().__init__(message)
        self.code = int(code)
        self.message = message
