"""What was measured, as Markdown for people and JSON for later comparison."""

from __future__ import annotations

import json
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
import psutil

from tests.support.service import ROOT

RESULTS = ROOT / "bench-results"
_LIBRARIES = ("flask", "werkzeug", "pymongo", "uvicorn", "gunicorn")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and the least and the most of them."""

    median: float
    least: float
    most: float

    def text(self, digits: int = 0) -> str:
        """`median (least–most)`."""
        parts = (f"{each:,.{digits}f}" for each in (self.median, self.least, self.most))
        return "{} ({}–{})".format(*parts)


def spread(values: Iterable[float]) -> Spread:
    """The spread of at least one value."""
    known = list(values)
    return Spread(statistics.median(known), min(known), max(known))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table that reads well as it is; all columns but the first are figures."""
    every = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in every) for i in range(len(headers))]
    rule = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join(_line(row, widths) for row in [every[0], rule, *every[1:]]) + "\n"


def ratios(ones: Iterable[float], others: Iterable[float]) -> Spread:
    """What the ones are, divided by the others, round by round."""
    return spread(one / (other or 1) for one, other in zip(ones, others, strict=True))


def facts(command: str, database: str) -> dict[str, str]:
    """Where, when and on what this is measured."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "command": shlex.join([*shlex.split(command), *sys.argv[1:]]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "database": database,
        "machine": f"{platform.system()}, {psutil.cpu_count()} cores, {memory:.0f} GiB",
        "load before": "{:.2f}, {:.2f}, {:.2f}".format(*os.getloadavg()),
        "python": platform.python_version(),
        "libraries": ", ".join(f"{each} {version(each)}" for each in _LIBRARIES),
    }


class Report:
    """A report that is printed section by section and kept in both formats at the end."""

    def __init__(self, name: str, known: Mapping[str, str]) -> None:
        """Take the name of its files and the facts that it opens with."""
        self._name = name
        self._texts: list[str] = []
        self._tables: dict[str, str] = {}
        self._figures: dict[str, object] = {"facts": known, "tables": self._tables}
        self._say("".join(f"- {fact}: {value}\n" for fact, value in known.items()))

    def add(self, title: str, note: str, content: str, figures: object) -> None:
        """Print a section: its title, what its figures mean, the table; keep the figures too."""
        self._say(f"## {title}\n\n{note}\n{content}")
        self._tables[title] = content
        self._figures[title] = figures

    def keep(self, name: str, figures: object) -> None:
        """Keep figures that no section shows as they are."""
        self._figures[name] = figures

    def write(self, directory: Path = RESULTS) -> Path:
        """Write the files into the directory; the path of the Markdown."""
        directory.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = directory / f"{self._name}-{stamp}.md"
        path.write_text("\n".join(self._texts), encoding="utf-8")
        # The figures are dataclasses inside plain containers.
        plain = json.dumps(self._figures, indent=1, default=asdict)
        path.with_suffix(".json").write_text(f"{plain}\n", encoding="utf-8")
        return path

    def _say(self, text: str) -> None:
        click.echo(text)
        self._texts.append(text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
