"""The benchmark itself: its tables are whole, and a contender that cheats is found out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench import contenders, plots, publish, sections, tables, targets
from tests.bench.contenders import FLOOR, GUIDE, OURS, Contender
from tests.bench.database import documents, fastest, fill
from tests.bench.entrants import Posted, Read
from tests.bench.growth import CASES, MEASURES, Point
from tests.bench.load import Request
from tests.bench.rounds import Plan, Round, all_right, get_all, post_all
from tests.bench.threads import by_threads
from tests.support.database import Database
from tests.support.service import ROOT

Results = dict[str, Any]
PLAN = Plan(connections=8, rounds=1, seconds=1, warm_up=0, is_emptied=False)
HERE = (FLOOR, GUIDE)
"""Those beside the service that need no environment of their own."""

CHEATS = """
import asyncio
import os

from tests.bench.floor import INSERTED, NOT_FOUND, Floor

uri = os.environ["MONGODB_URI"]


class Early(Floor):
    async def _post(self, body):
        asyncio.get_running_loop().create_task(self._late(body))
        return INSERTED

    async def _late(self, body):
        await asyncio.sleep(10)
        await super()._post(body)


class Lossy(Floor):
    def _insert(self, documents):
        super()._insert(documents[: max(len(documents) - 1, 1)])
        return [INSERTED] * len(documents)


class Doubling(Floor):
    def _insert(self, documents):
        super()._insert([dict(each) for each in documents])
        return super()._insert(documents)


class Forgetful(Floor):
    def _find(self, ids):
        return super()._find(ids) if len(ids) == 1 else [NOT_FOUND] * len(ids)


