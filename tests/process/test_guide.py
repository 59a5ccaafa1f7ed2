"""The guide's commands, run as they stand, in order, in a terminal, on a copy of the repository.

Ports 5000 and 27017 become free ones; MongoDB in Docker becomes the embedded server. The rest is
what a reader does. `guide_script` says how blocks are marked.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import copy_of_checkout, readers_environ
from tests.support.database import Database, free_port
from tests.support.guide_script import MARKERS, SHELL, Command, Part, commands, pattern, read
from tests.support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide.md"
PARTS = read(GUIDE)
PATIENCE = 240
"""Seconds until a command that installs packages counts as hung."""


class Reader:
    """Somebody who follows the guide: a working copy, a shell, perhaps a second terminal."""

    def __init__(self, home: Path) -> None:
        """Take a directory that nobody else uses."""
        self.copy = copy_of_checkout(ROOT, home / "demijohn")
        self.port = free_port()
        (home / "database").mkdir()
        self._database = Database(home / "database")
        self._ports = {"5000": str(self.port), "27017": str(self._database.port)}
        self._state = home / "shell"
        self._kept: Terminal | None = None
        self._environ = readers_environ(home) | {
            "DEMIJOHN_PORT": str(self.port),
            "FLASK_RUN_PORT": str(self.port),
            "DEMIJOHN_URL": f"http://127.0.0.1:{self.port}",
            "DEMIJOHN_WORKERS": "1",
        }
        self._state.write_text("")

    def follow(self, part: Part) -> None:
        """Do what one part of the guide asks for; AssertionError where it does not come true."""
        action, _, rest = part.marker.partition(": ")
        if action == "Ctrl-C":
            self._interrupt()
        elif action == "file":
            self._file(rest, part.body)
        elif action == "run":
            *first, last = commands(part.body)
            for command in first:
                self._run(command)
            (self._keep if rest == "keep" else self._run)(last)
        elif part.marker.endswith("start-database"):
            self._database.start()
        elif part.marker.endswith("stop-database"):
            self._database.kill()

    def leave(self) -> None:
        """End everything that still runs."""
        if self._kept is not None:
            self._kept.kill()
        self._database.kill()

    def _run(self, command: Command) -> None:
        # What a shell remembers from one command to the next: its environment.
        after = f'code=$?; export -p >"{self._state}"; exit "$code"'
        code, output = self._terminal(f"{command.text}\n{after}").finish(PATIENCE)
        assert code == 0, f"exit code {code}:\n{output}"
        expected = pattern(self._here(command.shown))
        assert expected.fullmatch(output), f"not {expected.pattern!r} but:\n{output}"

    def _keep(self, command: Command) -> None:
        self._kept = self._terminal(command.text)
        self._kept.wait_for(pattern(self._here(command.shown)), PATIENCE)

    def _terminal(self, text: str) -> Terminal:
        script = f'. "{self._state}"; {self._here(text)}'
        return Terminal(script, cwd=self.copy, environ=self._environ)

    def _interrupt(self) -> None:
        assert self._kept is not None
        self._kept.type("\x03")
        self._kept.finish(60)
        self._kept = None

    def _file(self, name: str, body: str) -> None:
        name, _, as_it_is = name.partition(", ")
        if as_it_is:
            assert body == (self.copy / name).read_text(encoding="utf-8")
        else:
            (self.copy / name).write_text(self._here(body), encoding="utf-8")

    def _here(self, text: str) -> str:
        for port, ours in self._ports.items():
            text = text.replace(port, ours)
        return text


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader, whose processes end with the test."""
    someone = Reader(tmp_path)
    try:
        yield someone
    finally:
        someone.leave()


def _run_commands(part: Part) -> list[Command]:
    return commands(part.body) if part.marker.startswith("run") else []


def test_every_block_says_what_it_is() -> None:
    """Every shell block of the guide is run, or says why not: none is forgotten."""
    unmarked = [
        f"guide.md:{part.line}"
        for part in PARTS
        if part.kind in SHELL and not MARKERS.fullmatch(part.marker)
    ]

    assert unmarked == []


def test_the_script_is_not_empty() -> None:
    """The guide is found and has commands to run, so that the test below can fail."""
    assert sum(len(_run_commands(part)) for part in PARTS) > 20


def test_the_readmes_commands_are_the_guides() -> None:
    """README shows no command that the guide does not have, so each of them is run below."""
    shown = [
        command.text
        for part in read(ROOT / "README.md")
        if part.kind == "console"
        for command in commands(part.body)
    ]

    assert shown
    assert set(shown) <= {command.text for part in PARTS for command in _run_commands(part)}


@pytest.mark.skipif(sys.platform == "win32", reason="the guide is for a POSIX shell")
@pytest.mark.timeout(900)
def test_the_guide_works_as_it_stands(reader: Reader) -> None:
    """A reader who types every command of the guide, in its order, sees what it shows."""
    assert shutil.which("curl", path=os.environ["PATH"])

    for part in PARTS:
        try:
            reader.follow(part)
        except AssertionError as failure:
            message = f"guide.md:{part.line}: {part.body or part.marker}\n{failure}"
            raise AssertionError(message) from failure
