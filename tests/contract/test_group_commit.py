"""Inserts that ride in one command, on a real server: each is told what became of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import bson
import pytest
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demijohn.errors import (
    DatabaseUnavailable,
    DuplicateKey,
    InvalidDocument,
    OutcomeUnknown,
    Problem,
    TooLarge,
)
from demijohn.formats.bson_values import from_python
from demijohn.store.documents import Store
from demijohn.store.finds import Finds, Unread
from demijohn.store.inserts import Inserts, Item, Problems
from demijohn.store.together import Together
from tests.contract.conftest import Things, lying_in
from tests.support.breaker import Breaker, Moment
from tests.support.database import Database
from tests.support.processes import wait_until
from tests.support.stores import DATABASE, THINGS, reach, store_behind
from tests.support.together import at_once
from tests.support.together_ride import Ride, patiently, ride

MIB = 1024 * 1024
FAR = DatetimeMS(9_000_000_000_000_000)
"""A date that the embedded database has no room for."""
THREADS = 16


@dataclass
class Bench:
    """The inserts of a store, and how many documents each command had."""

    store: Store
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inserts = Inserts(self.store.single, 30, self.sizes.append)

    @property
    def queue(self) -> Together[Item, Problems]:
        """The queue of `things`."""
        return patiently(self.inserts._queues).of(THINGS)

    def ride(self, *items: Sequence[Mapping[str, object]]) -> list[Any]:
        """What becomes of items that are there at the same time."""
        return ride(self.queue, [[bson.encode(each) for each in item] for item in items])


@pytest.fixture
def bench(store: Store) -> Bench:
    """Inserts of one test."""
    return Bench(store)


@pytest.fixture
def behind(breaker: Breaker, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Inserts behind the breaker; the driver sends no write twice unless the test says so."""
    with store_behind(breaker.port, DATABASE, getattr(request, "param", "false")) as store:
        yield Bench(store)


def kinds(problems: object) -> dict[int, type[Problem]]:
    """Which kind of problem the documents of an item have, by their places."""
    assert isinstance(problems, dict), problems
    return {at: type(each) for at, each in problems.items()}


DOCUMENTS = st.tuples(st.integers(0, 9), st.booleans())
ITEMS = st.lists(st.lists(DOCUMENTS, min_size=1, max_size=4), min_size=1, max_size=8)


