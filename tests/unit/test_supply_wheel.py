"""The wheel: the same bytes from the same commit, and in it what the package is, no more."""

from __future__ import annotations

import configparser
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from demijohn import __version__
from tests.support.manifests import ROOT

NAME = f"demijohn-{__version__}-py3-none-any.whl"
COMMITTER = ("-c", "user.name=Tests", "-c", "user.email=tests@localhost")


def _git(place: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *COMMITTER, *arguments], cwd=place, check=True, capture_output=True, text=True
    )
    return done.stdout


def _clone(source: Path, goal: Path, umask: int) -> Path:
    """A clone of the last commit of `source`, ready to build with this interpreter."""
    subprocess.run(
        ["git", "clone", "--quiet", "--no-local", "--depth=1", source.as_uri(), str(goal)],
        check=True,
        umask=umask,
    )
    shutil.copy2(ROOT / "tools" / "wheel.sh", goal / "tools" / "wheel.sh")
    python = goal / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return goal


def _build(place: Path, umask: int, **environ: str) -> Path:
    """Build the wheel there, as somebody with that umask and environment would."""
    subprocess.run(
        ["tools/wheel.sh", "out of the way"],
        cwd=place,
        env={**os.environ, **environ},
        check=True,
        capture_output=True,
        umask=umask,
        timeout=120,
    )
    return place / "out of the way" / NAME


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the last commit."""
    return _build(_clone(ROOT, tmp_path_factory.mktemp("wheel") / "clone", 0o022), 0o022)


@pytest.fixture(scope="module")
def clone(wheel: Path) -> Path:
    """Where it was built: others may commit meanwhile, and that one stays as it is."""
    return wheel.parents[1]


def test_it_is_the_same_wherever_it_is_built(wheel: Path, clone: Path, tmp_path: Path) -> None:
    """Another clone, a stricter umask, another zone, locale and time: the same SHA-256."""
    other = _clone(clone, tmp_path / "a clone elsewhere", 0o077)
    for path in other.rglob("*.py"):
        os.utime(path, (10**9, 10**9))
    # What lies about in a working directory is not part of a commit.
    (other / "demijohn" / "left.py").write_text("", encoding="utf-8")
    zone = {"TZ": "Pacific/Chatham", "LC_ALL": "C.UTF-8", "LANGUAGE": "de", "PYTHONHASHSEED": "7"}

    second = _build(other, 0o077, SOURCE_DATE_EPOCH="1", **zone)

    sums = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, second)}
    assert len(sums) == 1


def test_another_commit_would_be_seen(wheel: Path, clone: Path, tmp_path: Path) -> None:
    """The control of the test above: one byte of one module, and the sum is another."""
    other = _clone(clone, tmp_path / "clone", 0o022)
    with (other / "demijohn" / "exits.py").open("a", encoding="utf-8") as module:
        module.write("#\n")
    _git(other, "commit", "--quiet", "-am", "A change")

    assert _build(other, 0o022).read_bytes() != wheel.read_bytes()


def test_it_holds_the_package_and_nothing_else(wheel: Path, clone: Path) -> None:
    """Every file of `demijohn/` as committed, readable by all; no tests, no tools, no leftovers."""
    committed = set(_git(clone, "ls-tree", "-r", "--name-only", "HEAD", "demijohn").split())
    with ZipFile(wheel) as archive:
        entries = archive.infolist()

    about = f"demijohn-{__version__}.dist-info/"
    modes = {each.filename: each.external_attr >> 16 & 0o777 for each in entries}
    assert {name for name in modes if not name.startswith(about)} == committed
    assert {modes[name] for name in committed} == {0o644}


def test_it_works(wheel: Path, tmp_path: Path) -> None:
    """Unpacked anywhere it is the package, whole enough for its command to say its version."""
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "place")
    script = "import demijohn.app, demijohn.cli; print(demijohn.cli.__file__); demijohn.cli.main()"

    done = subprocess.run(
        [sys.executable, "-P", "-c", script, "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "place")},
        capture_output=True,
        text=True,
        check=True,
    )

    place, said = done.stdout.splitlines()
    assert Path(place).is_relative_to(tmp_path / "place")
    assert said == f"demijohn {__version__}"


def test_it_says_what_it_is(wheel: Path) -> None:
    """Its command, its licence, its interpreter and what it needs stand in its metadata."""
    with ZipFile(wheel) as archive:
        about = f"demijohn-{__version__}.dist-info"
        metadata = archive.read(f"{about}/METADATA").decode()
        commands = configparser.ConfigParser()
        commands.read_string(archive.read(f"{about}/entry_points.txt").decode())
        licence = archive.read(f"{about}/licenses/LICENSE")

    assert commands["console_scripts"]["demijohn"] == "demijohn.cli:main"
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "\nRequires-Dist: flask>=3.1\n" in metadata
