"""The report of a drill: Markdown for people, JSON for programs, an SVG to look at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from demijohn import __version__
from demijohn.drill import plot
from demijohn.drill.autoscale import burst_remark
from demijohn.drill.data import Step
from demijohn.drill.errors import DrillError
from demijohn.drill.outcomes import Failed, Lane
from demijohn.drill.run import Run
from demijohn.drill.verdict import Outcome, Scaling, Verdict, was_open
from demijohn.telemetry.printable import printable

Row = tuple[str, ...]
WORDS = {
    Outcome.HELD: "held",
    Outcome.BROKEN: "broken",
    Outcome.INCONCLUSIVE: "inconclusive",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a drill has to say."""

    drill: str
    name: str
    """The run's."""
    url: str
    began: datetime
    verdict: Verdict
    run: Run | None = None
    scaling: Scaling | None = None
    steps: tuple[Step, ...] = ()


def write(report: Report, directory: Path) -> list[Path]:
    """Write the files; their paths. Raises DrillError where the directory can't be written."""
    texts = {"report.md": markdown(report), "report.json": as_json(report)}
    if report.run is not None:
        texts["report.svg"] = plot.render(f"demijohn drill {report.drill}", report.run)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise DrillError(f"{directory} can't be written: {error.strerror}.") from None
    return [directory / name for name in texts]


def check(directory: Path) -> None:
    """Raise DrillError where reports can't be written into it; nothing is made for that yet."""
    there = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    if not there.is_dir():
        raise DrillError(f"{directory} can't be written: {there} is no directory.")
    files = [each for each in there.glob("report.*") if there == directory]
    if not all(os.access(each, os.W_OK) for each in (there, *files)):
        raise DrillError(f"{directory} can't be written: no permission.")


def as_json(report: Report) -> str:
    """Everything, for programs."""
    run = report.run
    value: dict[str, Any] = {
        "drill": report.drill,
        "run": report.name,
        "url": report.url,
        "began": report.began.isoformat(),
        "version": __version__,
        "verdict": WORDS[report.verdict.outcome],
        "broken": report.verdict.broken,
        "missed": report.verdict.missed,
    }
    if report.steps:
        value["steps"] = [asdict(each) for each in report.steps]
    if report.scaling is not None:
        value["scaling"] = asdict(report.scaling)
    if run is not None:
        value |= _run_members(run)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"


def _run_members(run: Run) -> dict[str, Any]:
    account = run.account
    return {
        "result": run.result.model_dump(mode="json"),
        "burst": run.burst and run.burst.model_dump(mode="json"),
        "markers": account
        and {
            "acknowledged": account.acknowledged,
            "found": account.found,
            "lost": account.lost.pairs(),
            "doubled": account.doubled.pairs(),
            "unknown_found": account.unknown_found.pairs(),
            "unexplained": account.unexplained.pairs(),
        },
        "notes": run.notes,
        "pods_before": sorted(run.uids_before),
        "pods_after": sorted(run.uids_after),
        "endings": [asdict(each) for each in run.endings],
        "marks": [asdict(each) for each in run.marks],
        "samples": [asdict(each) for each in run.samples],
        "seconds": [each.model_dump(mode="json") for each in run.seconds],
    }


def markdown(report: Report) -> str:
    """The report for people."""
    began = f"{report.began:%Y-%m-%d %H:%M %Z}"
    lines = [
        f"# demijohn drill {report.drill}: {WORDS[report.verdict.outcome]}",
        "",
        f"Run `{report.name}` of {began} against {inline(report.url)}, demijohn {__version__}.",
    ]
    reasons = [f"- Broken: {inline(each)}." for each in report.verdict.broken]
    reasons += [f"- Not put to the test: {inline(each)}." for each in report.verdict.missed]
    lines += ["", *reasons] if reasons else []
    if report.steps:
        rows = [(each.what, each.result, "yes" if each.holds else "no") for each in report.steps]
        lines += ["", *table(("What", "Result", "As promised"), rows)]
    if report.scaling is not None:
        lines += ["", *table(("Autoscaling", ""), scaling_rows(report.scaling))]
    if report.run is not None:
        lines += _run_lines(report.run)
    return "\n".join([*lines, ""])


def summary(report: Report) -> list[str]:
    """The figures of the report as lines for a terminal."""
    rows: list[Row] = [(each.what, each.result) for each in report.steps]
    rows += scaling_rows(report.scaling) if report.scaling is not None else []
    rows += load_rows(report.run) if report.run is not None else []
    width = max((len(row[0]) for row in rows), default=0)
    return [f"{row[0]:{width}}  {row[1]}" for row in rows]


