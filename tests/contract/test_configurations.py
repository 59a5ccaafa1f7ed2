"""How long a process goes by what it knows of collections, on a real server and a clock of ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import pymongo
import pytest
from flask import Flask

from demijohn.auth.caller import ANYONE, Caller, Level
from demijohn.documents.collections import (
    COLLECTION,
    FRESH,
    MOST_KEPT,
    STALE,
    UNCONFIGURED,
    Configuration,
    Configurations,
)
from demijohn.edge.context import CONTEXT, Context
from demijohn.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    InternalError,
    InvalidDocument,
    Problem,
)
from demijohn.formats.bson_values import encode, from_python
from demijohn.schemas.schema import read_schema
from demijohn.settings import Settings
from demijohn.store.documents import Store
from demijohn.telemetry import trace
from demijohn.telemetry.metrics import Metrics
from demijohn.web.openapi.route import publish
from tests.support.database import Database
from tests.support.processes import LONG, wait_until
from tests.support.stores import DATABASE, own_store
from tests.support.together import at_once

STRICT = Configuration(read_schema({"required": ["name"]}))
CONDITIONAL = Configuration(require_if_match=True)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self.now = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of both processes."""
    return Clock()


@pytest.fixture
def stores(own_database: Database) -> Iterator[tuple[Store, Store]]:
    """Two stores on one database, which the test may kill: that of this process, and another's."""
    with own_store(own_database, DATABASE) as here, own_store(own_database, DATABASE) as elsewhere:
        yield here, elsewhere


@pytest.fixture
def here(stores: tuple[Store, Store], clock: Clock) -> Configurations:
    """What this process knows."""
    return Configurations(stores[0], LONG, clock)


@pytest.fixture
def elsewhere(stores: tuple[Store, Store], clock: Clock) -> Configurations:
    """What another one knows."""
    return Configurations(stores[1], LONG, clock)


def fits(configuration: Configuration) -> bool:
    """Whether a document without a name is taken."""
    try:
        configuration.check(encode({"_id": from_python(1)}))
    except InvalidDocument:
        return False
    return True


def test_one_that_configures_goes_by_it_at_once(here: Configurations) -> None:
    """And by none, once it has dropped it."""
    assert here.of("a") == UNCONFIGURED
    here.put("a", STRICT)
    assert not fits(here.of("a"))
    assert here.of("b") == UNCONFIGURED
    here.put("a", CONDITIONAL)
    assert here.of("a") == CONDITIONAL
    here.drop("a")
    assert here.of("a") == UNCONFIGURED


def test_another_follows_within_two_seconds(
    here: Configurations, elsewhere: Configurations, clock: Clock
) -> None:
    """It looks again once what it knows is a second old."""
    assert elsewhere.of("a") == UNCONFIGURED
    here.put("a", STRICT)
    clock.now += FRESH - 0.1
    assert elsewhere.of("a") == UNCONFIGURED
    clock.now += 0.2
    assert not fits(elsewhere.of("a"))
    here.put("a", UNCONFIGURED)
    clock.now += STALE
    assert fits(elsewhere.of("a"))


def test_a_lost_database_is_passed_over_for_two_seconds_and_no_longer(
    here: Configurations, own_database: Database, clock: Clock
) -> None:
    """Then nobody goes by what may have changed since; the description still does."""
    here.put("a", STRICT)
    assert not fits(here.of("a"))
    known = here.versions()
    own_database.kill()
    clock.now += FRESH + 0.5
    assert not fits(here.of("a"))
    clock.now += FRESH
    with pytest.raises(DatabaseUnavailable):
        here.of("a")
    with pytest.raises(DatabaseUnavailable):
        here.of("b")
    assert here.versions() == known
    own_database.start()
    assert not fits(_once_it_is_back(here))


def _once_it_is_back(configurations: Configurations) -> Configuration:
    """That of the collection `a`, as soon as the database says it."""
    found: list[Configuration] = []

    def says() -> bool:
        with suppress(DatabaseUnavailable, DeadlineExceeded):
            found.append(configurations.of("a"))
        return bool(found)

    wait_until(says, "the database is back")
    return found[0]


