"""What a container's limits mean for the number of workers and for memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.launcher.cpu import (
    available_workers,
    bodies_limit,
    cpu_quota,
    memory_limit,
    usable_cores,
)

V2_MOUNT = "30 24 0:26 {subtree} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = (
    "33 24 0:29 {subtree} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 24 0:30 {subtree} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
OTHER_MOUNT = "24 1 0:22 / /a\\040b rw,relatime shared:1 - ext4 /dev/vda rw\n"


def write(root: Path, files: dict[str, str]) -> Path:
    """Make the files below `root`; returns it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def v2(root: Path, groups: dict[str, str], *, path: str, subtree: str = "/") -> Path:
    """A version 2 hierarchy: limit files by their place below the mount point."""
    files = {f"sys/fs/cgroup/{name}": text for name, text in groups.items()}
    mounts = OTHER_MOUNT + V2_MOUNT.format(subtree=subtree)
    return write(root, {**files, "proc/self/cgroup": f"0::{path}\n", "proc/self/mountinfo": mounts})


def v1(root: Path, groups: dict[str, str], *, path: str, subtree: str = "/") -> Path:
    """A version 1 hierarchy with the controllers cpu and memory."""
    files = {f"sys/fs/cgroup/{name}": text for name, text in groups.items()}
    own = f"5:cpu,cpuacct:{path}\n4:memory:{path}\n1:name=systemd:{path}\n0::{path}\n"
    mounts = OTHER_MOUNT + V1_MOUNTS.format(subtree=subtree)
    return write(root, {**files, "proc/self/cgroup": own, "proc/self/mountinfo": mounts})


def test_v2_quota_and_memory_of_the_own_group(tmp_path: Path) -> None:
    """On cgroup v2 the limits are those of the process's own group."""
    groups = {"app/cpu.max": "250000 100000\n", "app/memory.max": "536870912\n"}
    root = v2(tmp_path, groups, path="/app")
    assert cpu_quota(root) == 2.5
    assert memory_limit(root) == 512 * 1024 * 1024


def test_v2_smallest_on_the_way_up_counts(tmp_path: Path) -> None:
    """A limit of a group above binds too, and where it is smaller it is the one that counts."""
    groups = {
        "a/cpu.max": "100000 100000",
        "a/b/cpu.max": "max 100000",
        "a/b/c/cpu.max": "300000 100000",
        "a/memory.max": "1000",
        "a/b/c/memory.max": "max",
        "other/cpu.max": "1000 100000",
    }
    root = v2(tmp_path, groups, path="/a/b/c")
    assert cpu_quota(root) == 1.0
    assert memory_limit(root) == 1000


@pytest.mark.parametrize("path", ["/", "/../../kubepods/pod1", "/kubepods/pod1/container"])
def test_v2_in_a_container(tmp_path: Path, path: str) -> None:
    """In a container the mount point itself is the group, whatever path the kernel reports."""
    groups = {"cpu.max": "50000 100000", "memory.max": "268435456"}
    root = v2(tmp_path, groups, path=path)
    assert cpu_quota(root) == 0.5
    assert memory_limit(root) == 256 * 1024 * 1024


def test_v2_mount_shows_a_subtree(tmp_path: Path) -> None:
    """Where the mount begins at a group, the process's path is taken from there on."""
    root = v2(tmp_path, {"inner/cpu.max": "200000 100000"}, path="/pod/inner", subtree="/pod")
    assert cpu_quota(root) == 2.0


def test_v1_quota_and_memory(tmp_path: Path) -> None:
    """On cgroup v1 quota and period are files of their own, and each controller has a mount."""
    groups = {
        "cpu,cpuacct/docker/x/cpu.cfs_quota_us": "350000\n",
        "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/docker/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/docker/cpu.cfs_period_us": "100000\n",
        "memory/docker/x/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/docker/memory.limit_in_bytes": "1073741824\n",
    }
    root = v1(tmp_path, groups, path="/docker/x")
    assert cpu_quota(root) == 3.5
    assert memory_limit(root) == 1024 * 1024 * 1024


def test_v1_in_a_container(tmp_path: Path) -> None:
    """A v1 mount of the container's own group is found though its path is the host's."""
    groups = {
        "cpu,cpuacct/cpu.cfs_quota_us": "100000",
        "cpu,cpuacct/cpu.cfs_period_us": "50000",
    }
    root = v1(tmp_path, groups, path="/docker/x", subtree="/docker/x")
    assert cpu_quota(root) == 2.0


def test_without_limits(tmp_path: Path) -> None:
    """`max`, -1 and version 1's huge number are no limits."""
    groups = {"app/cpu.max": "max 100000", "app/memory.max": "max"}
    assert cpu_quota(v2(tmp_path / "2", groups, path="/app")) is None
    assert memory_limit(tmp_path / "2") is None
    groups = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
    }
    assert cpu_quota(v1(tmp_path / "1", groups, path="/")) is None
    assert memory_limit(tmp_path / "1") is None


@pytest.mark.parametrize(
    "text", ["", "\n", "-", "max", "100000", "x y", "100000 0", "0 100000", "1e5 100000", "\0\0 1"]
)
def test_files_that_say_nothing(tmp_path: Path, text: str) -> None:
    """A limit file that cannot be understood limits nothing and breaks nothing."""
    assert cpu_quota(v2(tmp_path, {"cpu.max": text}, path="/")) is None


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    """Without /proc and /sys (macOS) there is no limit."""
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_in_proc(cgroup: str, mountinfo: str) -> None:
    """Whatever /proc holds, reading it does not raise."""
    # Parsed alone: hypothesis does not reset a directory between its examples.
    from demijohn.launcher import cpu  # noqa: PLC0415

    cpu._own_groups(cgroup)
    list(cpu._mounts(mountinfo))


@pytest.mark.parametrize(
    ("quota", "cores", "workers"),
    [("20000", 8, 1), ("100000", 8, 1), ("199999", 8, 1), ("600000", 8, 6), ("600000", 2, 2)],
)
def test_workers_by_quota(tmp_path: Path, quota: str, cores: int, workers: int) -> None:
    """Whole CPUs of the quota, at least one worker, never more than cores."""
    root = v2(tmp_path, {"cpu.max": f"{quota} 100000"}, path="/")
    assert available_workers(None, root, cores) == workers


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (3, 3), (4, 4), (64, 4)])
def test_workers_without_quota(tmp_path: Path, cores: int, workers: int) -> None:
    """Without a quota: the cores, at most four."""
    assert available_workers(None, tmp_path, cores) == workers


def test_workers_as_wanted(tmp_path: Path) -> None:
    """A number that was asked for is taken, whatever the quota."""
    root = v2(tmp_path, {"cpu.max": "100000 100000"}, path="/")
    assert available_workers(7, root, 2) == 7


def test_usable_cores_are_those_of_this_process() -> None:
    """Cores that the process is kept off do not count."""
    cores = usable_cores()
    assert 1 <= cores <= (os.cpu_count() or 1)


@given(
    wanted=st.integers(1, 2**40),
    max_body=st.integers(1, 2**24),
    workers=st.integers(1, 64),
    memory=st.none() | st.integers(0, 2**40),
)
def test_bodies_limit(wanted: int, max_body: int, workers: int, memory: int | None) -> None:
    """Never more than asked; over all workers an eighth of memory, but always room for a body."""
    limit = bodies_limit(wanted, max_body, workers, memory)
    assert limit <= wanted
    assert limit >= min(wanted, max_body)
    if memory is None:
        assert limit == wanted
    elif limit > max_body:
        assert limit * workers <= memory / 8
