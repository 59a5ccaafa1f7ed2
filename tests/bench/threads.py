"""Load without wrk, for where it is not installed: so many threads with a connection each.

It checks the harness and its counts. It is slower than a fast service, so its rates say little.
"""

from __future__ import annotations

import http.client
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.bench.load import Load, Request, percentile

LEAST = 5
"""What each asks, though its time be over: this process may have stood still through it."""


@dataclass(slots=True)
class Seen:
    """What one thread saw: the seconds of each answer, and what went wrong."""

    times: list[float] = field(default_factory=list)
    refused: int = 0
    broken: int = 0


def by_threads(url: str, request: Request, connections: int, seconds: int) -> Load:
    """Load the service at `url`. Raises RuntimeError where nothing was answered."""
    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        each = [pool.submit(_ask, url, request, began + seconds) for _ in range(connections)]
        seen = [future.result() for future in each]
    took = time.perf_counter() - began
    times = sorted(taken for one in seen for taken in one.times)
    if not times:
        raise RuntimeError(f"{url} answers nothing")
    return Load(
        connections=connections,
        seconds=took,
        answers=len(times),
        refused=sum(one.refused for one in seen),
        connect_errors=0,
        broken=sum(one.broken for one in seen),
        p50_ms=percentile(times, 50) * 1e3,
        p99_ms=percentile(times, 99) * 1e3,
    )


def _ask(url: str, request: Request, until: float) -> Seen:
    """Ask on one connection until that time, and `LEAST` requests in any case."""
    seen = Seen()
    asked = 0
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        while (began := time.perf_counter()) < until or asked < LEAST:
            asked += 1
            try:
                status = _status(connection, request)
            except (OSError, http.client.HTTPException):
                seen.broken += 1
                connection.close()
                continue
            seen.times.append(time.perf_counter() - began)
            seen.refused += status >= 400
    return seen


def _status(connection: http.client.HTTPConnection, request: Request) -> int:
    if request.ids:
        connection.request("GET", f"{request.path}{random.randrange(request.ids):024x}")
    else:
        headers = request.headers
        if request.is_keyed:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        connection.request(request.method, request.place(), request.body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
