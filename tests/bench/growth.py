"""`python -m tests.bench.growth`: what a request costs as things grow.

Documents in the collection, the size of one, connections, and workers, one at a time; `POST /data`,
`GET` by id, and the whole collection out. Prints Markdown, and keeps it with all figures as JSON in
`bench-results/`, from which `python -m tests.bench.plots` draws.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import click

from tests.bench import peers, report
from tests.bench.contenders import OURS, TWO_WORKERS, Contender, Running, require_peers
from tests.bench.database import Documents, documents, fastest, fill
from tests.bench.entrants import Entrant, Posted, Read
from tests.bench.listing import read_all
from tests.bench.load import Request, by_wrk, require_wrk
from tests.bench.report import RESULTS, Report, spread, table
from tests.bench.rounds import Plan, Round, get_all, post_all
from tests.bench.sections import chosen
from tests.bench.tables import megabytes
from tests.bench.usage import cpu_seconds

POST, GET, WHOLE = "`POST /data`", "`GET` by id", "`GET /data`, all"
UNITS = {POST: "a second", GET: "a second", WHOLE: "MB/s"}
"""The questions, and of what the rate is."""
DOCUMENTS, SIZE, CONNECTIONS, WORKERS = (
    "documents in the collection",
    "bytes of a document",
    "connections",
    "workers",
)
POINTS = "points"
"""Where the figures are in the JSON."""
_SMALL = len(Request().body)
_NOTE = """\
Medians (least–most) of {rounds} interleaved rounds of {seconds} s; {case}. CPU is of the
contender's own processes, for each answer.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """How large everything is at one point; `what` is what grows, and has come to `x`."""

    what: str
    x: int
    documents: int = 10_000
    padding: int = 0
    connections: int = 16

    def asks(self, question: str) -> bool:
        """Whether the question has anything to do with what grows."""
        return question != WHOLE or self.what in (DOCUMENTS, SIZE)

    def others(self) -> str:
        """What stays as it is."""
        kept = {DOCUMENTS: f"{self.documents:,}", CONNECTIONS: f"{self.connections}"}
        return ", ".join(f"{what}: {size}" for what, size in kept.items() if what != self.what)


