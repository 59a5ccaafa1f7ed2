"""`python -m tests.bench`: the service beside its floor and its peers, on one database server.

Prints Markdown, and keeps it with all figures as JSON in `bench-results/`. Ends with 1 where a
document that was acknowledged is not in the database, or where one is there twice.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from tests.bench import peers, report, tables, targets
from tests.bench.contenders import Contender, require_peers
from tests.bench.database import documents, fastest
from tests.bench.entrants import Generator
from tests.bench.load import by_wrk, require_wrk
from tests.bench.report import RESULTS, Report
from tests.bench.sections import PARTS, SHORT, Size, Stage, chosen
from tests.bench.threads import by_threads

_TARGETS_NOTE = (
    "Medians (least–most) of the rounds' ratios; the median decides. – was not measured.\n"
)
_COMMAND = "python -m tests.bench"


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=4, show_default=True, type=click.IntRange(1), help="A round's.")
@click.option("--only", help=f"Parts, by commas: {', '.join(PARTS)}.")
@click.option("--contenders", default="", help="Words of names, by commas: demijohn and these.")
@click.option("--short", is_flag=True, help="At most 25 s of load: checks the harness alone.")
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path), help="For both files.")
def main(  # noqa: PLR0913 - one for each option
    *, rounds: int, seconds: int, only: str | None, contenders: str, short: bool, out: Path
) -> None:
    """Measure the service beside its floor and its peers."""
    parts, against = _parts(only, is_short=short), chosen(_words(contenders))
    if unknown := set(parts) - set(PARTS):
        raise click.ClickException(f"no part {', '.join(unknown)}: {', '.join(PARTS)}")
    size = SHORT if short else Size(rounds, seconds)
    try:
        generator = _generator(is_short=short)
        require_peers(against)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="demijohn-bench-") as directory:
        stage = _measure(Path(directory), size, parts, against, generator)
    click.echo(f"Kept in {stage.out.write(out)}")
    sys.exit(0 if stage.results.are_right() else 1)


def _parts(only: str | None, *, is_short: bool) -> list[str]:
    if only is not None:
        return _words(only)
    # What is left out takes longest, and does nothing that the others do not.
    return [each for each in PARTS if each != "scale" or not is_short]


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _generator(*, is_short: bool) -> Generator:
    """wrk; without it, only what checks the harness alone can run."""
    if is_short and shutil.which("wrk") is None:
        return by_threads
    require_wrk()
    return by_wrk


def _measure(
    directory: Path,
    size: Size,
    parts: Sequence[str],
    against: Sequence[Contender],
    generator: Generator,
) -> Stage:
    title, database = fastest(directory)
    facts = {**report.facts(_COMMAND, title), "load by": generator.__name__, **peers.versions()}
    out = Report("bench", facts)
    try:
        uri = database.start().uri
        with documents(uri) as kept, ExitStack() as stack:
            stage = Stage(size, directory, uri, kept, against, generator, stack, out)
            for part in parts:
                PARTS[part](stage)
    finally:
        database.stop()
    _conclude(stage)
    return stage


def _conclude(stage: Stage) -> None:
    """What all parts together say."""
    results = stage.results
    if results.post or results.get or results.listing:
        stage.out.add(tables.SUMMARY, "Medians.\n", tables.summary(results), [])
    found = targets.rows(results)
    stage.out.add(targets.TITLE, _TARGETS_NOTE, targets.verdicts(results), found)


if __name__ == "__main__":
    main()
