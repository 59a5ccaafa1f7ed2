"""No lost update: eight processes that change one document, through several workers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from tests.conftest import Starter
from tests.support import faults
from tests.support.api import JSON, Api
from tests.support.chaos import writers
from tests.support.chaos.clients import COLLECTION
from tests.support.chaos.writers import DIGITS, Way
from tests.support.database import Database
from tests.support.service import Service, serving

WRITERS = 8
SMALL = 25
"""Attempts a process."""
SOAK = pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
CONDITIONAL = (Way.PUT, Way.MERGE, Way.TEST)


@pytest.fixture(scope="module")
def several(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with four workers."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "4"}
    with serving(tmp_path_factory.mktemp("several"), settings) as service:
        yield service


def contend(service: Service, way: Way, attempts: int) -> tuple[int, int, int]:
    """Have all write; the successes, the steps that the document has made, and the refusals."""
    api = Api(service.url)
    path = f"{COLLECTION}/{uuid.uuid4()}"
    assert api.ask("PUT", path, json.dumps(writers.first(way)), JSON).status == 201
    answers = writers.run(WRITERS, service.port, path, way, attempts)
    steps = writers.read(way, api.get(path).json())
    api.close()
    print(f"\n{way}: {WRITERS} processes, answers {dict(answers)}, steps {steps}")
    assert set(answers) <= {200, 409, 412, 422}
    successes = answers[200]
    return successes, steps, sum(answers.values()) - successes


@pytest.mark.parametrize("attempts", [SMALL, SOAK])
@pytest.mark.parametrize("way", CONDITIONAL)
def test_every_success_counts(several: Service, way: Way, attempts: int) -> None:
    """With a condition the final value is the number of successes; the others were refused."""
    successes, steps, refusals = contend(several, way, attempts)
    assert steps == successes > 0
    assert refusals > 0, "no two processes ever met"


@pytest.mark.parametrize(
    "attempts",
    [SMALL, pytest.param(2**DIGITS // WRITERS - 1, marks=[*SOAK.marks])],
)
def test_equal_by_value_is_another_version(several: Service, attempts: int) -> None:
    """From 1 to 1.0 is a change: with a stale tag nobody passes, though all values are equal."""
    successes, steps, refusals = contend(several, Way.SPELLING, attempts)
    assert steps == successes > 0
    assert refusals > 0, "no two processes ever met"


def test_careless_writers_lose(several: Service) -> None:
    """The control: the same processes without a condition overwrite each other, and it is seen."""
    successes, steps, refusals = contend(several, Way.CARELESS, SMALL)
    assert refusals == 0
    assert steps < successes


def test_versions_by_value_lose(database: Database, own_service: Starter) -> None:
    """The control: a build whose versions are of values lets stale tags pass, and it is seen."""
    broken = faults.environ(faults.VERSION_BY_VALUE)
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "4", **broken}
    successes, steps, _ = contend(own_service(settings), Way.SPELLING, SMALL)
    assert steps < successes


def test_every_version_has_its_own_bytes() -> None:
    """What the spelling test rests on: each step is another text, and is read back from it."""
    texts = {json.dumps(writers.spelling(step)) for step in range(2**DIGITS)}
    assert len(texts) == 2**DIGITS
    for step in (0, 1, 5, 2**DIGITS - 1):
        assert writers.spelled(json.loads(json.dumps(writers.spelling(step)))) == step
    assert {tuple(writers.spelling(step).values()) for step in range(64)} == {(1,) * DIGITS}
