"""The directory in which the workers add up their metrics (multiprocess mode)."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from demijohn.exits import Exit
from demijohn.launcher.failure import LaunchError

_NAME = re.compile(r"demijohn-metrics-([1-9][0-9]{0,9})-\w+")


@contextlib.contextmanager
def metrics_dir() -> Iterator[str]:
    """A directory for this launcher's time; those that killed ones left are removed.

    Raises LaunchError.
    """
    try:
        _remove_left_ones(Path(tempfile.gettempdir()))
        path = tempfile.mkdtemp(prefix=f"demijohn-metrics-{os.getpid()}-")
    except OSError as error:
        message = f"No directory for temporary files can be used (TMPDIR): {error.strerror}."
        raise LaunchError(Exit.FAILED, message) from None
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _remove_left_ones(parent: Path) -> None:
    for entry in parent.glob("demijohn-metrics-*"):
        match = _NAME.fullmatch(entry.name)
        if match is not None and not _is_alive(int(match[1])):
            shutil.rmtree(entry, ignore_errors=True)  # another user's stays where it is


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
