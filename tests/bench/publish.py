"""`python -m tests.bench.publish RESULTS.json…`: puts runs' figures into `docs/performance.md`.

Takes what `python -m tests.bench` and `python -m tests.bench.growth` wrote, and draws the latter's
plots. Whatever stands on the page between the markers is replaced: no figure is typed by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import click

from tests.bench.growth import POINTS
from tests.bench.plots import DIRECTORY, draw
from tests.bench.sections import PRICE
from tests.bench.tables import SUMMARY
from tests.bench.targets import TITLE
from tests.support.service import ROOT

PAGE = ROOT / "docs" / "performance.md"
REGIONS = {"table": SUMMARY, "targets": TITLE, "price": PRICE}
"""The page's regions, and the section of the results that each shows."""
_FACTS = ("when", "machine", "database", "python")


def published(page: str, facts: Mapping[str, str], tables: Mapping[str, str]) -> str:
    """The page with the tables in their places.

    Raises ValueError where the page has no such place, or the results no such table.
    """
    for region, title in REGIONS.items():
        if title not in tables:
            raise ValueError(f"the results have no table {title!r}: it was not measured")
        said = f"{tables[title]}\n{_measured(facts)}\n" if region == "table" else tables[title]
        page = _replaced(page, region, said)
    return page


def pictured(page: str, facts: Mapping[str, str], drawn: Mapping[str, Path]) -> str:
    """The page with the plots in their place."""
    images = [f"![Growing: {what}](performance/{path.name})\n" for what, path in drawn.items()]
    return _replaced(page, "growth", "\n".join([*images, f"{_measured(facts)}\n"]))


def _measured(facts: Mapping[str, str]) -> str:
    """One line that says where the figures are from."""
    peers = [text for fact, text in facts.items() if fact.startswith("environment ")]
    versions = sorted({each for text in peers for each in text.split(", ")})
    known = "; ".join(facts[each] for each in _FACTS)
    return f"Measured: {known}. {', '.join(versions)}."


def _replaced(page: str, region: str, text: str) -> str:
    pattern = rf"(<!-- {region} -->\n).*?(<!-- end of {region} -->)"
    page, count = re.subn(
        pattern, lambda found: f"{found[1]}{text}{found[2]}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"the page has {count} regions {region!r}, not one")
    return page


@click.command()
@click.argument(
    "results", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def main(results: tuple[Path, ...]) -> None:
    """Put runs' figures into the documentation."""
    page = PAGE.read_text(encoding="utf-8")
    for each in results:
        known = json.loads(each.read_text(encoding="utf-8"))
        try:
            if POINTS in known:
                page = pictured(page, known["facts"], draw(known[POINTS], DIRECTORY))
            else:
                page = published(page, known["facts"], known["tables"])
        except ValueError as error:
            raise click.ClickException(f"{each}: {error}") from None
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
