"""Live changes, through whatever is killed, restarted or slow: everything once, in order."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest

from tests.conftest import Starter
from tests.support.api import Api
from tests.support.database import Database, Documents
from tests.support.events import Listener, listening
from tests.support.processes import wait_until
from tests.support.raw_http import gauge
from tests.support.service import Service, serving

CHANGES = "/v1/collections/things/changes"
FOLLOWERS = 6
MANY = 1_000
"""Changes of 40 KB: more than a backlog, and all buffers of a connection, have room for."""
HEARTBEAT = {"DEMIJOHN_FEED_HEARTBEAT": "0.3"}


class Follower(threading.Thread):
    """Follows the changes, leaves at random, and comes back with the last id that it has read."""

    def __init__(self, url: Callable[[], str], seed: int, *, forgets: bool = False) -> None:
        """Take where the service is at any time; one that `forgets` comes back without an id."""
        super().__init__(daemon=True)
        self.told: list[Any] = []
        self.returns = 0
        self.is_ready = threading.Event()
        self._url = url
        self._forgets = forgets
        self._chooser = random.Random(seed)
        self._stopped = threading.Event()
        self._last_id: str | None = None

    def run(self) -> None:
        """Until it is stopped."""
        while not self._stopped.is_set():
            try:
                self._follow(Listener(self._url() + CHANGES, self._last_id))
            except OSError:
                time.sleep(0.05)  # nobody is there at this moment
            self.returns += 1

    def stop(self) -> None:
        """Leave for good."""
        self._stopped.set()
        self.join(60)

    def _follow(self, listener: Listener) -> None:
        until = time.monotonic() + self._chooser.uniform(0.05, 2)
        while time.monotonic() < until and not listener.has_ended.is_set():
            if listener.events:
                self.is_ready.set()
            if self._stopped.wait(0.02):
                break
        listener.close()
        self.told += [each.data["id"] for each in listener.changes]
        self._last_id = None if self._forgets else listener.last_id


@pytest.fixture
def things(own_database: Database) -> Iterator[Documents]:
    """What lies in `flask_db.things` of a database of the test's own."""
    with pymongo.MongoClient[dict[str, Any]](own_database.uri) as client:
        yield client["flask_db"]["things"]


def _write(things: Documents, numbers: range) -> None:
    """Insert them one after the other; what a lost database did not acknowledge again."""
    for number in numbers:
        while True:
            try:
                things.insert_one({"_id": number})
            except pymongo.errors.AutoReconnect:
                time.sleep(0.05)
                continue
            except pymongo.errors.DuplicateKeyError:
                pass  # it was stored before the database was lost
            break


class Stage:
    """A service that can be started anew, on a database that can too."""

    def __init__(self, start: Starter, database: Database, workers: int) -> None:
        """Start it."""
        self._start = start
        self._settings = {
            "MONGODB_URI": database.uri,
            "DEMIJOHN_WORKERS": str(workers),
            **HEARTBEAT,
        }
        self.database = database
        self.service = start(self._settings)
        self._url = self.service.url

    def url(self) -> str:
        """Where it is now."""
        return self._url

    def kill_worker(self) -> None:
        """SIGKILL to one of its workers, which is replaced."""
        wait_until(self.service.workers, "there is one")
        psutil.Process(random.choice(self.service.workers())).kill()

    def kill_database(self) -> None:
        """SIGKILL to the database, which is started again."""
        self.database.kill()
        self.database.start()

    def replace_service(self, number: signal.Signals) -> None:
        """End it and start another."""
        if number == signal.SIGKILL:
            self.service.kill()
        else:
            assert self.service.stop(number) == 0
        self.service = self._start(self._settings)
        self._url = self.service.url


HARM: dict[str, Callable[[Stage], object]] = {
    "a worker is killed": Stage.kill_worker,
    "the service is restarted": lambda stage: stage.replace_service(signal.SIGTERM),
    "the service is killed": lambda stage: stage.replace_service(signal.SIGKILL),
    "the database is restarted": lambda stage: stage.database.restart(),
    "the database is killed": Stage.kill_database,
    "nothing happens": lambda _: None,
}


