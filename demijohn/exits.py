"""Exit codes of the commands: what a supervisor, a script or a person can tell from them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Documented in docs/reference/exit-codes.md; a test holds the two together."""

    OK = 0
    """Done, or stopped as asked with nothing cut short."""
    FAILED = 1
    """Something failed: records were refused, the service could not be reached, a defect."""
    USAGE = 2
    """An option or a setting is wrong; the message names it."""
    ADDRESS = 3
    """The address to listen on is taken or not this machine's."""
    DATA_DIR = 4
    """The data directory is in use, not writable or full."""
    DATABASE = 5
    """The embedded database is not installed here, or does not start (its files are damaged)."""
    CUT_SHORT = 6
    """Stopped as asked, but work still under way at the deadline was cut."""
    INTERRUPTED = 130
    """Ctrl-C ended a client command (128 + SIGINT, as shells count it)."""
