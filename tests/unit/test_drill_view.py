"""What a drill shows while it runs."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.live import Live

from demijohn.cli.drill_view import LiveView, PlainView
from demijohn.drill.cluster import Hpa, Pod
from demijohn.drill.outcomes import Second
from demijohn.drill.run import Sample

SAMPLE = Sample(
    7,
    (Pod("a", "a", is_ready=True, is_ending=False), Pod("b", "b", is_ready=False, is_ending=False)),
    Hpa(2, 5, 70, 2, 93),
)


def second(at: int, failed: int = 0) -> Second:
    """One second of a load."""
    return Second(at=at, rate=200, offered=200, done=199, failed=failed, late=0, p50=2.2, p99=9.7)


def test_elsewhere_a_plain_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """One line each five seconds, in which failures of the seconds between are not lost."""
    view = PlainView()

    for at in range(7):
        view.show(second(at, failed=1), SAMPLE)
    view.say("rollout 1 of 1 begins")

    rest = "ready 1 of 2, CPU 93 %, p50 2 ms, p99 10 ms"
    assert capsys.readouterr().out.splitlines() == [
        f"    0 s  load 200/s, achieved 199/s, failed so far 1, {rest}",
        f"    5 s  load 200/s, achieved 199/s, failed so far 6, {rest}",
        "rollout 1 of 1 begins",
    ]


def test_on_a_terminal_a_table() -> None:
    """The newest figures, failures added up, and lines that stay above them as they are."""
    console = Console(file=StringIO(), force_terminal=True, width=120)
    with Live(console=console, auto_refresh=False) as live:
        view = LiveView(live)
        view.show(second(3, failed=2), None)
        view.show(second(4, failed=1), SAMPLE)
        view.say("[not markup]")

    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "failed so far" in shown
    assert "│ 3 " in shown
    assert "1 of 2" in shown
    assert "[not markup]" in shown


def test_what_is_not_known_yet_is_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    """No look at the cluster, no answers: dashes."""
    quiet = Second(at=0, rate=200, offered=200, done=0, failed=0, late=0)

    PlainView().show(quiet, None)

    assert "ready –, CPU –, p50 –, p99 –" in capsys.readouterr().out
