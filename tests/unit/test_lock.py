"""The pinned requirements: complete, hashed, of one mind, and bound to no download address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests" / "bench" / "peers"
LOCKS = sorted([*ROOT.glob("requirements*.txt"), *PEERS.glob("*/requirements.txt")])
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _group(name: str) -> list[str]:
    """The requirements of a dependency group, with those that it includes (PEP 735)."""
    found: list[str] = []
    for each in PYPROJECT["dependency-groups"][name]:
        found += [each] if isinstance(each, str) else _group(each["include-group"])
    return found


WANTED: dict[str, list[str]] = {
    "requirements.txt": PYPROJECT["project"]["dependencies"],
    "requirements-embedded.txt": [
        *PYPROJECT["project"]["dependencies"],
        *PYPROJECT["project"]["optional-dependencies"]["embedded"],
    ],
    "requirements-dev.txt": [
        *PYPROJECT["project"]["dependencies"],
        *_group("dev"),
    ],
    "requirements-sbom.txt": _group("sbom"),
    **{
        f"tests/bench/peers/{group.removeprefix('bench-')}/requirements.txt": _group(group)
        for group in PYPROJECT["dependency-groups"]
        if group.startswith("bench-")
    },
}


def _name(lock: Path) -> str:
    """The lock's path in the tree."""
    return lock.relative_to(ROOT).as_posix()


def test_there_is_a_lock_for_each_group() -> None:
    """No group of dependencies goes without a lock, and no lock is of nothing."""
    assert set(map(_name, LOCKS)) == set(WANTED)


def _entries(lock: Path) -> list[str]:
    """The lock's entries, each with its hashes on one line."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _pins(lock: Path) -> list[Requirement]:
    return [Requirement(entry.partition(" --hash")[0]) for entry in _entries(lock)]


@pytest.mark.parametrize("lock", LOCKS, ids=_name)
def test_every_entry_is_one_version_with_hashes(lock: Path) -> None:
    """Each entry pins `name==version` and carries a SHA-256; nothing else stands in the file."""
    pattern = r"[a-z0-9-]+==[^ ]+( ; [^#]+?)? +(--hash=sha256:[0-9a-f]{64} *)+"

    assert [entry for entry in _entries(lock) if not re.fullmatch(pattern, entry)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=_name)
def test_every_lock_holds_what_the_project_asks_for(lock: Path) -> None:
    """Every direct dependency is pinned, to a version that pyproject.toml allows."""
    pins = _pins(lock)

    for wanted in map(Requirement, WANTED[_name(lock)]):
        same = [pin for pin in pins if pin.name == canonicalize_name(wanted.name)]
        versions = [spec.version for pin in same for spec in pin.specifier]
        assert versions, wanted
        assert all(wanted.specifier.contains(version, prereleases=True) for version in versions)


def test_all_locks_pin_the_same_versions() -> None:
    """A package has the same version in every lock, so that tests run what users run."""
    versions: dict[tuple[str, str], set[str]] = {}
    for lock in LOCKS:
        for pin in _pins(lock):
            # numpy has one version for Python 3.11 and another for newer ones.
            old = "3.12" if "< '3.12'" in str(pin.marker).replace('"', "'") else "any"
            versions.setdefault((pin.name, old), set()).add(str(pin.specifier))

    assert {key: value for key, value in versions.items() if len(value) > 1} == {}


def test_the_guides_requirements_are_the_runtime_alone() -> None:
    """`pip install -r requirements.txt` brings no test tools and no database server."""
    names = {pin.name for pin in _pins(ROOT / "requirements.txt")}

    assert names & {"pytest", "ruff", "mypy", "uv", "secantusdb", "gunicorn"} == set()
