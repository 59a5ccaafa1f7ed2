"""`drill data`: the guide's scenario 2. What is POSTed is what GET shows and the database has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson

from demijohn.drill import access, database
from demijohn.drill.http import Connection, Target
from demijohn.drill.kubectl import Kubectl
from demijohn.drill.outcomes import MARKER, in_words
from demijohn.drill.verdict import Verdict
from demijohn.formats.json_stream import RecordSplitter, SplitError
from demijohn.settings import Settings

_LARGEST = 128 * 1024 * 1024
_SAMPLES: tuple[dict[str, Any], ...] = (
    {"name": "Ada", "born": 1815},
    {"name": "Émilie", "born": 1706, "languages": ["fr", "la", "en"]},
    {"name": "Grace", "rank": None, "retired": True, "ships": {"count": 0, "named": ["Hopper"]}},
    {"whole": 2**63 - 1, "real": 0.1, "text": 'a "quoted"\nline', "empty": {}},
    {"deep": [[{"x": [1, "1", False]}]]},
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done and what came of it, for the table."""

    what: str
    result: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """What the drill gave."""

    steps: list[Step]

    @property
    def verdict(self) -> Verdict:
        """Broken where any step is."""
        wrong = (f"{each.what}: {each.result}" for each in self.steps if not each.holds)
        return Verdict(broken=tuple(wrong))


def samples(run: str) -> list[dict[str, Any]]:
    """The documents of a run."""
    return [{MARKER: run, "number": at, **each} for at, each in enumerate(_SAMPLES)]


@dataclass(frozen=True, slots=True)
class Service:
    """Where the documents go."""

    url: str
    key: str | None = field(default=None, repr=False)


def drill_data(
    kubectl: Kubectl, settings: Settings, service: Service, run: str, *, keeps: bool = False
) -> Compared:
    """POST, GET, and read in the database; raises DrillError where that can't be carried out."""
    documents = samples(run)
    with database.opened(kubectl, settings) as markers:
        markers.check()
        try:
            steps = asyncio.run(_through_service(service, documents, run))
            stored = markers.documents(run)
            steps.append(_compared("the database, read by the drill's own user", documents, stored))
        finally:
            deleted = 0 if keeps else markers.delete(run)
    if not keeps:
        every = deleted == len(documents)
        steps.append(Step("delete them there", f"{deleted} deleted", every))
    return Compared(steps)


async def _through_service(
    service: Service, documents: list[dict[str, Any]], run: str
) -> list[Step]:
    url = service.url
    target = await access.resolved(url, service.key)
    steps = [await _post(target, url, each) for each in documents]
    return [*steps, await _get(target, url, documents, run)]


async def _post(target: Target, url: str, document: dict[str, Any]) -> Step:
    what = f"POST /data, document {document['number']}"
    answer = await access.post(target, url, orjson.dumps(document))
    failure = answer.expecting(HTTPStatus.CREATED)
    return Step(what, failure.value if failure else str(answer.status), failure is None)


async def _get(target: Target, url: str, documents: list[dict[str, Any]], run: str) -> Step:
    """Read the whole collection, keeping this run's documents only."""
    splitter, seen = RecordSplitter(_LARGEST), list[dict[str, Any]]()
    mark = run.encode()

    def sink(body: bytes) -> None:
        seen.extend(_ours(splitter.feed(body), mark))

    what = "GET /data through the service"
    connection = Connection(sink)
    request = target.request("GET", "/data", close=True)
    answer = await connection.open(target) or await connection.exchange(request)
    connection.close()
    access.check_answer(target, url, answer)
    if (failure := answer.expecting(HTTPStatus.OK)) is not None:
        return Step(what, in_words(failure, answer.fault), holds=False)
    try:
        seen.extend(_ours(splitter.finish(), mark))
    except SplitError as error:
        return Step(what, str(error), holds=False)
    return _compared(what, documents, seen)


def _ours(records: Iterator[bytes], mark: bytes) -> Iterator[dict[str, Any]]:
    for record in records:
        if mark in record:
            yield orjson.loads(record)


def _compared(what: str, given: list[dict[str, Any]], found: Iterable[dict[str, Any]]) -> Step:
    """Equal by value, in any order: types count, and so does how often each is there."""
    expected, seen = sorted(map(_canonical, given)), sorted(map(_canonical, found))
    same = sum(1 for each in expected if each in seen)
    result = f"{same} of {len(expected)} equal, {len(seen)} found"
    return Step(what, result, holds=expected == seen)


def _canonical(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, default=str)