early, lossy, doubling, forgetful = Early(uri), Lossy(uri), Doubling(uri), Forgetful(uri)
"""
"""One acknowledges before it writes, one loses one of several, one keeps each twice, and one finds
nothing where many ask."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the short run wrote, with those contenders that need no more than the tests do."""
    out = tmp_path_factory.mktemp("bench")
    done = _bench("--short", "--contenders", "floor,flask run", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.json")
    assert path.with_suffix(".md").read_text(encoding="utf-8") in done.stdout
    found: Results = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database for what is left behind here: the Python server takes seconds to remove it."""
    _, database = fastest(tmp_path_factory.mktemp("crowded"))
    try:
        yield database.start()
    finally:
        database.kill()


@pytest.fixture
def cheat(tmp_path: Path) -> Callable[[str], Contender]:
    """A contender by its name in CHEATS."""
    (tmp_path / "cheats.py").write_text(CHEATS, encoding="utf-8")
    python = Path(sys.executable)

    def contender(name: str) -> Contender:
        app = ("--app-dir", str(tmp_path), f"cheats:{name}")
        return Contender(name, partial(contenders.under_uvicorn, python, app), one="/data/")

    return contender


def test_the_tables_are_whole(results: Results) -> None:
    """Every part of the short run has its table, and no cell of one is empty."""
    cells = {title: _cells(text) for title, text in results["tables"].items()}

    assert {
        *("`POST /data`, connections: 16", "`GET` by id, connections: 16"),
        *("`GET /data`, the whole collection", sections.PRICE),
        *(tables.SUMMARY, targets.TITLE),
    } == set(cells)
    assert [title for title, rows in cells.items() if not all(map(all, rows))] == []


def test_every_contender_is_in_every_table_that_it_can_be_in(results: Results) -> None:
    """The service comes first and nobody is left out, the bare driver included."""
    names = {title: [row[0] for row in _cells(text)] for title, text in results["tables"].items()}
    three = [OURS.name, *(each.name for each in HERE)]

    assert names["`POST /data`, connections: 16"][:3] == three
    assert len(names["`POST /data`, connections: 16"]) == 5
    assert names["`GET` by id, connections: 16"] == three[:2]
    assert names["`GET /data`, the whole collection"] == [OURS.name, GUIDE.name]
    assert names[tables.SUMMARY] == names["`POST /data`, connections: 16"]
    assert len(names[sections.PRICE]) == 12


def test_every_count_was_right(results: Results) -> None:
    """Each contender was loaded, and all that it acknowledged was in the database at once."""
    rounds = [
        one
        for title in ("`POST /data`, connections: 16", sections.PRICE)
        for turns in results[title].values()
        for one in turns
    ]

    assert len(rounds) == 17
    assert all(one["load"]["answers"] > 0 for one in rounds)
    assert all(one["cpu_us"] > 0 for one in rounds)
    assert all(
        one["load"]["answers"] <= one["count"]["at_once"] <= one["count"]["new"] for one in rounds
    )


def test_what_was_measured_is_held_against_its_target(results: Results) -> None:
    """A target whose peers ran has a ratio and a verdict; the others say that they have none."""
    verdicts = {row[-1] for row in results[targets.TITLE] if row[2] != tables.NONE}
    met = {row[0]: row[-1] for row in results[targets.TITLE]}

    assert len(met) <= len(targets.TARGETS)
    assert verdicts <= {"yes", "no"}
    assert met["`POST`/s, 16 connections: guide, flask run"] in {"yes", "no"}
    assert met["… guide, gunicorn"] == tables.NONE


def test_a_run_is_published(results: Results) -> None:
    """The page takes the tables into their places, and those of the next run into the same."""
    page = publish.PAGE.read_text(encoding="utf-8")

    once = publish.published(page, results["facts"], results["tables"])
    assert all(results["tables"][title] in once for title in publish.REGIONS.values())
    assert results["facts"]["when"] in once
    assert publish.published(once, results["facts"], results["tables"]) == once
    for region in (*publish.REGIONS, "growth"):
        assert once.count(f"<!-- {region} -->") == once.count(f"<!-- end of {region} -->") == 1


def test_a_part_of_a_run_is_not_published(results: Results) -> None:
    """A page never has one run's table beside another's."""
    some = {name: text for name, text in results["tables"].items() if name != targets.TITLE}

    with pytest.raises(ValueError, match=targets.TITLE):
        publish.published(publish.PAGE.read_text(encoding="utf-8"), results["facts"], some)


def test_how_cost_grows_is_drawn(results: Results, tmp_path: Path) -> None:
    """Each thing that grows has its picture, with a curve for each question and contender."""
    points = [
        asdict(Point(case.what, case.x, question, name, [case.x * 1.5], [100.0]))
        for case in CASES
        for question in MEASURES
        for name in ("demijohn", "FastAPI")
    ]

    drawn = plots.draw(points, tmp_path)

    assert set(drawn) == {case.what for case in CASES}
    page = publish.pictured(publish.PAGE.read_text(encoding="utf-8"), results["facts"], drawn)
    for path in drawn.values():
        curves = ET.parse(path).findall("{http://www.w3.org/2000/svg}polyline")
        assert len(curves) == 2 * 2 * len(MEASURES)
        assert f"(performance/{path.name})" in page


@pytest.mark.parametrize(
    ("name", "fault"), [("early", "missing"), ("lossy", "missing"), ("doubling", "unexplained")]
)
def test_control_a_cheat_is_found_out(
    cheat: Callable[[str], Contender], crowded: Database, tmp_path: Path, name: str, fault: str
) -> None:
    """Who acknowledges before he writes, loses, or keeps twice, has a wrong count."""
    rounds = _posted(cheat(name), crowded, tmp_path)

    assert not all_right(rounds)
    assert all(getattr(one.count, fault) > 0 for one in rounds)
    assert "WRONG" in tables.loads({name: rounds})


def test_the_floor_is_found_right(crowded: Database, tmp_path: Path) -> None:
    """What the cheats are made of is right without them: the controls find the cheat."""
    assert all_right(_posted(FLOOR, crowded, tmp_path))


def test_control_documents_that_are_not_given_back(
    cheat: Callable[[str], Contender], crowded: Database, tmp_path: Path
) -> None:
    """Reads that say that there is no such document are no answers that count."""
    with (
        documents(crowded.uri) as kept,
        cheat("forgetful").started(tmp_path, crowded.uri) as running,
    ):
        fill(kept, 100)
        entrant = Read("forgetful", running, by_threads, Request("/data/", ids=100))
        with pytest.raises(RuntimeError, match="does not give"):
            get_all([entrant], kept, PLAN)


def test_without_wrk_the_whole_run_says_where_to_get_it() -> None:
    """Nothing is measured by a client that is slower than what it measures."""
    done = _bench(environ={"PATH": "/nonexistent"})

    assert done.returncode == 1
    assert "apt-get install wrk" in done.stderr


def _bench(
    *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def _cells(markdown: str) -> list[list[str]]:
    """The rows of a table, without its head."""
    rows = [line.strip("| ").split("|") for line in markdown.splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def _posted(contender: Contender, crowded: Database, directory: Path) -> list[Round]:
    """One round, by the client that is there everywhere."""
    with (
        documents(crowded.uri) as kept,
        contender.started(directory, crowded.uri) as running,
    ):
        entrant = Posted(contender.name, running, by_threads)
        return post_all([entrant], kept, PLAN)[contender.name]
