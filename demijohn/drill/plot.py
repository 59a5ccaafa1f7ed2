"""The plot of a run as an SVG: load, replicas, latency and failures over the same seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, log10

from demijohn.drill.run import Run
from demijohn.telemetry.printable import printable

Point = tuple[float, float]
WIDTH, LEFT, RIGHT, TOP = 960, 76, 190, 56
PANEL, GAP, FOOT = 120, 34, 44
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:16px;font-weight:bold}"
    ".a{fill:#555}.g{stroke:#ddd;stroke-width:1}.f{fill:none;stroke:#888}"
    ".m{stroke:#999;stroke-dasharray:3 3}.l{fill:none;stroke-width:1.6}"
)
_ROUND = (1, 2, 3, 4, 5, 6, 8, 10)
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Seconds between two marks of the time's axis."""
_NOTE = 18
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#1f6fb4", "#d9730d", "#2a8a43", "#c22f2f", "#8a8a8a"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel and its name in the legend."""

    name: str
    colour: str
    points: Sequence[Point]
    is_stepped: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of the plot."""

    title: str
    unit: str
    lines: Sequence[Line]
    are_bars: bool = False

    @property
    def top(self) -> float:
        """The highest value of the axis: a round number that no point exceeds."""
        return ceiling(max((y for line in self.lines for _, y in line.points), default=0))


def ceiling(value: float) -> float:
    """The least of 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, … that is not below the value."""
    if value <= 1:
        return 1
    scale = 10 ** (ceil(log10(value)) - 1)
    return float(next(each * scale for each in _ROUND if each * scale >= value))


def panels(run: Run) -> list[Panel]:
    """What the plot shows of a run."""
    # The last second is none that was full; what failed in it is shown all the same.
    seconds = [each for each in run.seconds if each.at + 1 <= run.result.seconds]
    samples = run.samples
    ready = [(each.at, float(each.ready)) for each in samples]
    pods = [(each.at, float(len(each.pods))) for each in samples]
    cpu = [
        (each.at, float(each.hpa.utilization))
        for each in samples
        if each.hpa is not None and each.hpa.utilization is not None
    ]
    shown = [
        Panel("Load", "requests/s", (
            Line("offered", _GREY, [(each.at + 1, each.offered) for each in seconds]),
            Line("answered well", _BLUE, [(each.at + 1, each.done) for each in seconds]),
        )),
        Panel("Replicas", "pods", (
            Line("all, ending ones too", _GREY, pods, is_stepped=True),
            Line("ready", _GREEN, ready, is_stepped=True),
        )),
        Panel("Latency", "ms", (
            Line("99th percentile", _ORANGE,
                 [(each.at + 1, each.p99) for each in seconds if each.p99 is not None]),
            Line("median", _BLUE,
                 [(each.at + 1, each.p50) for each in seconds if each.p50 is not None]),
        )),
        Panel("Failures", "in a second", (
            Line("failed requests", _RED, [(each.at + 1, each.failed) for each in run.seconds]),
        ), are_bars=True),
    ]  # fmt: skip
    if cpu:
        shown.insert(2, Panel("CPU", "% of request", (Line("average", _ORANGE, cpu),)))
    return shown


def render(title: str, run: Run) -> str:
    """The SVG's text."""
    charts = panels(run)
    last = max([1.0, *(x for chart in charts for line in chart.lines for x, _ in line.points)])
    bottom = TOP + len(charts) * (PANEL + GAP) - GAP
    height = bottom + FOOT + GAP + len(run.marks) * _NOTE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="t" x="{LEFT}" y="26">{escape(title)}</text>',
    ]
    for at, chart in enumerate(charts):
        parts += _chart(chart, TOP + at * (PANEL + GAP), last)
    parts += _marks([(each.at, each.text) for each in run.marks], bottom, last)
    parts += _time_axis(bottom, last)
    return "\n".join([*parts, "</svg>", ""])


def _x(seconds: float, last: float) -> float:
    return round(LEFT + seconds / last * (WIDTH - LEFT - RIGHT), 1)


def _chart(chart: Panel, y: int, last: float) -> list[str]:
    right, top = WIDTH - RIGHT, chart.top
    parts = [f'<rect class="f" x="{LEFT}" y="{y}" width="{right - LEFT}" height="{PANEL}"/>']
    title = f"{chart.title} ({chart.unit})"
    parts.append(f'<text x="{right + 14}" y="{y + PANEL - 8}">{escape(title)}</text>')
    for share in (0, 0.5, 1):
        level = y + PANEL * (1 - share)
        parts.append(f'<line class="g" x1="{LEFT}" x2="{right}" y1="{level:g}" y2="{level:g}"/>')
        label = f"{top * share:g}"
        parts.append(_text(LEFT - 8, level + 4, label, "end"))
    for at, line in enumerate(chart.lines):
        points = [
            (_x(x, last), round(y + PANEL * (1 - value / top), 1)) for x, value in line.points
        ]
        draw = _bars if chart.are_bars else _steps if line.is_stepped else _path
        parts.append(draw(points, line.colour, y + PANEL))
        parts += _legend(right + 14, y + 14 + at * 20, line)
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    shown = escape(printable(text))
    return f'<text class="a" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{shown}</text>'


def _legend(x: int, y: int, line: Line) -> list[str]:
    stroke = f'stroke="{line.colour}" stroke-width="3"'
    return [
        f'<line x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}" {stroke}/>',
        f'<text x="{x + 24}" y="{y}">{escape(line.name)}</text>',
    ]


def _path(points: Iterable[Point], colour: str, _base: float) -> str:
    spelt = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline class="l" stroke="{colour}" points="{spelt}"/>'


def _steps(points: Sequence[Point], colour: str, base: float) -> str:
    """A value holds until the next look."""
    corners = list(points[:1])
    for (_, before), (x, y) in pairwise(points):
        corners += [(x, before), (x, y)]
    return _path(corners, colour, base)


def _bars(points: Iterable[Point], colour: str, base: float) -> str:
    lines = "".join(f"M{x:g},{base:g}V{y:g}" for x, y in points if y < base)
    return f'<path d="{lines or f"M{LEFT},{base:g}"}" stroke="{colour}" stroke-width="2"/>'


def _marks(marks: Iterable[tuple[float, str]], bottom: int, last: float) -> list[str]:
    """What happened: numbered dashed lines through all charts, and what they are below."""
    parts = []
    for number, (at, text) in enumerate(marks, 1):
        x = _x(at, last)
        parts.append(f'<line class="m" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{bottom}"/>')
        parts.append(_text(x, TOP - 10, f"{number}", "middle"))
        foot = bottom + FOOT + number * _NOTE
        parts.append(_text(LEFT, foot, f"{number}: {at:.0f} s, {text}", "start"))
    return parts


def _time_axis(bottom: int, last: float) -> list[str]:
    step = next((each for each in _STEPS if each * 12 >= last), _STEPS[-1])
    ticks = [at * step for at in range(int(last / step) + 1)]
    labels = [_text(_x(tick, last), bottom + 16, f"{tick:g}", "middle") for tick in ticks]
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*labels, _text(middle, bottom + 34, "seconds since the load began", "middle")]