def test_behind_a_database_that_hangs_nobody_waits_for_the_others(
    elsewhere: Configurations, own_database: Database, clock: Clock
) -> None:
    """Each of many threads is told within its own patience and one look, however many they are."""
    elsewhere.put("a", STRICT)
    settings = Settings(mongodb_uri=own_database.uri, database_timeout=1)
    with closing(Store(own_database.uri, settings, Metrics())) as store:
        _hang(Configurations(store, 1, clock), own_database, clock)


def _hang(here: Configurations, own_database: Database, clock: Clock) -> None:
    assert not fits(_once_it_is_back(here))
    own_database.pause()
    clock.now += STALE
    ended: list[Problem] = []

    def ask(_: int) -> None:
        try:
            here.of("a")
        except Problem as problem:
            ended.append(problem)

    try:
        at_once(12, ask)
    finally:
        own_database.resume()
    assert len(ended) == 12
    assert not fits(_once_it_is_back(here))


def test_one_that_cannot_be_read_stops_no_other(
    here: Configurations, stores: tuple[Store, Store], own_database: Database
) -> None:
    """Nobody writes to a collection whose schema is not understood, and to the others all do."""
    here.put("a", STRICT)
    here.put("b", STRICT)
    assert stores
    with pymongo.MongoClient[dict[str, object]](own_database.uri) as client:
        stored = client["flask_db"][COLLECTION]
        stored.update_one({"_id": "a"}, {"$set": {"schema": b'{"type": 1}'}})
    fresh = Configurations(stores[1], LONG)
    with pytest.raises(InternalError):
        fresh.of("a")
    assert not fits(fresh.of("b"))
    assert fresh.of("c") == UNCONFIGURED


def test_many_threads_and_changes_end_with_the_last_one(here: Configurations, clock: Clock) -> None:
    """Whoever looked before a change does not have the last word after it."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            here.of("a")
            clock.now += 0.3

    with ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        try:
            for at in range(40):
                wanted = (STRICT, CONDITIONAL)[at % 2]
                here.put("a", wanted)
                assert here.of("a").require_if_match == wanted.require_if_match
        finally:
            stop.set()
        for each in asking:
            each.result()


def test_what_is_let_go_is_compiled_anew(here: Configurations) -> None:
    """More than can be kept are gone by in turn, each by its own, and one in use stays as it is."""
    named = [f"c{at}" for at in range(6)]
    for name in named:
        here.put(name, _dear(name))
    first = here.of(named[0])

    def taken_by(configuration: Configuration) -> list[str]:
        return [each for each in named if _takes(configuration, each)]

    def judge(at: int) -> None:
        for name in named[at:] + named[:at]:
            assert taken_by(here.of(name)) == [name]

    # So many that there is room for theirs beside the first and all that are kept, and none waits.
    at_once(3, judge)
    kept = [found for name in named if (found := here.known(name)) is not None]
    assert 0 < len(kept) < len(named)
    assert sum(each.schema.footprint for each in kept if each.schema) <= MOST_KEPT
    assert _takes(first, named[0])
    assert not _takes(first, named[1])


def test_the_description_outlives_the_database(
    here: Configurations, own_database: Database, clock: Clock
) -> None:
    """It says what it said; to whom it said nothing yet it has all but the schemas."""
    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    publish(app, here)
    here.put("a", STRICT)
    here.put("b", CONDITIONAL)
    before = _description(app, ANYONE)
    assert before["components"]["schemas"]["collection.a"] == {"required": ["name"]}
    assert "collection.b" not in before["components"]["schemas"]
    own_database.kill()
    clock.now += STALE
    assert _description(app, ANYONE) == before
    other = Caller("other", {"a": Level.READ})
    assert "collection.a" not in _description(app, other)["components"]["schemas"]


def _description(app: Flask, caller: Caller) -> Any:
    context = Context("GET", "/openapi.json", None, trace.begin(None, None), 0.0, caller)
    with app.test_client() as client:
        answer = client.get("/openapi.json", environ_overrides={CONTEXT: context})
    assert answer.status_code == 200
    return answer.json


def _dear(name: str) -> Configuration:
    """One that takes no documents but those that have this name; and much memory."""
    schema = {"default": [{"": 0}] * 6_000, "properties": {"name": {"const": name}}}
    return Configuration(read_schema(schema))


def _takes(configuration: Configuration, name: str) -> bool:
    return configuration.fits(encode({"name": from_python(name)}))