def _run_lines(run: Run) -> Iterator[str]:
    yield from ("", "![load, replicas, latency and failures over time](report.svg)", "")
    yield from table(("Load", ""), load_rows(run))
    failures = list(failure_rows(run))
    if failures:
        yield from ("", *table(("Failed", "how", "count", "first and last second"), failures))
    yield from ("", *table(("Latency, ms", "requests", "p50", "p99", "longest"), _latencies(run)))
    if run.endings:
        head = (
            "Pod told to end",
            "by, s",
            "gone by, s",
            "streams open",
            "by its own metrics",
        )
        yield from ("", *table(head, _endings(run)))
    if run.burst is not None:
        yield from ("", burst_remark(run.burst))
    yield from ("", *(f"- {each.at:.0f} s: {inline(each.text)}" for each in run.marks))
    yield from (f"- {inline(note)}" for note in run.notes)
    yield from ("", _HOW)


_HOW = (
    "Counted at the client: each request was sent once, and every refused, reset, closed, "
    "timed-out, 5xx, unexpected or short answer is a failure. Latency counts from the moment that "
    "a request was due. The markers were read in the database, past the service."
)


def load_rows(run: Run) -> list[Row]:
    """The figures of the load."""
    result, account = run.result, run.account
    span = result.full_load or 1
    uses = [lane.longest for lane in result.lanes]
    rows: list[Row] = [
        ("seconds of load", f"{result.seconds:.1f}"),
        ("requests offered", f"{result.offered}"),
        ("requests answered well", f"{result.done}"),
        ("requests failed", f"{result.failed}"),
        ("offered a second, at full load", f"{result.offered_at_full / span:.1f}"),
        ("achieved a second, at full load", f"{result.done_at_full / span:.1f}"),
        ("sent over a second late, or not at all", f"{result.late} + {result.unsent}"),
        ("keep-alive lanes", f"{len(uses)}"),
        ("most requests on one connection, by lane", f"{min(uses)} to {max(uses)}"),
        ("keep-alive connections", f"{sum(lane.connections for lane in result.lanes)}"),
        ("idle connections closed unannounced", f"{result.idle_closes}"),
        ("streams read to their end", f"{_whole_streams(run)} of {len(result.streams)}"),
    ]
    if account is not None:
        rows += [
            ("markers acknowledged", f"{account.acknowledged}"),
            ("markers in the database", f"{account.found}"),
            ("lost", f"{len(account.lost)}"),
            ("doubled", f"{len(account.doubled)}"),
            ("of failed requests, and there", f"{len(account.unknown_found)}"),
        ]
    return rows


def failure_rows(run: Run) -> Iterator[Row]:
    """How requests failed, by lane, kind and fault."""
    alike: dict[tuple[Lane, str], list[Failed]] = {}
    for each in run.result.failures:
        alike.setdefault((each.lane, each.how), []).append(each)
    for (lane, how), failures in alike.items():
        count = sum(each.count for each in failures)
        seconds = [each.second for each in failures]
        yield (lane.value, how, f"{count}", f"{min(seconds)}, {max(seconds)}")


def scaling_rows(scaling: Scaling) -> list[Row]:
    """What the autoscaler did."""
    way = " → ".join(map(str, (scaling.least, *scaling.sizes)))
    took = scaling.seconds_to_most
    return [
        ("limits", f"{scaling.least} to {scaling.most} at {scaling.target} % CPU"),
        ("most CPU seen", f"{scaling.peak_utilization} %"),
        ("by the autoscaler's own events", way),
        (
            f"from load to replica {scaling.most} ready",
            "never" if took is None else f"{took:.0f} s",
        ),
        (f"back to {scaling.least}", "yes" if scaling.back else "no"),
    ]


def table(head: Row, rows: Iterable[Row]) -> list[str]:
    """A table in Markdown."""
    cells = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(inline(each).replace('|', '/') for each in row)} |" for row in cells]


def inline(text: str) -> str:
    """Others' text on one line of Markdown (CommonMark 0.31): no HTML, no link, no image."""
    return printable(text).replace("<", "&lt;").replace("[", "\\[")


def _latencies(run: Run) -> Iterator[Row]:
    for lane, each in run.result.latency.items():
        yield (lane.value, f"{each.count}", f"{each.p50:g}", f"{each.p99:g}", f"{each.longest:g}")


def _endings(run: Run) -> Iterator[Row]:
    for each in run.endings:
        streams = sum(was_open(stream, each) for stream in run.result.streams)
        own = "unknown" if each.streams is None else f"{each.streams}"
        gone = "–" if each.gone is None else f"{each.gone:.0f}"
        yield (each.name, f"{each.at:.0f}", gone, f"{streams}", own)


def _whole_streams(run: Run) -> int:
    return sum(stream.failure is None for stream in run.result.streams)
