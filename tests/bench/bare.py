"""The ceiling: PyMongo alone, without HTTP: `python -m tests.bench.bare URI THREADS BATCH SECONDS`.

Each thread inserts small documents for so long, by `insert_one`, or by `insert_many` of BATCH
where that is more than 1. Prints one line of JSON in the form of wrk's script, and the CPU time.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.bench.database import Documents, documents
from tests.bench.load import percentile, small

COLLECTION = "bare"
"""Its own, since it may become so large that counting it takes long."""


def main(uri: str, threads: int, batch: int, seconds: float) -> None:
    """Insert, and say how it went. The CPU time is of all threads, without the start."""
    with documents(uri, COLLECTION) as kept, ThreadPoolExecutor(threads) as pool:
        insert = _one(kept) if batch == 1 else _many(kept, batch)
        cpu, began = time.process_time(), time.perf_counter()
        each = [pool.submit(_timed, insert, began + seconds) for _ in range(threads)]
        times = sorted(taken for future in each for taken in future.result())
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    said = {
        "microseconds": int(took * 1e6),
        "answers": len(times) * batch,
        "refused": 0,
        "connect_errors": 0,
        "broken": 0,
        "p50_us": percentile(times, 50) * 1e6,
        "p99_us": percentile(times, 99) * 1e6,
        "cpu_seconds": cpu,
    }
    print(json.dumps(said))


def _one(kept: Documents) -> Callable[[], object]:
    return lambda: kept.insert_one(small())


def _many(kept: Documents, batch: int) -> Callable[[], object]:
    return lambda: kept.insert_many([small() for _ in range(batch)], ordered=False)


def _timed(insert: Callable[[], object], until: float) -> list[float]:
    """Insert until that time, and once in any case; the seconds that each took."""
    times: list[float] = []
    while (began := time.perf_counter()) < until or not times:
        insert()
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
