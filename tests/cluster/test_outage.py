"""No database, and more load than there is room for: errors that say so, and nothing worse."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

import pytest

from tests.support.api import Api
from tests.support.cluster import APP, DATABASE, Cluster
from tests.support.flood import capacity, flood
from tests.support.processes import wait_until

MINUTE = 60.0
CLIENTS = 6


class _Watch:
    """Whether any pod of the service was seen unready; looked at all the time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.fewest = len(cluster.ready(APP))
        self.restarts = cluster.restarts(APP)

    def look(self) -> None:
        self.fewest = min(self.fewest, len(self._cluster.ready(APP)))


@contextmanager
def _beside(*work: threading.Thread, over: threading.Event) -> Iterator[None]:
    for each in work:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in work:
            each.join()


def _repeat(action: object, over: threading.Event, pause: float) -> threading.Thread:
    assert callable(action)

    def run() -> None:
        while not over.is_set():
            action()
            over.wait(pause)

    return threading.Thread(target=run)


@dataclass(frozen=True)
class _Asked:
    """One request: when it began and ended, and how."""

    began: float
    ended: float
    how: str


def _client(url: str, number: int, seen: list[_Asked], over: threading.Event) -> threading.Thread:
    """One client: reads or writes, keeps its connection or makes one a request, never retries."""
    headers = {"Connection": "close"} if number % 2 else {}
    api = Api(url)

    def how() -> str:
        try:
            answer = api.insert({"n": 1}) if number % 3 else api.get("/data")
            if headers:
                api.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and named
            return repr(error)
        # `problem` holds a 503 to its Retry-After.
        return "good" if answer.status < 300 else f"{answer.status} {answer.problem()}"

    def ask() -> None:
        began = time.monotonic()
        ending = how()
        seen.append(_Asked(began, time.monotonic(), ending))

    return _repeat(ask, over, 0.1)


def _counted(seen: list[_Asked], since: float = 0, until: float = inf) -> Counter[str]:
    """How those went that began and ended in this time."""
    return Counter(each.how for each in seen if since <= each.began and each.ended <= until)


def test_a_minute_without_the_database(service: Cluster) -> None:
    """Each request gets a 503 with Retry-After, none is refused, no pod restarts or is unready."""
    over = threading.Event()
    seen: list[_Asked] = []
    watch = _Watch(service)
    clients = [_client(service.url, number, seen, over) for number in range(CLIENTS)]

    with _beside(*clients, _repeat(watch.look, over, 0.2), over=over):
        wait_until(lambda: _counted(seen)["good"] > CLIENTS, "it answers")
        service.run("scale", "statefulset/mongodb", "--replicas=0")
        wait_until(lambda: not service.pods(DATABASE), "the database is gone")
        gone = time.monotonic()
        time.sleep(MINUTE)
        back = time.monotonic()
        service.run("scale", "statefulset/mongodb", "--replicas=1")
        service.settle()
        settled = time.monotonic()
        time.sleep(5)
        wait_until(lambda: _counted(seen, settled)["good"], "it answers again, without a restart")

    during, all_ = _counted(seen, gone, back), _counted(seen)
    print(f"while it was gone {dict(during)}, in all {dict(all_)}")
    assert set(during) == {"503 database-unavailable"}
    assert during.total() > CLIENTS * 10
    assert {each.split()[0] for each in all_} == {"good", "503"}
    assert (watch.fewest, service.restarts(APP)) == (2, watch.restarts)


@pytest.mark.timeout(600)
def test_twice_the_capacity(service: Cluster) -> None:
    """Under twice what two pods can do, for a minute: some are refused, no pod is unready."""
    over = threading.Event()
    watch = _Watch(service)
    can = asyncio.run(capacity(service.url, clients=64, seconds=10))

    with _beside(_repeat(watch.look, over, 0.5), over=over):
        ended = asyncio.run(flood(service.url, rate=2 * can, seconds=MINUTE))

    print(f"capacity {can:.0f}/s, offered {2 * can:.0f}/s for a minute: {dict(ended)}")
    offered = 2 * can * MINUTE
    assert ended.total() - ended["not sent"] > offered * 0.9, "that was not twice the capacity"
    assert ended["200"] > can * MINUTE / 4
    assert ended["503"] > 0, "nothing was shed"
    assert ended["200"] + ended["503"] > (ended.total() - ended["not sent"]) * 0.95
    assert (watch.fewest, service.restarts(APP)) == (2, watch.restarts)
    wait_until(lambda: Api(service.url).insert({"n": 1}).status == 201, "it serves on")
