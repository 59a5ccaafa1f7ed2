"""The guide's part 1, run as it stands, in order, in a terminal, on a copy of the repository.

Ports 5000 and 27017 become free ones; MongoDB in Docker becomes the embedded server. The rest is
what a reader does. `guide_script` says how blocks are marked. Part 2 is followed by
tests/cluster/test_guide.py.
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
from tests.support.guide_reader import Reader
from tests.support.guide_script import MARKERS, SHELL, Command, Part, commands, pattern, read

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide.md"
PARTS = read(GUIDE)
PATIENCE = 240
"""Seconds until a command that installs packages counts as hung."""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader on ports of their own, whose processes and database end with the test."""
    (tmp_path / "database").mkdir()
    database = Database(tmp_path / "database")
    port = str(free_port())
    environ = readers_environ(tmp_path) | {
        "DEMIJOHN_PORT": port,
        "FLASK_RUN_PORT": port,
        "DEMIJOHN_URL": f"http://127.0.0.1:{port}",
        "DEMIJOHN_WORKERS": "1",
    }
    someone = Reader(
        copy_of_checkout(ROOT, tmp_path / "demijohn"),
        environ,
        here={"5000": port, "27017": str(database.port)},
        stand_ins={
            "start-database": lambda _: _started(database),
            "stop-database": lambda _: database.kill(),
        },
        patience=PATIENCE,
    )
    try:
        yield someone
    finally:
        someone.leave()
        database.kill()


def _started(database: Database) -> None:
    database.start()


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


@pytest.mark.parametrize("chapter", [1, 2])
def test_the_script_is_not_empty(chapter: int) -> None:
    """Each part of the guide is found and has commands to run, so that its test can fail."""
    found = [part for part in PARTS if part.chapter == chapter]

    assert sum(len(_run_commands(part)) for part in found) > 20


def test_no_block_stands_outside_the_two_parts() -> None:
    """Every block of the guide belongs to a part that a test follows."""
    assert {part.chapter for part in PARTS} == {1, 2}


def test_a_command_may_take_several_lines() -> None:
    """A backslash at a line's end joins the next one to the command; the rest is its output."""
    body = "$ one \\\n    two\nshown\nmore\n$ three\n"

    assert commands(body) == [Command("one \\\n    two", "shown\nmore\n"), Command("three", "")]


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("NAME   READY\nx-…   1/1\n", "NAME      READY  \nx-7f   1/1\n", True),
        ("one two\n", "one  two\n", False),
        ("…\nlast\n", "first\nsecond\nlast\n", True),
        ("…\nlast\n", "first\nlast\nafter\n", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, printed: str, *, fits: bool) -> None:
    """Columns may be wider, `…` may be anything; every other character has to be there."""
    assert bool(pattern(shown).fullmatch(printed)) == fits


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
    """A reader who types every command of part 1, in its order, sees what it shows."""
    assert shutil.which("curl", path=os.environ["PATH"])

    reader.follow_all(GUIDE, [part for part in PARTS if part.chapter == 1])
