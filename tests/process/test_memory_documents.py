"""Memory promises of single documents: the worst Extended JSON, and large documents at once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pymongo
import pytest

from tests.bench.usage import peak, reset_peak, resident
from tests.conftest import Starter
from tests.support.database import Database
from tests.support.raw_http import connect, head, read_answer
from tests.support.service import Service

MIB = 1024 * 1024
CEILING = 512 * MIB
"""What the guide's manifest gives a container."""
DOCUMENTS = "/v1/collections/large/documents"
EXTENDED = "Content-Type: application/ejson"
PATCH = "Content-Type: application/json-patch+json"
CANONICAL = "Accept: application/ejson; mode=canonical"
ELEMENTS = 1_000_000
"""12 MiB of BSON, and a million values once it is opened."""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc"),
    pytest.mark.timeout(600),
]


def _on(database: Database) -> dict[str, str]:
    # None is given up for being late: one of each kind has to come to its end.
    patient = {"DEMIJOHN_QUEUE_TIMEOUT": "300", "DEMIJOHN_DATABASE_TIMEOUT": "60"}
    return {"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "memory", **patient}


def _ask(service: Service, method: str, path: str, body: bytes, *headers: str) -> int:
    with connect(service.port, 300) as connection:
        length = f"Content-Length: {len(body)}"
        connection.sendall(head(method, path, length, *headers) + body)
        return read_answer(connection).status


def _peak_of(service: Service, requests: Sequence[Callable[[], int]]) -> tuple[Counter[int], int]:
    """The statuses of requests that are all sent at once, and the worker's peak in bytes."""
    (worker,) = service.workers()
    rest = resident(worker)
    reset_peak(worker)
    with ThreadPoolExecutor(len(requests)) as pool:
        statuses = Counter(pool.map(lambda request: request(), requests))
    print(f"{dict(statuses)}, {rest / MIB:.0f} MiB at rest, at most {peak(worker) / MIB:.0f} MiB")
    assert service.workers() == [worker]
    return statuses, peak(worker)


@pytest.mark.parametrize("connections", [4, pytest.param(32, marks=pytest.mark.soak)])
def test_the_worst_extended_bodies_at_once(
    database: Database, own_service: Starter, connections: int
) -> None:
    """Extended JSON, which takes 120 times its size once parsed, from many clients at once."""
    service = own_service(_on(database))
    units = [b"1", b"[]", b'{"":1}']
    bodies = [b'{"a":[' + b",".join([each] * (2 * MIB // (len(each) + 1) - 20)) for each in units]
    requests = [
        partial(_ask, service, "POST", DOCUMENTS, bodies[number % 3] + b"]}", EXTENDED)
        for number in range(connections)
    ]
    statuses, most = _peak_of(service, requests)
    assert set(statuses) <= {201, 422, 503}
    assert statuses[201]
    assert most <= CEILING


@pytest.mark.parametrize("clients", [2, pytest.param(16, marks=pytest.mark.soak)])
def test_large_documents_at_once(database: Database, own_service: Starter, clients: int) -> None:
    """Reading and patching one of the largest documents, by many clients at once."""
    service = own_service(_on(database))
    with pymongo.MongoClient[dict[str, Any]](database.uri) as client:
        for number in range(clients):
            large = {"_id": f"d{number}", "a": [1] * ELEMENTS}
            client["memory"]["large"].replace_one({"_id": large["_id"]}, large, upsert=True)
    patch = b'[{"op":"replace","path":"/a/1","value":2}]'
    minimal = "Prefer: return=minimal"
    requests: list[Callable[[], int]] = []
    for number in range(clients):
        path = f"{DOCUMENTS}/d{number}"
        requests += [
            partial(_ask, service, "GET", path, b"", CANONICAL),
            partial(_ask, service, "PATCH", path, patch, PATCH, minimal),
        ]
    statuses, most = _peak_of(service, requests)
    assert set(statuses) <= {200, 204, 503, 504}
    assert statuses[200]
    assert statuses[204]
    assert most <= CEILING
