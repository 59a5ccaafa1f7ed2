"""Exactly once: retries under one key have one effect, whatever is killed in between.

What is sent, killed and demanded is told in `tests.support.chaos`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.api import Answer, Api
from tests.support.chaos.checker import Report
from tests.support.chaos.clients import COLLECTION, spelled
from tests.support.chaos.driver import Size, run
from tests.support.chaos.history import Effect, Request
from tests.support.chaos.stage import Embedded, Separate, Stage
from tests.support.database import Database
from tests.support.service import Service, serving

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(2**32))
"""Of what is sent and killed. The instants are the scheduler's own."""
KILLS = ("worker", "database", "service", "worker", "database", "both")
SMALL = Size(kills=KILLS * 2)
SOAK = Size(kills=KILLS * 60, pause=1.0)
CONTROL = Size(
    kills=("worker", "service", "database"),
    unkeyed=0,
    weights={Effect.INSERT: 1},
)
"""Nothing is deleted or replaced, so that each fault that happens shows."""
Opened = Callable[[Stage], Stage]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Starts the stage that it is given, and closes it when the test ends."""
    stages: list[Stage] = []

    def keep(stage: Stage) -> Stage:
        stages.append(stage)
        stage.start()
        return stage

    yield keep
    for stage in stages:
        stage.close()


def played(stage: Stage, size: Size) -> Report:
    """A run's report, printed."""
    report = run(stage, size, SEED)
    print(f"\nseed {SEED}\n{report.table()}")
    for kind, findings in report.faults().items():
        print(f"{kind}:", *findings[:5], sep="\n  ")
    return report


def check_kept(report: Report, size: Size) -> None:
    """Every promise was kept, and it was not for want of trying to break it."""
    assert report.faults() == {}
    assert len(report.blows) == len(size.kills)
    assert sum(report.in_flight) > 0
    assert report.retries > 0
    assert report.replays > 0


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALL, id="small"),
        pytest.param(SOAK, id="soak", marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
def test_killed_anywhere(tmp_path: Path, opened: Opened, size: Size) -> None:
    """Each key's effect happens once, or, unacknowledged, not at all; what was denied never did."""
    report = played(opened(Separate(tmp_path, {}, SEED)), size)
    check_kept(report, size)
    assert report.codes["database-unavailable"] + report.codes["outcome-unknown"] > 0


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(kills=("worker", "database") * 2), id="small"),
        pytest.param(
            Size(kills=("worker", "database") * 30, pause=1.0),
            id="soak",
            marks=[pytest.mark.soak, pytest.mark.timeout(7200)],
        ),
    ],
)
def test_embedded_killed_anywhere(tmp_path: Path, opened: Opened, size: Size) -> None:
    """It is so with the embedded database too, which comes back by itself."""
    check_kept(played(opened(Embedded(tmp_path, SEED)), size), size)


@pytest.mark.parametrize(
    ("fault", "finding"),
    [(faults.RECORD_AFTER_EFFECT, "doubled"), (faults.RECORD_BEFORE_EFFECT, "lost")],
)
def test_two_steps_are_found(tmp_path: Path, opened: Opened, fault: str, finding: str) -> None:
    """The control: record and effect one after the other, in either order, do not pass."""
    stage = opened(Separate(tmp_path, faults.environ(fault), SEED))
    report = played(stage, CONTROL)
    assert report.faults()[finding]


@pytest.fixture(scope="module")
def unharmed(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers that nobody kills."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "2"}
    with serving(tmp_path_factory.mktemp("unharmed"), settings) as service:
        yield service


def send(api: Api, request: Request) -> Answer:
    """The request's answer."""
    wire = spelled(request)
    return api.ask(wire.method, wire.path, wire.body, wire.headers)


def test_deletion_by_another_is_not_undone(unharmed: Service) -> None:
    """An insert that is sent again after another client's DELETE gets its answer, and no more."""
    with closing(Api(unharmed.url)) as inserter, closing(Api(unharmed.url)) as other:
        insert = Request("not-undone", Effect.INSERT)
        first = send(inserter, insert)
        url = first.headers["Location"]
        assert first.status == 201
        assert send(other, Request("another's", Effect.DELETE, url, keyed=False)).status == 204
        again = send(inserter, insert)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert (again.status, again.body) == (201, first.body)
        assert again.headers["Location"] == url
        assert other.get(url).status == 404
        assert url.startswith(COLLECTION)


@pytest.mark.parametrize("effect", [Effect.DELETE, Effect.PUT, Effect.PUSH, Effect.APPEND])
def test_another_change_is_not_undone(unharmed: Service, effect: Effect) -> None:
    """A change that is sent again after another client has replaced the document does nothing."""
    url = f"{COLLECTION}/not-undone-{effect}"
    change = Request(f"first-{effect}", effect, url)
    with closing(Api(unharmed.url)) as api:
        assert send(api, Request("made", Effect.PUT, url, keyed=False)).status == 201
        first = send(api, change)
        assert first.status in (200, 204)
        send(api, Request("replaced", Effect.PUT, url, keyed=False))
        again = send(api, change)
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert api.get(url).json()["log"] == ["replaced"]
