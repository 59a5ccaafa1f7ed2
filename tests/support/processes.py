"""Processes that a test starts: they and all their descendants end with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

LONG = 60.0
"""Seconds after which something that should have happened is taken as a hang."""


class TimedOutError(AssertionError):
    """What was waited for did not happen."""


def wait_until(met: Callable[[], object], what: str, timeout: float = LONG) -> None:
    """Wait until `met` returns something true. Raises TimedOutError, which names `what`."""
    deadline = time.monotonic() + timeout
    while not met():
        if time.monotonic() > deadline:
            raise TimedOutError(f"not within {timeout:.0f} s: {what}")
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


STILL = frozenset("TZX")
"""Stopped, or dead: nobody may take a zombie away who is stopped himself."""


def freeze(pid: int) -> None:
    """Stop a process (SIGSTOP); returns once each of its threads has, which may take a moment."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: set(_states(pid)) <= STILL, "all its threads are stopped")


def _states(pid: int) -> Iterator[str]:
    """The states of a process's threads, see proc_pid_stat(5)."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield (thread / "stat").read_text(encoding="ascii").rpartition(") ")[2][0]


def tree(pid: int) -> list[psutil.Process]:
    """The process and its descendants, it first; nothing where it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_all(processes: list[psutil.Process]) -> None:
    """SIGKILL to these very processes; psutil tells one apart from a later one of its number."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def tagged(tag: str) -> Iterator[psutil.Process]:
    """The processes whose environment says that this test run started them, orphans too."""
    own = os.getpid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != own and process.environ().get(TAG) == tag:
                yield process


TAG = "TEST_PROCESS_TAG"
"""The environment variable that marks what a test started, handed down to every child."""
