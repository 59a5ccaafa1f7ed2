"""What this process may use of the machine: CPU quota and memory limit of its container.

Linux control groups, version 2 (`cpu.max`, `memory.max`; Linux documentation, cgroup-v2) and
version 1 (`cpu.cfs_quota_us`, `memory.limit_in_bytes`). A limit of any group above the
process's own binds it too, so the smallest on the way up to the root counts. Everything is
read below a `root` directory, "/" but in tests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MOST_WORKERS = 4
"""Without a quota a laptop keeps cores for its other programs."""
NO_LIMIT = 1 << 60
"""Version 1 writes "unlimited" as the largest number of pages, about 2**63 bytes."""


@dataclass(frozen=True, slots=True)
class _Mount:
    """One line of /proc/self/mountinfo (proc(5)) that mounts a control group hierarchy."""

    subtree: PurePosixPath
    point: Path
    version: int
    controllers: frozenset[str]


def available_workers(wanted: int | None, root: Path = Path("/"), cores: int | None = None) -> int:
    """How many workers to run: `wanted`, or what the CPU quota has room for.

    Without a quota: one for each core that the process may run on, at most 4.
    """
    if wanted is not None:
        return wanted
    cores = cores or usable_cores()
    quota = cpu_quota(root)
    if quota is None:
        return min(cores, MOST_WORKERS)
    return max(1, min(int(quota), cores))


def usable_cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The CPUs that this process may use at one time, None without a quota."""
    found = [
        quota
        for version, group in _groups(root, "cpu")
        if (quota := _quota_v2(group) if version == 2 else _quota_v1(group)) is not None  # noqa: PLR2004
    ]
    return min(found, default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """The memory in bytes that this process's group may use, None without a limit."""
    names = {1: "memory.limit_in_bytes", 2: "memory.max"}
    found = [
        limit
        for version, group in _groups(root, "memory")
        if (limit := _number(_read(group / names[version]))) is not None and limit < NO_LIMIT
    ]
    return min(found, default=None)


def bodies_limit(wanted: int, max_body: int, workers: int, memory: int | None) -> int:
    """The bytes of bodies that a worker may hold: at most an eighth of `memory` for all workers.

    Never less than one whole body.
    """
    if memory is None:
        return wanted
    return min(wanted, max(memory // 8 // workers, max_body))


def _quota_v2(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").partition(" ")
    return _share(_number(quota), _number(period))


def _quota_v1(group: Path) -> float | None:
    quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    return _share(_number(quota), _number(period))


def _share(quota: int | None, period: int | None) -> float | None:
    return quota / period if quota and period else None


def _number(text: str) -> int | None:
    """The number that the file holds; None for `max`, -1, nothing or anything else."""
    return int(text) if re.fullmatch(r"[0-9]+", text.strip()) else None


def _groups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """The directories of the process's group and those above it, each with its version."""
    own = _own_groups(_read(root / "proc/self/cgroup"))
    for mount in _mounts(_read(root / "proc/self/mountinfo")):
        if mount.version == 1 and controller not in mount.controllers:
            continue
        path = own.get(controller if mount.version == 1 else "")
        point = root / mount.point.relative_to("/")
        yield from ((mount.version, each) for each in _upwards(point, mount.subtree, path))


def _upwards(point: Path, subtree: PurePosixPath, path: PurePosixPath | None) -> Iterator[Path]:
    """From the group's directory up to the mount point, both included.

    In a container the group's path may be the host's, of which the mount shows nothing but the
    container's own part: then the mount point is the group.
    """
    if path is not None and path.is_relative_to(subtree) and ".." not in path.parts:
        inner = path.relative_to(subtree)
        yield from (point / each for each in (inner, *inner.parents) if each.parts)
    yield point


def _own_groups(text: str) -> dict[str, PurePosixPath]:
    """/proc/self/cgroup (cgroups(7)): the group's path by controller, "" for version 2."""
    lines = (line.split(":", 2) for line in text.splitlines())
    return {
        controller: PurePosixPath(path)
        for _, controllers, path in (each for each in lines if len(each) == 3)  # noqa: PLR2004
        for controller in controllers.split(",")
    }


def _mounts(text: str) -> Iterator[_Mount]:
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(), after.split() or [""]
        version = {"cgroup": 1, "cgroup2": 2}.get(kind)
        if version is None or len(fields) < 5:  # noqa: PLR2004
            continue
        controllers = frozenset(rest[-1].split(",")) if rest else frozenset()
        subtree, point = PurePosixPath(_unescape(fields[3])), Path(_unescape(fields[4]))
        yield _Mount(subtree, point, version, controllers)


def _unescape(text: str) -> str:
    r"""Undo the kernel's spelling of blanks in paths, `\040` for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _read(path: Path) -> str:
    """The file's text; "" where there is none or it cannot be read: then it limits nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
