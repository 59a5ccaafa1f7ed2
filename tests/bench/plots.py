"""`python -m tests.bench.plots RESULTS.json`: how cost grows, as SVG, into `docs/performance/`.

`python -m tests.bench.publish` does so too, and shows them on the page.

A file for each thing that grows; in it a row for each question: answers on the left, the CPU time
of each on the right.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import click

from demijohn.drill.plot import Line, ceiling
from tests.bench.growth import CONNECTIONS, DOCUMENTS, POINTS, SIZE, UNITS, WORKERS
from tests.bench.report import spread
from tests.support.service import ROOT

DIRECTORY = ROOT / "docs" / "performance"
FILES = {DOCUMENTS: "documents", SIZE: "size", CONNECTIONS: "connections", WORKERS: "workers"}
WIDTH, HEIGHT, LEFT, TOP = 280, 110, 84, 64
"""Of one chart, and what is left of it and above the first."""
GAP, ROW = 96, 176
"""Between two charts of a row, and from one row to the next."""
COLOURS = ("#1f6fb4", "#d9730d", "#2a8a43", "#8a8a8a")
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:16px;font-weight:bold}.a{fill:#555}"
    ".g{stroke:#ddd}.l{fill:none;stroke-width:1.6}"
)
_RATE, _CPU = "rates", "cpu_us"
Point = dict[str, Any]


def render(what: str, points: Sequence[Point]) -> str:
    """The SVG of one thing that grows; the places on its axis are evenly apart."""
    questions = list(dict.fromkeys(each["question"] for each in points))
    names = list(dict.fromkeys(each["contender"] for each in points))
    sizes = sorted({each["x"] for each in points})
    width, height = LEFT + 2 * WIDTH + GAP + 36, TOP + len(questions) * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(what)}</title><style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text class="t" x="{LEFT}" y="22">Growing: {escape(what)}</text>',
    ]
    for at, question in enumerate(questions):
        some = [each for each in points if each["question"] == question]
        plain = question.replace("`", "")
        for column, (figure, unit) in enumerate(((_RATE, UNITS[question]), (_CPU, "CPU µs each"))):
            x, y = LEFT + column * (WIDTH + GAP), TOP + at * ROW + 16
            parts.append(_text(x, y - 10, f"{plain}: {unit}", "start"))
            parts += _chart(x, y, sizes, [_line(name, names, some, figure) for name in names])
    parts += _legend(names, LEFT + WIDTH + GAP)
    return "\n".join([*parts, "</svg>", ""])


def draw(points: Sequence[Point], out: Path) -> dict[str, Path]:
    """Write a file for each thing that grew into the directory; the files, by what it was."""
    out.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for what, name in FILES.items():
        if some := [each for each in points if each["what"] == what]:
            drawn[what] = out / f"{name}.svg"
            drawn[what].write_text(render(what, some), encoding="utf-8")
    return drawn


def _line(name: str, names: Sequence[str], points: Sequence[Point], figure: str) -> Line:
    """A contender's medians, by size."""
    own = sorted((each for each in points if each["contender"] == name), key=lambda each: each["x"])
    medians = [(each["x"], spread(each[figure]).median) for each in own]
    return Line(name, COLOURS[names.index(name) % len(COLOURS)], medians)


def _chart(x: int, y: int, sizes: Sequence[int], lines: Sequence[Line]) -> list[str]:
    top = ceiling(max((value for line in lines for _, value in line.points), default=0))
    step = WIDTH / max(len(sizes) - 1, 1)
    parts = []
    for share in (0, 0.5, 1):
        level = y + HEIGHT * (1 - share)
        parts.append(f'<line class="g" x1="{x}" x2="{x + WIDTH}" y1="{level:g}" y2="{level:g}"/>')
        parts.append(_text(x - 8, level + 4, f"{top * share:,.10g}", "end"))
    for at, size in enumerate(sizes):
        parts.append(_text(x + at * step, y + HEIGHT + 18, f"{size:,}", "middle"))
    for line in lines:
        places = [
            (round(x + sizes.index(int(size)) * step, 1), round(y + HEIGHT * (1 - value / top), 1))
            for size, value in line.points
        ]
        spelt = " ".join(f"{across:g},{down:g}" for across, down in places)
        parts.append(f'<polyline class="l" stroke="{line.colour}" points="{spelt}"/>')
        parts += [
            f'<circle cx="{across:g}" cy="{down:g}" r="3" fill="{line.colour}"/>'
            for across, down in places
        ]
    return parts


def _legend(names: Sequence[str], x: int) -> list[str]:
    parts = []
    for at, name in enumerate(names):
        left, colour = x + at * 110, COLOURS[at % len(COLOURS)]
        parts.append(f'<circle cx="{left}" cy="18" r="4" fill="{colour}"/>')
        parts.append(_text(left + 10, 22, name, "start"))
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="a" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


@click.command()
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", default=DIRECTORY, type=click.Path(path_type=Path), help="For the files.")
def main(results: Path, out: Path) -> None:
    """Draw how cost grows."""
    for path in draw(json.loads(results.read_text(encoding="utf-8"))[POINTS], out).values():
        click.echo(path)


if __name__ == "__main__":
    main()
