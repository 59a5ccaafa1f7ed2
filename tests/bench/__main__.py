"""`python -m tests.bench`: the service beside the guide's own code, on one database server.

Prints Markdown, and keeps it with all figures as JSON in `bench-results/`. Ends with 1 where a
document that was acknowledged is not in the database, or where one is there twice.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from tests.bench import listing, report
from tests.bench.contenders import CONTENDERS, require_peers
from tests.bench.database import Documents, documents, fastest
from tests.bench.load import require_wrk
from tests.bench.report import Report
from tests.bench.rounds import WARM_UP, Plan, all_right, load_all

_LOAD_NOTE = """\
Medians (least–most) of {rounds} interleaved rounds of {seconds} s, each after {warm_up} s of
warm-up on an empty collection; one worker process a contender. CPU is user and system time of the
contender's own processes, not of the database, by the answers given. New documents may exceed the
acknowledged ones by what was in flight when wrk stopped: {connections} a round.
"""
_LISTING_NOTE = """\
Medians (least–most) of {rounds} interleaved reads. Peak growth is what the first read after the
start took above rest, over all processes of the contender.
"""


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(1), help="A round's.")
@click.option("--connections", default=16, show_default=True, type=click.IntRange(1))
def main(rounds: int, seconds: int, connections: int) -> None:
    """Measure the service beside the guide's own code."""
    try:
        require_wrk()
        require_peers()
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    plans = [Plan(each, rounds, seconds) for each in (connections, 1)]
    with tempfile.TemporaryDirectory(prefix="demijohn-bench-") as directory:
        sys.exit(_measure(Path(directory), plans))


def _measure(directory: Path, plans: list[Plan]) -> int:
    title, database = fastest(directory)
    out = Report("bench", report.facts("python -m tests.bench", title))
    try:
        with documents(database.start().uri) as kept:
            right = _load(out, directory, database.uri, kept, plans)
            _list(out, directory, database.uri, kept, plans[0].rounds)
    finally:
        database.stop()
    click.echo(f"Kept in {out.write()}")
    return 0 if right else 1


def _load(out: Report, directory: Path, uri: str, kept: Documents, plans: list[Plan]) -> bool:
    """Whether every count was right."""
    right = True
    with ExitStack() as stack:
        running = [
            stack.enter_context(each.started(directory / f"load-{number}", uri))
            for number, each in enumerate(CONTENDERS)
        ]
        for plan in plans:
            found = load_all(running, kept, plan)
            note = _LOAD_NOTE.format(
                rounds=plan.rounds,
                seconds=plan.seconds,
                warm_up=WARM_UP,
                connections=plan.connections,
            )
            title = f"`POST /data`, connections: {plan.connections}"
            out.add(title, note, report.loads(found), found)
            right = right and all(all_right(each) for each in found.values())
    return right


def _list(out: Report, directory: Path, uri: str, kept: Documents, rounds: int) -> None:
    found = listing.list_all(CONTENDERS, directory, uri, kept, rounds)
    title = f"`GET /data`, small documents: {listing.SIZE:,}"
    out.add(title, _LISTING_NOTE.format(rounds=rounds), report.listings(found), found)


if __name__ == "__main__":
    main()
