"""What drills show and report of text that others wrote: pods, kubectl, the autoscaler's events."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from demijohn.cli.drill_view import LiveView, PlainView
from demijohn.drill.data import Step
from demijohn.drill.report import Report, write
from demijohn.drill.run import Mark
from demijohn.drill.verdict import Verdict
from tests.support.hostile import TEXTS, seen_as_control
from tests.unit.test_drill_verdict import a_run

EACH = pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))


def _report(text: str) -> Report:
    """A report with the text wherever text may come from elsewhere."""
    run = a_run()
    ending = replace(run.endings[0], name=text)
    return Report(
        drill="rollout",
        name="run",
        url="http://localhost",
        began=datetime(2025, 1, 1, tzinfo=UTC),
        verdict=Verdict(broken=(text,), missed=(text,)),
        run=replace(run, endings=[ending], marks=[Mark(8, text)], notes=[text]),
        steps=(Step(text, text, holds=False),),
    )


@EACH
def test_a_report_shows_text_as_text(text: str, tmp_path: Path) -> None:
    """No line, cell, tag, link or control of others' is in Markdown or SVG; JSON has the text."""
    plain = "x" * 5
    write(_report(plain), tmp_path / "plain")
    write(_report(text), tmp_path)
    markdown = (tmp_path / "report.md").read_text("utf-8")
    usual = (tmp_path / "plain" / "report.md").read_text("utf-8")
    value = json.loads((tmp_path / "report.json").read_bytes())

    assert not seen_as_control(markdown)
    assert markdown.count("\n") == usual.count("\n")
    assert markdown.count("|") == usual.count("|") + _outside_tables(markdown)
    assert "<" not in markdown
    assert markdown.replace("\\[", "").count("[") == usual.count("[")
    assert (value["broken"], value["notes"]) == ([text], [text])
    picture, other = (ET.parse(path / "report.svg") for path in (tmp_path, tmp_path / "plain"))
    assert [each.tag for each in picture.iter()] == [each.tag for each in other.iter()]


def _outside_tables(markdown: str) -> int:
    """Pipes in lines of a list, where they mean nothing."""
    return sum(line.count("|") for line in markdown.split("\n") if line.startswith("- "))


@EACH
def test_a_view_shows_text_as_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal and elsewhere: the drill's own escapes apart, none is written."""
    PlainView().say(text)
    plain = capsys.readouterr().out
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=10_000)
    with Live(console=console, auto_refresh=False) as live:
        LiveView(live).say("")
        own = out.getvalue()
        LiveView(live).say(text)

    assert not seen_as_control(plain)
    assert seen_as_control(out.getvalue()) <= seen_as_control(own) | {"\x1b", "\r"}
    assert not seen_as_control(text) or text not in out.getvalue()
