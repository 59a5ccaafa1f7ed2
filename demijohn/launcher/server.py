"""The database's server as a program: where it is, and how it is kept from outliving us."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from demijohn.exits import Exit
from demijohn.launcher.datadir import DataDir
from demijohn.launcher.failure import LaunchError

PROGRAM = "secantusd-py"
DISTRIBUTION = "secantusdb"
ON_LINUX = sys.platform.startswith("linux")
PR_SET_PDEATHSIG = 1
END_TIMEOUT = 10.0
INSTALL = (
    "Install it with `pip install 'demijohn[embedded]'` (in a checkout: `make setup`), "
    "or set MONGODB_URI to a MongoDB of yours."
)
NO_BUILD = (
    "The embedded database has no build for Python {0}.{1}, only for 3.11 to 3.13. "
    "Use one of these, or set MONGODB_URI to a MongoDB of yours."
)


def find_command() -> str:
    """The path of the server's command. Raises LaunchError where it is not installed."""
    beside = Path(sys.executable).with_name(PROGRAM)
    if beside.is_file():
        return str(beside)
    if (found := _installed() or shutil.which(PROGRAM)) is not None:
        return found
    message = f"The embedded database is not installed. {INSTALL}"
    if sys.version_info >= (3, 14):
        message = NO_BUILD.format(*sys.version_info)
    raise LaunchError(Exit.DATABASE, message)


def _installed() -> str | None:
    """Where the package put its command, as for `pip install --user`."""
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(each.locate())).resolve() for each in files if each.name == PROGRAM)
    return next((str(path) for path in paths if path.is_file()), None)


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """What a child calls before exec so that it gets `number` when its parent dies; Linux only.

    prctl(2), PR_SET_PDEATHSIG. Elsewhere None: there the next start ends what was left.
    """
    if not ON_LINUX:
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the call above

    return in_child


def end_former(data: DataDir) -> None:
    """End the database that a killed launcher left on this directory, if there is one."""
    pid = data.former_database()
    if pid is not None and _is_on(pid, data):
        log = structlog.get_logger()
        log.warning("ending the database of a launcher that was killed", pid=pid)
        _signal(pid, signal.SIGTERM)
        if not _gone(pid, data, END_TIMEOUT):
            _signal(pid, signal.SIGKILL)
            _gone(pid, data, END_TIMEOUT)
    data.forget_database()


def _gone(pid: int, data: DataDir, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while _is_on(pid, data):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _is_on(pid: int, data: DataDir) -> bool:
    """Whether `pid` is a database on this very directory: numbers are used again."""
    command = _command_line(pid)
    return PROGRAM in command and str(data.database) in command


def _command_line(pid: int) -> str:
    """The command line of a process, "" where there is none (a zombie has none either)."""
    entry = Path("/proc") / str(pid) / "cmdline"
    if ON_LINUX:
        try:
            return entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    done = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout
