"""One command from a fresh clone, and the guide's other ways in, with real installations.

The directory's name has a space in it: checkouts do.
"""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.checkout import copy_of_checkout, readers_environ
from tests.support.database import free_port
from tests.support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240
"""Seconds until an installation counts as hung."""
BANNER = re.compile(r"(?s:.*)listens on http://(?s:.*)Ctrl-C")
"""From its beginning to its last line."""

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Clone:
    """A fresh clone and the environment of who works in it."""

    path: Path
    environ: dict[str, str]
    port: int

    def start(self, command: str) -> Terminal:
        """A command in a terminal of its own."""
        return Terminal(command, cwd=self.path, environ=self.environ)

    def run(self, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A command to its end, without a terminal."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.path,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def installed(self) -> dict[Path, int]:
        """Every file of the virtual environment that an installation writes, and when."""
        return {
            path: path.stat().st_mtime_ns
            for path in (self.path / ".venv").rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }

    def post(self, document: object) -> bytes:
        """The answer to POST /data."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/data",
            json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def get(self) -> object:
        """The value that GET /data answers."""
        address = f"http://127.0.0.1:{self.port}/data"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone that nothing has been done in yet; the tests below go on from each other."""
    home = tmp_path_factory.mktemp("one")
    port = free_port()
    environ = readers_environ(home) | {"DEMIJOHN_PORT": str(port), "DEMIJOHN_WORKERS": "1"}
    return Clone(copy_of_checkout(ROOT, home / "my clone"), environ, port)


@pytest.fixture
def running(clone: Clone) -> Iterator[Terminal]:
    """The service under `make run`, ended as a person ends it."""
    terminal = clone.start("make run")
    try:
        terminal.wait_for(BANNER, PATIENCE)
        yield terminal
        terminal.type("\x03")
        terminal.finish(60)
    finally:
        terminal.kill()


def test_make_run_brings_the_service_up_from_nothing(clone: Clone, running: Terminal) -> None:
    """`make run` in a fresh clone ends in a service that keeps documents, and says where."""
    assert clone.post({"n": 1}) == b'{"status":"Data inserted"}\n'
    assert clone.get() == [{"n": 1}]
    assert f"http://127.0.0.1:{clone.port}" in running.output
    for said in ("demijohn-data", "MONGODB_URI", "curl "):
        assert said in running.output


def test_make_run_says_little(running: Terminal) -> None:
    """What it prints fits on a screen: no tool's own chatter."""
    assert len(running.output.splitlines()) < 20


def test_the_second_make_run_installs_nothing(clone: Clone) -> None:
    """With nothing changed no file of the environment is written again; the documents stay."""
    before = clone.installed()
    terminal = clone.start("make run")
    try:
        terminal.wait_for(BANNER, PATIENCE)
        assert clone.get() == [{"n": 1}]
        assert "nstall" not in terminal.output
    finally:
        terminal.type("\x03")
        terminal.finish(60)

    assert before == clone.installed()


def test_a_changed_lock_is_installed(clone: Clone) -> None:
    """When the pinned requirements change, the next run brings the environment up to date."""
    lock = clone.path / "requirements-embedded.txt"
    lock.write_text(lock.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")

    assert "Installing" in clone.run("make setup").stdout
    assert clone.run("make setup").stdout == ""


def test_the_command_is_there_and_works_from_elsewhere(clone: Clone, tmp_path: Path) -> None:
    """`.venv/bin/demijohn` runs from any directory, under its own name."""
    done = clone.run(f"cd '{tmp_path}' && '{clone.path}/.venv/bin/demijohn' --help")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: demijohn ")


def test_an_interpreter_that_is_too_old_is_named(clone: Clone, tmp_path: Path) -> None:
    """With a Python that will not do, make says which version it met and what is needed."""
    old = tmp_path / "python3"
    old.write_text(
        '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\necho 3.8.20\n', encoding="utf-8"
    )
    old.chmod(0o755)
    fresh = copy_of_checkout(ROOT, tmp_path / "fresh")

    done = clone.run(f"cd '{fresh}' && make run", PYTHON=str(old))

    assert done.returncode != 0
    assert "3.11" in done.stderr
    assert "3.8.20" in done.stderr
    assert not (fresh / ".venv").exists()


def test_a_python_without_the_embedded_database_is_told_of_mongodb(
    clone: Clone, tmp_path: Path
) -> None:
    """Where the embedded database has no wheel, the rest is installed and MONGODB_URI is named."""
    fresh = copy_of_checkout(ROOT, tmp_path / "fresh")
    lock = fresh / "requirements-embedded.txt"
    without_wheel = f"secantusdb==0.0.1 --hash=sha256:{'0' * 64}\n"
    lock.write_text(without_wheel, encoding="utf-8")

    done = clone.run(f"cd '{fresh}' && make setup && .venv/bin/demijohn serve")

    assert "MONGODB_URI" in done.stdout
    assert "MONGODB_URI" in done.stderr
    assert done.returncode == 5


def test_make_help_lists_every_target(clone: Clone) -> None:
    """`make` alone says what there is, one line for each target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()

    listed = clone.run("make").stdout.splitlines()

    assert set(targets) == {name for line in listed for name in line[:24].split()}