@given(items=ITEMS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_document_is_tried_by_itself(
    store: Store, things: Things, items: list[list[tuple[int, bool]]]
) -> None:
    """Of an id that comes twice the first is stored; a bad document fails alone; so in any mix."""
    things.delete_many({})
    bench, taken = Bench(store), set[int]()
    expected: list[dict[int, type[Problem]]] = []
    stored: list[bytes] = []
    sent: list[list[Mapping[str, object]]] = []
    for item in items:
        expected.append({})
        sent.append([])
        for at, (number, is_far) in enumerate(item):
            document = {"_id": number, "at": FAR if is_far else None, "of": [len(sent), at]}
            sent[-1].append(document)
            if is_far or number in taken:
                expected[-1][at] = InvalidDocument if is_far else DuplicateKey
            else:
                taken.add(number)
                stored.append(bson.encode(document))

    assert list(map(kinds, bench.ride(*sent))) == expected
    assert lying_in(things) == sorted(stored)
    assert bench.sizes[0] == sum(map(len, items))


@pytest.mark.parametrize("each", [40, pytest.param(2_000, marks=pytest.mark.soak)])
def test_threads_that_insert_at_one_time(bench: Bench, things: Things, each: int) -> None:
    """Each id is acknowledged to one thread alone, whose bytes are stored; others are refused."""

    def insert(number: int) -> list[tuple[int, bytes, Problem | None]]:
        done: list[tuple[int, bytes, Problem | None]] = []
        for at in range(each):
            # Every third id is everyone's, at about the same time; the others are their own.
            id_ = at if at % 3 == 0 else at + 1_000_000 * (number + 1)
            document = bson.encode({"_id": id_, "by": number})
            try:
                bench.inserts.insert(THINGS, document)
            except Problem as problem:
                done.append((id_, document, problem))
            else:
                done.append((id_, document, None))
        return done

    done = [one for thread in at_once(THREADS, insert) for one in thread]
    good = [(id_, document) for id_, document, problem in done if problem is None]
    refused = [(id_, problem) for id_, _, problem in done if problem is not None]
    assert lying_in(things) == sorted(document for _, document in good)
    assert {id_ for id_, _ in good} == {id_ for id_, _, _ in done}
    assert {type(problem) for _, problem in refused} == {DuplicateKey}
    shared = -(-each // 3)
    assert Counter(id_ for id_, _ in refused) == dict.fromkeys(range(0, each, 3), THREADS - 1)
    assert len(good) == THREADS * (each - shared) + shared
    assert sum(bench.sizes) == THREADS * each
    assert max(bench.sizes) > 1


def test_what_is_too_large_fails_alone(bench: Bench, things: Things) -> None:
    """Alone in its request, or among others: all that fit are stored."""
    large = {"_id": "large", "x": b"x" * 17 * MIB}
    outcomes = bench.ride(
        [{"_id": 1}],
        [{"_id": 2}, large, {"_id": 3, "x": b"x" * 2 * MIB}],
        [{"_id": 4}, {"_id": 4}],
        [{"_id": 5}],
    )
    assert list(map(kinds, outcomes)) == [{}, {1: TooLarge}, {1: DuplicateKey}, {}]
    assert list(map(kinds, bench.ride([large], [{"_id": 5}]))) == [{0: TooLarge}, {0: DuplicateKey}]
    assert {bson.decode(each)["_id"] for each in lying_in(things)} == {1, 2, 3, 4, 5}


def test_what_is_taken_back_is_not_stored(bench: Bench, things: Things) -> None:
    """Whoever leaves before his turn has nothing stored; all around him have."""
    going = Ride(bench.queue, [[bson.encode({"_id": number})] for number in range(9)])
    withdrawn = [number for number in range(9) if number % 3 == 1]
    assert all(going.tickets[number].withdraw() for number in withdrawn)
    assert not going.tickets[0].withdraw()
    assert going.go() == [{}] * 6
    assert not going.tickets[2].withdraw()
    expected = [number for number in range(9) if number not in withdrawn]
    assert [bson.decode(each)["_id"] for each in lying_in(things)] == expected


@pytest.mark.parametrize("moment", ["before", "after", "unconfirmed"])
def test_what_befalls_the_command_befalls_all_in_it(
    behind: Bench, breaker: Breaker, things: Things, moment: Moment
) -> None:
    """A connection that breaks, a majority that does not confirm: outcome-unknown, to each."""
    items = [[{"_id": number}] for number in range(6)] + [[{"_id": 6}, {"_id": 7}]]
    breaker.arm("insert", moment)
    outcomes = behind.ride(*items)
    breaker.disarm()
    assert breaker.broken == 1
    assert list(map(kinds, outcomes)) == [{0: OutcomeUnknown}] * 6 + [
        dict.fromkeys((0, 1), OutcomeUnknown)
    ]
    assert len(lying_in(things)) == (0 if moment == "before" else 8)
    reach(behind.store)
    assert behind.ride([{"_id": 8}]) == [{}]


@pytest.mark.parametrize("moment", ["before", "after", "unconfirmed"])
def test_nobody_is_told_by_an_exception_of_anothers(
    behind: Bench, breaker: Breaker, things: Things, moment: Moment
) -> None:
    """What several threads raise at one time is an exception for each: it collects their frames."""
    things.delete_many({})
    breaker.arm("insert", moment)
    outcomes = behind.ride(*([{"_id": number}] for number in range(6)))
    breaker.disarm()
    assert len({id(found[0]) for found in outcomes}) == 6


def test_a_refusal_is_no_doubt(behind: Bench, breaker: Breaker, things: Things) -> None:
    """Where no majority confirms in time, a duplicate is told as one: it was not written."""
    breaker.arm("insert", "unconfirmed")
    outcomes = behind.ride([{"_id": 1}], [{"_id": 1, "again": True}], [{"_id": 2}])
    breaker.disarm()
    assert list(map(kinds, outcomes)) == [
        {0: OutcomeUnknown},
        {0: DuplicateKey},
        {0: OutcomeUnknown},
    ]
    assert lying_in(things) == [bson.encode({"_id": 1}), bson.encode({"_id": 2})]


@pytest.mark.parametrize("behind", ["true"], indirect=True)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_driver_sends_a_command_again(
    behind: Bench, breaker: Breaker, things: Things, moment: Moment
) -> None:
    """As a single insert: one broken connection is nobody's harm, and each is stored once."""
    breaker.arm("insert", moment)
    outcomes = behind.ride(*([{"_id": number}] for number in range(6)))
    assert breaker.broken == 1
    assert outcomes == [{}] * 6
    assert len(lying_in(things)) == 6


def test_what_was_not_sent_was_not_done(database: Database, things: Things) -> None:
    """The database is lost while they wait: database-unavailable, which says so, to each."""
    with ExitStack() as stack:
        with Breaker(database.port) as breaker:
            store = stack.enter_context(store_behind(breaker.port, DATABASE, selection=1.5))
            bench = Bench(store)
            assert bench.ride([{"_id": "there"}]) == [{}]
        wait_until(store.status.is_lost, "the loss is seen")
        outcomes = bench.ride(*([{"_id": number}] for number in range(6)))
    assert list(map(kinds, outcomes)) == [{0: DatabaseUnavailable}] * 6
    assert [bson.decode(each)["_id"] for each in lying_in(things)] == ["there"]


def test_what_an_operator_hears_of_a_command(
    behind: Bench, breaker: Breaker, things: Things, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and one count for each kind of problem, however many rode; a refusal is no line."""
    breaker.arm("insert", "unconfirmed")
    behind.ride(*([{"_id": number % 3}] for number in range(6)))
    breaker.disarm()
    assert len(lying_in(things)) == 3
    said = [line for line in capsys.readouterr().out.splitlines() if "operation failed" in line]
    assert len(said) == 1
    assert "outcome-unknown" in said[0]
    assert "insertMany" in said[0]
    for code in ("outcome-unknown", "duplicate-key"):
        labels = {"operation": "insertMany", "code": code}
        registry = behind.store._metrics.registry
        assert registry.get_sample_value("demijohn_database_errors_total", labels) == 1


def test_an_answer_that_python_has_no_date_for(
    behind: Bench, breaker: Breaker, things: Things
) -> None:
    """A write is acknowledged that is, whatever else the database says of it."""
    breaker.arm("update", "dated")
    is_new = behind.store.single.put(THINGS, bson.encode({"_id": 1}), bson.encode({"n": 1}))
    breaker.disarm()
    assert breaker.broken == 1
    assert is_new in (True, False)
    assert len(lying_in(things)) == 1


def test_reads_that_ride_together(store: Store, things: Things) -> None:
    """Each gets the bytes of the id that it asked for; None is where there is none for certain.

    Of a string it is not: in a collection with a collation another one may be the same.
    """
    ids: list[ObjectId | str] = [str(at) if at % 3 else ObjectId() for at in range(60)]
    stored = {each: bson.encode({"_id": each, "n": at}) for at, each in enumerate(ids) if at % 4}
    assert store.single.insert_many(THINGS, list(stored.values())) == {}
    asked = [ids[at * 7 % 60] for at in range(120)]

    queue = patiently(Finds(store.single, 30)._queues).of(THINGS)
    found = ride(queue, [from_python(each) for each in asked])

    absent = {each: Unread.ALIKE if isinstance(each, str) else None for each in ids}
    assert found == [stored.get(each, absent[each]) for each in asked]
    assert len(lying_in(things)) == len(stored)


def test_reads_that_do_not_fit_into_one_answer(store: Store, things: Things) -> None:
    """What was left out is told apart from what is not there, and can be asked for alone."""
    ids = [ObjectId() for _ in range(21)]
    stored = {each: bson.encode({"_id": each, "x": b"x" * MIB}) for each in ids[:20]}
    for document in stored.values():
        assert store.single.insert_many(THINGS, [document]) == {}
    queue = patiently(Finds(store.single, 30)._queues).of(THINGS)

    found = dict(zip(ids, ride(queue, [from_python(each) for each in ids]), strict=True))

    assert len(lying_in(things)) == 20
    assert all(found[each] in (stored.get(each), Unread.LARGE) for each in ids)
    assert found[ids[20]] is Unread.LARGE
    assert stored[ids[0]] in found.values()
    left_out = [each for each in ids[:20] if found[each] is Unread.LARGE]
    assert left_out
    assert [ride(queue, [from_python(each)]) for each in left_out] == [
        [stored[each]] for each in left_out
    ]
