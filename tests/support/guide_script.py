"""The guide as a script: its marked blocks in their order.

A fenced block of the guide has one of these comments on a line of its own above it::

    <!-- run -->                     run the commands, compare what comes out
    <!-- run: keep -->               the same, in a terminal of its own where it goes on
    <!-- file: NAME -->              write the block to that file
    <!-- file: NAME, as it is -->    the file in the repository is the same
    <!-- not run here: REASON -->    for the reader alone
    <!-- not run here: REASON; stand-in: NAME -->    the test does something like it

and `<!-- Ctrl-C -->` stands alone where the reader ends what was kept going.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PART = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]*) -->\n+)?^```(?P<kind>\w*)\n(?P<body>.*?)^```$"
    r"|^<!-- (?P<alone>Ctrl-C) -->$",
    re.MULTILINE | re.DOTALL,
)
SHELL = frozenset({"console", "sh", "bash", "shell"})
MARKERS = re.compile(r"run(: keep)?|file: \S+(, as it is)?|not run here: [^;]+(; stand-in: \S+)?")


@dataclass(frozen=True, slots=True)
class Part:
    """One marked block. ``line`` is where it stands in the guide, from 1."""

    marker: str
    kind: str
    body: str
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a console block and what the guide shows under it."""

    text: str
    shown: str


def read(page: Path) -> list[Part]:
    """Every fenced block of the page, marked or not, and every lone Ctrl-C."""
    text = page.read_text(encoding="utf-8")
    return [
        Part(
            match["alone"] or match["marker"] or "",
            match["kind"] or "",
            match["body"] or "",
            text.count("\n", 0, match.start()) + 1,
        )
        for match in _PART.finditer(text)
    ]


def commands(body: str) -> list[Command]:
    """The commands of a console block: lines after `$ `, each with the lines up to the next."""
    pieces = re.split(r"^\$ ", body, flags=re.MULTILINE)
    assert not pieces[0].strip(), f"output before the first command: {pieces[0]!r}"
    found = (piece.partition("\n") for piece in pieces[1:])
    return [Command(text, shown) for text, _, shown in found]


def pattern(shown: str) -> re.Pattern[str]:
    """What the guide shows as an expression: `…` is any text, alone on its line any lines."""
    lines = shown.splitlines()
    expression = "".join(
        r"(?:.*\n)*?" if line == "…" else r"[^\n]*".join(map(re.escape, line.split("…"))) + r"\n?"
        for line in lines
    )
    return re.compile(expression)