@pytest.mark.parametrize(
    "writes", [1_200, pytest.param(3_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
@pytest.mark.parametrize("harm", HARM)
def test_everything_is_told_once_through(
    own_service: Starter, own_database: Database, things: Documents, harm: str, writes: int
) -> None:
    """Followers who come and go are told each of many changes once, in order."""
    stage = Stage(own_service, own_database, workers=2)
    followers = [Follower(stage.url, seed) for seed in range(FOLLOWERS)]
    for follower in followers:
        follower.start()
    for follower in followers:
        assert follower.is_ready.wait(60)
    for part in range(3):
        first = part * writes // 3
        writer = threading.Thread(target=_write, args=(things, range(first, first + writes // 3)))
        writer.start()
        HARM[harm](stage)
        writer.join()
    last = writes - 1
    wait_until(
        lambda: all(last in each.told[-1:] and each.returns > 1 for each in followers),
        "all have come back, and have the last",
        120,
    )
    for follower in followers:
        follower.stop()
        assert follower.told == list(range(writes))


def test_who_forgets_the_id_misses_some(
    own_service: Starter, own_database: Database, things: Documents
) -> None:
    """The control: without the last id, what happens while one is away is lost."""
    stage = Stage(own_service, own_database, workers=1)
    follower = Follower(stage.url, 1, forgets=True)
    follower.start()
    assert follower.is_ready.wait(60)
    for part in range(5):
        _write(things, range(part * 50, part * 50 + 50))
        stage.kill_worker()
        _write(things, range(1_000 + part, 1_001 + part))
    wait_until(lambda: follower.returns > 5, "it has come and gone")
    follower.stop()
    assert set(follower.told) < {*range(250), *range(1_000, 1_005)}


def test_a_lost_database_does_not_end_a_stream(
    own_service: Starter, own_database: Database, things: Documents
) -> None:
    """While it is gone the stream says that it lives; then it goes on where it was."""
    stage = Stage(own_service, own_database, workers=1)
    with listening(stage.url() + CHANGES) as listener:
        _write(things, range(5))
        listener.wait_for(5)
        own_database.kill()
        wait_until(lambda: stage.service.events("database is lost"), "it is noticed")
        own_database.start()
        _write(things, range(5, 10))
        assert [each.data["id"] for each in listener.wait_for(10)] == list(range(10))
        assert not listener.has_ended.is_set()


def test_a_lost_database_is_a_problem_at_the_start(
    own_service: Starter, own_database: Database
) -> None:
    """Where there is no stream yet, a client is told that it is to come again."""
    stage = Stage(own_service, own_database, workers=1)
    wait_until(lambda: stage.service.events("database reached"), "it is there")
    own_database.kill()
    wait_until(lambda: stage.service.events("database is lost"), "it is noticed")
    assert Api(stage.url()).get(CHANGES).problem() == "database-unavailable"
    own_database.start()
    wait_until(lambda: stage.service.events("database is back"), "it is back")
    with listening(stage.url() + CHANGES):
        pass


def test_who_reads_too_slowly_is_told_and_can_come_back(
    own_service: Starter, own_database: Database, things: Documents
) -> None:
    """A client that stops reading gets `overflow` at last, and then what it has missed."""
    stage = Stage(own_service, own_database, workers=1)
    fill = "x" * 40_000
    with listening(stage.url() + CHANGES) as slow, listening(stage.url() + CHANGES) as other:
        slow.may_read.clear()
        for first in range(0, MANY, 50):
            things.insert_many([{"_id": first + each, "fill": fill} for each in range(50)])
            assert len(other.wait_for(first + 50)) == first + 50
        slow.may_read.set()
        last = slow.wait_for_end()
        told = [each.data["id"] for each in slow.changes]
    assert (last.name, last.data["code"]) == ("overflow", "overloaded")
    with listening(stage.url() + CHANGES, slow.last_id) as again:
        told += [each.data["id"] for each in again.wait_for(MANY - len(told))]
    assert told == list(range(MANY))


def test_a_quiet_stream_says_where_it_is(
    own_service: Starter, own_database: Database, things: Documents
) -> None:
    """Its comments have ids to come back to, whatever has happened elsewhere meanwhile."""
    stage = Stage(own_service, own_database, workers=1)
    with listening(stage.url() + CHANGES) as listener:
        first = listener.last_id
        others = things.database["others"]
        others.insert_many([{"_id": each} for each in range(100)])
        wait_until(lambda: listener.last_id != first, "it says where it is")
        others.drop()
        ids = {first, listener.last_id}
        for _ in range(10):
            time.sleep(0.2)  # each of its comments may have another
            ids.add(listener.last_id)
        _write(things, range(3))
        listener.wait_for(3)
    for last in ids:
        stage.replace_service(signal.SIGTERM)
        with listening(stage.url() + CHANGES, last) as again:
            assert [each.data["id"] for each in again.wait_for(3)] == [0, 1, 2]


def test_streams_are_told_of_the_end(own_service: Starter, own_database: Database) -> None:
    """At SIGTERM each is told to come back to another process, and the exit is clean."""
    stage = Stage(own_service, own_database, workers=1)
    with ExitStack() as stack:
        url = stage.url() + CHANGES
        listeners = [stack.enter_context(listening(url)) for _ in range(20)]
        assert stage.service.stop() == 0
        for listener in listeners:
            last = listener.wait_for_end()
            assert (last.name, last.data["code"]) == ("shutdown", "shutting-down")
    assert not stage.service.events("work cut short")
    assert not stage.service.events("defect")
    assert not stage.service.events("database operation failed")


@pytest.fixture(scope="module")
def small(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with room for few streams."""
    settings = {
        "MONGODB_URI": database.uri,
        "DEMIJOHN_WORKERS": "1",
        "DEMIJOHN_MAX_FEEDS": "20",
        "DEMIJOHN_MAX_CHANGE_STREAMS": "2",
        **HEARTBEAT,
    }
    with serving(tmp_path_factory.mktemp("small"), settings) as service:
        yield service


def test_there_is_room_for_so_many(small: Service) -> None:
    """Past its settings a worker refuses streams, and serves all else; who leaves makes room."""
    api = Api(small.url)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(listening(small.url + CHANGES))
        assert api.get(CHANGES).problem() == "overloaded"
        assert gauge(small.port, "feeds") == 20
        assert gauge(small.port, "change_streams") == 1
        assert api.get("/v1/collections/things/documents?limit=1").status == 200
    wait_until(lambda: gauge(small.port, "feeds") == 0, "all have left")
    with listening(small.url + CHANGES):
        pass


def test_there_is_room_for_so_many_questions(small: Service) -> None:
    """Of different filters there are few; one that nobody reads any more makes room at once."""
    api = Api(small.url)
    wait_until(lambda: gauge(small.port, "feeds") == 0, "nobody is there")
    with listening(f"{small.url}{CHANGES}?a=1"):
        with listening(f"{small.url}{CHANGES}?a=2"):
            assert api.get(f"{CHANGES}?a=3").problem() == "overloaded"
        wait_until(lambda: gauge(small.port, "feeds") == 1, "one has left")
        with listening(f"{small.url}{CHANGES}?a=3"), ExitStack() as stack:
            for each in range(15):
                stack.enter_context(listening(f"{small.url}{CHANGES}?a=3&fields=f{each}"))
            assert api.get(f"{CHANGES}?a=3&fields=other").problem() == "overloaded"


def test_a_hundred_streams_share_one(
    own_service: Starter, own_database: Database, things: Documents
) -> None:
    """All are told, in their own fields, from one change stream; requests go on meanwhile."""
    stage = Stage(own_service, own_database, workers=1)
    api = Api(stage.url())
    with ExitStack() as stack:
        url = stage.url() + CHANGES
        asked = [f"{url}?fields=a", f"{url}?fields=-a", url]
        listeners = [stack.enter_context(listening(asked[each % 3])) for each in range(99)]
        assert gauge(stage.service.port, "change_streams") == 1
        for number in range(20):
            things.insert_one({"_id": number, "a": 1, "b": 2})
            assert api.get("/v1/collections/things/documents").status == 200
        for at, listener in enumerate(listeners):
            rest = [{"a": 1}, {"b": 2}, {"a": 1, "b": 2}][at % 3]
            told = [each.data["document"] for each in listener.wait_for(20)]
            assert told == [{"_id": number, **rest} for number in range(20)]


def test_a_standalone_has_no_changes(standalone: Database, tmp_path: Path) -> None:
    """A database without change streams is told as such, and the rest works."""
    with serving(tmp_path, {"MONGODB_URI": standalone.uri}) as service:
        api = Api(service.url)
        answer = api.get(CHANGES)
        assert (answer.status, answer.problem()) == (501, "needs-replica-set")
        assert api.get("/v1/collections/things/documents").status == 200
