"""What processes cost: CPU time and memory, from /proc (Linux)."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import psutil

from tests.support.processes import tree

_RESET_PEAK = "5"
"""What /proc/PID/clear_refs takes to set the peak back to the present size, see proc(5)."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, ended and reaped ones too."""
    total = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident(pid: int) -> int:
    """Resident bytes of a process at this time."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> int:
    """The most resident bytes since the process began or `reset_peak`; no peak is missed."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Begin to look for a new peak."""
    (_proc(pid) / "clear_refs").write_text(_RESET_PEAK)


class Growth:
    """How much memory a process tree takes on top of what it has now."""

    def __init__(self, pid: int) -> None:
        """Begin with the process and the descendants that it has now."""
        self._rest = {}
        for process in tree(pid):
            reset_peak(process.pid)
            self._rest[process.pid] = resident(process.pid)

    def bytes(self) -> int:
        """Peak above the beginning, over all these processes."""
        return sum(peak(pid) - rest for pid, rest in self._rest.items())


def _status(pid: int, name: str) -> int:
    text = (_proc(pid) / "status").read_text(encoding="ascii", errors="replace")
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise ProcessLookupError(f"process {pid} has ended")
    return int(found[1]) * 1024


def _proc(pid: int) -> Path:
    return Path("/proc") / str(pid)
