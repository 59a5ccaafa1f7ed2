"""The guide as a script: its marked blocks in their order.

A fenced block of the guide has one of these comments on a line of its own above it::

    <!-- run -->                     run the commands, compare what comes out
    <!-- run: keep -->               the same, in a terminal of its own where it goes on
    <!-- kept -->                    what that terminal shows by now, from its start
    <!-- file: NAME -->              write the block to that file
    <!-- file: NAME, as it is -->    the file in the repository is the same
    <!-- not run here: REASON -->    for the reader alone
    <!-- not run here: REASON; stand-in: NAME -->    the test does something like it

and `<!-- Ctrl-C -->` stands alone where the reader ends what was kept going. Blocks belong to the
part of the guide whose heading (`# Part 2: …`) stands above them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PART = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]*) -->\n+)?^```(?P<kind>\w*)\n(?P<body>.*?)^```$"
    r"|^<!-- (?P<alone>Ctrl-C) -->$"
    r"|^# Part (?P<chapter>\d+)\b",
    re.MULTILINE | re.DOTALL,
)
_COLUMNS = re.compile(r"(?:\\ ){2,}")
_SPECIFIC = re.compile(r'(?<=:)"[^"]*"|-?\d+(?:[.,]\d+)*')
SHELL = frozenset({"console", "sh", "bash", "shell"})
MARKERS = re.compile(
    r"run(: keep)?|kept|file: \S+(, as it is)?|not run here: [^;]+(; stand-in: \S+)?"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One marked block. ``line`` is where it stands in the guide, from 1.

    ``chapter`` is the number of the guide's part that it belongs to, 0 before the first.
    """

    marker: str
    kind: str
    body: str
    line: int
    chapter: int


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a console block and what the guide shows under it."""

    text: str
    shown: str


def read(page: Path) -> list[Part]:
    """Every fenced block of the page, marked or not, and every lone Ctrl-C."""
    return list(_parts(page.read_text(encoding="utf-8")))


def _parts(text: str) -> Iterator[Part]:
    chapter = 0
    for match in _PART.finditer(text):
        if match["chapter"]:
            chapter = int(match["chapter"])
            continue
        yield Part(
            match["alone"] or match["marker"] or "",
            match["kind"] or "",
            match["body"] or "",
            text.count("\n", 0, match.start()) + 1,
            chapter,
        )


def commands(body: str) -> list[Command]:
    """The commands of a console block: lines after `$ `, each with the lines up to the next.

    A line that ends in a backslash goes on in the next one, as in a shell.
    """
    pieces = re.split(r"^\$ ", body, flags=re.MULTILINE)
    assert not pieces[0].strip(), f"output before the first command: {pieces[0]!r}"
    return [_command(piece) for piece in pieces[1:]]


def _command(piece: str) -> Command:
    match = re.match(r"(?:.*\\\n)*.*", piece)
    assert match is not None
    return Command(match[0], piece[match.end() :].removeprefix("\n"))


def pattern(shown: str) -> re.Pattern[str]:
    """What the guide shows as an expression: `…` is any text, alone on its line any lines.

    Between columns, two spaces or more, there may be any number: cells differ in width.
    """
    expression = "".join(map(_line, shown.splitlines()))
    return re.compile(expression)


def shape(shown: str) -> re.Pattern[str]:
    """The same, but for numbers and for strings that are values of JSON: they may be any."""
    return pattern(_SPECIFIC.sub("…", shown))


def _line(line: str) -> str:
    if line == "…":
        return r"(?:.*\n)*?"
    literal = r"[^\n]*".join(map(re.escape, line.split("…")))
    return _COLUMNS.sub("  +", literal) + r" *\n?"
