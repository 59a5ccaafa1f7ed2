"""The tutorial, typed as it stands: on a few days of its data, and on all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench.database import fastest
from tests.conftest import Starter
from tests.support.checkout import readers_environ
from tests.support.database import Database
from tests.support.guide_reader import Reader
from tests.support.guide_script import MARKERS, SHELL, commands, read, shape
from tests.support.service import ROOT, Service

TUTORIAL = ROOT / "docs" / "tutorial.md"
PARTS = read(TUTORIAL)
A_FEW_DAYS = "2000"


class _Skimmer(Reader):
    """Takes less of the data than the page: other numbers and names come out, in the same shape."""

    def expected(self, shown: str) -> re.Pattern[str]:
        return shape(shown)


def _follow(kind: type[Reader], directory: Path, service: Service, **environ: str) -> None:
    """Somebody beside an environment that `make run` has made, and a service that runs."""
    place = directory / "demijohn"
    place.mkdir()
    (place / ".venv").symlink_to(ROOT / ".venv")
    # Every process that the reader starts speaks to this service, not to that on port 5000.
    reader = kind(
        place,
        readers_environ(directory) | {"DEMIJOHN_URL": service.url, **environ},
        here={"127.0.0.1:5000": f"127.0.0.1:{service.port}"},
        stand_ins={},
        patience=3600,
    )
    try:
        reader.follow_all(TUTORIAL, PARTS)
    finally:
        reader.leave()


def test_every_block_says_what_it_is() -> None:
    """Every command of the page is run, and there are some of each kind of question."""
    blocks = [part for part in PARTS if part.kind in SHELL]
    typed = [command.text for part in blocks for command in commands(part.body)]

    assert [part.line for part in blocks if not MARKERS.fullmatch(part.marker)] == []
    for word in (
        "import",
        "indexes",
        "aggregate",
        "distinct",
        "changes",
        "schema",
        "export",
        "cmp",
    ):
        assert any(word in text for text in typed), word


@pytest.mark.parametrize(
    ("printed", "fits"),
    [
        ('{"n":2,"name":"Bob"}\n', True),
        ('{"n":2,"other":"Bob"}\n', False),
        ('{"n":2}\n', False),
        ("", False),
    ],
)
def test_a_shape_is_all_but_numbers_and_names(printed: str, *, fits: bool) -> None:
    """On less data the same members have to come out, with values of their own."""
    assert bool(shape('{"n":1,"name":"Ada"}\n').fullmatch(printed)) == fits


@pytest.mark.timeout(900)
def test_the_tutorial_works_on_a_few_days(
    own_database: Database, own_service: Starter, tmp_path: Path
) -> None:
    """Whoever types the commands on the first flights of the year sees what is shown, by shape."""
    service = own_service({"MONGODB_URI": own_database.uri})

    _follow(_Skimmer, tmp_path, service, ROWS=A_FEW_DAYS)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_tutorial_works_as_it_stands(own_service: Starter, tmp_path: Path) -> None:
    """On all of the year every number is the one that is shown."""
    directory = tmp_path / "database"
    directory.mkdir()
    _, database = fastest(directory)
    try:
        database.start()
        _follow(Reader, tmp_path, own_service({"MONGODB_URI": database.uri}))
    finally:
        database.stop()
