"""How a drill is going: a live table on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demijohn.cli.saying import plain, say
from demijohn.drill.outcomes import Second
from demijohn.drill.run import Sample, View

LINE_EVERY = 5
"""Seconds of load between two plain lines."""


@contextmanager
def viewing() -> Iterator[View]:
    """A view on standard output."""
    console = Console()
    if not console.is_terminal:
        yield PlainView()
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield LiveView(live)


class PlainView:
    """Lines."""

    def __init__(self) -> None:
        """Nothing has been shown yet."""
        self._next = 0
        self._failed = 0

    def show(self, second: Second | None, sample: Sample | None) -> None:
        """Print a line where the last one is old."""
        if second is None:
            return
        self._failed += second.failed
        if second.at < self._next:
            return
        self._next = second.at + LINE_EVERY
        shown = figures(second, sample, self._failed)
        cells = ", ".join(f"{name} {value}" for name, value in shown)
        say(f"{second.at:5} s  {cells}")

    def say(self, text: str) -> None:
        """Print it."""
        say(text)


class LiveView:
    """A table that is drawn again each second, below the lines that stay."""

    def __init__(self, live: Live) -> None:
        """Take the place on the terminal."""
        self._live = live
        self._failed = 0

    def show(self, second: Second | None, sample: Sample | None) -> None:
        """Draw the table with this second in it."""
        if second is None:
            return
        self._failed += second.failed
        shown = figures(second, sample, self._failed)
        table = Table("second", *(name for name, _ in shown))
        table.add_row(str(second.at), *(value for _, value in shown))
        self._live.update(table, refresh=True)

    def say(self, text: str) -> None:
        """Print it above the table."""
        self._live.console.print(plain(text), markup=False, highlight=False)


def figures(second: Second, sample: Sample | None, failed: int) -> list[tuple[str, str]]:
    """What is shown of a second, of the cluster at that time, and of all failures so far."""
    return [
        ("load", f"{second.rate:.0f}/s"),
        ("achieved", f"{second.done}/s"),
        ("failed so far", f"{failed}"),
        ("ready", _replicas(sample)),
        ("CPU", _cpu(sample)),
        ("p50", _milliseconds(second.p50)),
        ("p99", _milliseconds(second.p99)),
    ]


def _replicas(sample: Sample | None) -> str:
    return "–" if sample is None else f"{sample.ready} of {len(sample.pods)}"


def _cpu(sample: Sample | None) -> str:
    hpa = sample.hpa if sample is not None else None
    return "–" if hpa is None or hpa.utilization is None else f"{hpa.utilization} %"


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"
