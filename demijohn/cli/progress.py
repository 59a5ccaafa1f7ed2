"""How far a long command has got, on a terminal; nothing anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Report(Protocol):
    """What the work calls, from one thread, as often as it likes."""

    def __call__(self, done: int, text: str) -> None:
        """Say that `done` bytes have passed in all, and `text` about them."""


@contextmanager
def progress(total: int | None, *, quiet: bool = False) -> Iterator[Report]:
    """Show a bar of bytes on standard error, of `total` where that is known.

    Shows nothing if standard error is no terminal or `quiet` asks for that.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _say_nothing
        return
    left = [BarColumn(), TimeRemainingColumn()] if total is not None else [TimeElapsedColumn()]
    columns = (*left, DownloadColumn(), TransferSpeedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, text: bar.update(task, completed=done, description=text)


def _say_nothing(done: int, text: str) -> None:
    """Take a report where nobody looks."""