CASES = (
    *(Case(DOCUMENTS, each, documents=each) for each in (1_000, 10_000, 100_000)),
    *(
        Case(SIZE, each, documents=1_000, padding=max(each - _SMALL, 0))
        for each in (100, 1_000, 10_000, 64_000)
    ),
    *(Case(CONNECTIONS, each, connections=each) for each in (1, 4, 16, 64, 256)),
    *(Case(WORKERS, each, connections=64) for each in (1, 2)),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One contender's answers to one question at one size, a value for each round."""

    what: str
    x: int
    question: str
    contender: str
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement works with."""

    kept: Documents
    running: dict[str, Running]
    contenders: list[Contender]
    rounds: int
    seconds: int

    def at(self, case: Case) -> list[Contender]:
        """Those that are measured there: of two workers there is nobody but the service."""
        if case.what != WORKERS:
            return self.contenders
        return [OURS if case.x == 1 else TWO_WORKERS]

    def filled(self, case: Case) -> Documents:
        """The collection, with what the case says in it and nothing else."""
        self.kept.drop()
        fill(self.kept, case.documents, padding=case.padding)
        return self.kept


Measure = Callable[[Bench, Case, Contender], tuple[float, float]]
"""The rate, and the microseconds of CPU time for each answer."""


def _post(bench: Bench, case: Case, contender: Contender) -> tuple[float, float]:
    request = Request(padding=case.padding)
    entrant = Posted(contender.name, bench.running[contender.name], by_wrk, request)
    return _loaded(bench, case, entrant, post_all)


def _get(bench: Bench, case: Case, contender: Contender) -> tuple[float, float]:
    request = Request(contender.one or "", ids=case.documents)
    entrant = Read(contender.name, bench.running[contender.name], by_wrk, request)
    return _loaded(bench, case, entrant, get_all)


def _loaded(
    bench: Bench, case: Case, entrant: Entrant, load_all: Callable[..., dict[str, list[Round]]]
) -> tuple[float, float]:
    plan = Plan(case.connections, 1, bench.seconds, is_emptied=False)
    (one,) = load_all([entrant], bench.filled(case), plan)[entrant.name]
    if not one.count.is_right:
        raise RuntimeError(f"{entrant.name}: the count is wrong: {one.count}")
    return one.load.rate, one.cpu_us


def _whole(bench: Bench, case: Case, contender: Contender) -> tuple[float, float]:
    bench.filled(case)
    running = bench.running[contender.name]
    before, until = cpu_seconds(running.pid), time.monotonic() + bench.seconds
    answers = [read_all(running.url)]
    while time.monotonic() < until:  # one read may be less than a tick of CPU time
        answers.append(read_all(running.url))
    cpu = (cpu_seconds(running.pid) - before) * 1e6 / len(answers)
    return statistics.median(map(megabytes, answers)), cpu


MEASURES: dict[str, Measure] = {POST: _post, GET: _get, WHOLE: _whole}


def measured(bench: Bench, cases: list[Case]) -> Iterator[Point]:
    """All points of these cases, in the order of the questions."""
    for question, measure in MEASURES.items():
        for case in cases:
            if not case.asks(question):
                continue
            points = {
                each.name: Point(case.what, case.x, question, each.name.split(",")[0])
                for each in bench.at(case)
            }
            for _ in range(bench.rounds):
                for each in bench.at(case):
                    rate, cpu = measure(bench, case, each)
                    points[each.name].rates.append(rate)
                    points[each.name].cpu_us.append(cpu)
            yield from points.values()


def _section(points: list[Point]) -> str:
    rows = [
        [
            f"{each.question}, {each.contender}",
            f"{each.x:,}",
            f"{spread(each.rates).text(0 if each.question != WHOLE else 1)} {UNITS[each.question]}",
            spread(each.cpu_us).text(),
        ]
        for each in points
    ]
    return table(("", points[0].what, "rate", "CPU µs each"), rows)


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=2, show_default=True, type=click.IntRange(1), help="A round's.")
@click.option("--only", help="What grows, by words of it, by commas; all of it otherwise.")
@click.option("--contenders", default="FastAPI", show_default=True, help="Beside demijohn.")
@click.option("--most", default=256_000, show_default=True, help="Leave larger sizes out.")
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path), help="For both files.")
def main(  # noqa: PLR0913 - one for each option
    *, rounds: int, seconds: int, only: str | None, contenders: str, most: int, out: Path
) -> None:
    """Measure how cost grows."""
    words = only.split(",") if only else [""]
    cases = [each for each in CASES if each.x <= most and any(word in each.what for word in words)]
    against = [each for each in chosen(contenders.split(",")) if each.one and each.lists]
    try:
        require_wrk()
        require_peers(against)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="demijohn-growth-") as directory, ExitStack() as stack:
        title, database = fastest(Path(directory))
        stack.callback(database.stop)
        kept = stack.enter_context(documents(database.start().uri))
        running = {
            each.name: stack.enter_context(each.started(Path(directory) / each.name, database.uri))
            for each in {*against, TWO_WORKERS}
        }
        bench = Bench(kept, running, against, rounds, seconds)
        click.echo(f"Kept in {_report(bench, cases, title).write(out)}")


def _report(bench: Bench, cases: list[Case], title: str) -> Report:
    """Measure what grows, one after the other, and say how it went."""
    facts = report.facts("python -m tests.bench.growth", title)
    made = Report("growth", {**facts, **peers.versions()})
    points: list[Point] = []
    for what, group in groupby(cases, lambda each: each.what):
        some = list(group)
        found = list(measured(bench, some))
        points += found
        note = _NOTE.format(rounds=bench.rounds, seconds=bench.seconds, case=some[0].others())
        made.add(f"Growing: {what}", note, _section(found), found)
    made.keep(POINTS, points)
    return made


if __name__ == "__main__":
    main()
