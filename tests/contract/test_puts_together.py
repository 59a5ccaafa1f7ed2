"""Documents put at the same time ride in one command: each is told what became of its own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
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
from demijohn.query.rows import read_rows
from demijohn.store.commands import Put
from demijohn.store.documents import Store
from demijohn.store.puts import AVOIDED, Puts
from demijohn.store.puts import LONG as TOO_LONG
from tests.contract.conftest import Things, lying_in
from tests.support.breaker import Breaker, Moment
from tests.support.database import Database
from tests.support.processes import LONG, wait_until
from tests.support.stores import DATABASE, THINGS, locked, reach, store_behind
from tests.support.together import at_once
from tests.support.together_ride import patiently, ride

MIB = 1024 * 1024
FAR = DatetimeMS(9_000_000_000_000_000)
"""A date that the embedded database has no room for."""
THREADS = 16


@pytest.fixture
def behind(breaker: Breaker, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store behind the breaker; the driver sends no write twice unless the test says so."""
    with store_behind(breaker.port, DATABASE, getattr(request, "param", "false")) as store:
        yield store


@pytest.fixture
def unique(things: Things) -> Iterator[Things]:
    """The collection, where no two documents have the same `u`."""
    things.create_index("u", unique=True, sparse=True, name="once")
    yield things
    things.drop_index("once")


def put(id_: object, **fields: object) -> Put:
    """A document on its way to this id."""
    return bson.encode({"_id": id_}), bson.encode(fields)


def together(store: Store, *puts: Put) -> list[Any]:
    """What becomes of documents that are put at the same time: a kind of problem, or is it new."""
    outcomes = ride(patiently(Puts(store.single, 30)._queues).of(THINGS), puts)
    return [type(each) if isinstance(each, Problem) else each for each in outcomes]


ASKED = st.tuples(st.integers(0, 5), st.none() | st.integers(0, 3), st.sampled_from([0, 0, 0, 1]))


@given(asked=st.lists(ASKED, min_size=1, max_size=12))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_is_tried_by_itself(
    store: Store, unique: Things, asked: list[tuple[int, int | None, int]]
) -> None:
    """In their order, in any mix: new ones, others in place of old ones, refused ones."""
    unique.delete_many({})
    expected: list[object] = []
    lying: dict[int, bytes] = {}
    owners: dict[int, int] = {}
    puts = []
    for at, (number, mark, is_far) in enumerate(asked):
        fields: dict[str, object] = {"at": at, **({} if mark is None else {"u": mark})}
        puts.append(put(number, **fields, **({"far": FAR} if is_far else {})))
        if is_far:
            expected.append(InvalidDocument)
        elif mark is not None and owners.get(mark, number) != number:
            expected.append(DuplicateKey)
        else:
            expected.append(number not in lying)
            lying[number] = bson.encode({"_id": number, **fields})
            owners = {each: of for each, of in owners.items() if of != number}
            owners |= {} if mark is None else {mark: number}

    assert together(store, *puts) == expected
    assert lying_in(unique) == sorted(lying.values())


def test_threads_that_put_at_one_time(store: Store, things: Things) -> None:
    """To each id one is first, however many there are; what lies there was put by one of them."""
    each = 30
    puts = Puts(store.single, 30)

    def run(number: int) -> list[tuple[int, bool]]:
        done = []
        for at in range(each):
            id_ = at if at % 3 == 0 else at + 1_000_000 * (number + 1)
            done.append((id_, puts.put(THINGS, put(id_, by=number))))
        return done

    done = [one for thread in at_once(THREADS, run) for one in thread]

    firsts = Counter(id_ for id_, is_new in done if is_new)
    assert firsts == dict.fromkeys({id_ for id_, _ in done}, 1)
    found = [bson.decode(document) for document in lying_in(things)]
    assert {document["_id"] for document in found} == firsts.keys()
    assert all(set(document) == {"_id", "by"} for document in found)


def test_they_ride_in_fewer_commands(store: Store, things: Things) -> None:
    """Two commands for a dozen: the first one's own, and what had come meanwhile."""
    assert lying_in(things) == []
    seen: list[int] = []
    puts = patiently(Puts(store.single, 30)._queues)
    right = puts._carry_out

    def carry_out(collection: str, items: Any) -> Any:
        seen.append(len(items))
        return right(collection, items)

    puts._carry_out = carry_out
    assert ride(puts.of(THINGS), [put(ObjectId()) for _ in range(12)]) == [True] * 12
    assert seen == [12]


def test_what_is_too_large_fails_alone(store: Store, things: Things) -> None:
    """Alone, or among others: all that fit are stored."""
    large = put("large", x=b"x" * 17 * MIB)
    others = [put(number, x=b"x" * 300_000) for number in range(4)]

    assert together(store, *others[:2], large, *others[2:]) == [True, True, TooLarge, True, True]
    assert together(store, large) == [TooLarge]
    assert {bson.decode(each)["_id"] for each in lying_in(things)} == set(range(4))


@pytest.mark.parametrize("moment", ["before", "after", "unconfirmed"])
def test_what_befalls_the_command_befalls_all_in_it(
    behind: Store, breaker: Breaker, things: Things, moment: Moment
) -> None:
    """A connection that breaks, a majority that does not confirm: outcome-unknown, to each."""
    breaker.arm("update", moment)
    outcomes = together(behind, *(put(number) for number in range(6)))
    breaker.disarm()

    assert breaker.broken == 1
    assert outcomes == [OutcomeUnknown] * 6
    assert len(lying_in(things)) == (0 if moment == "before" else 6)
    reach(behind)
    assert together(behind, put(8)) == [True]


def test_a_refusal_is_no_doubt(behind: Store, breaker: Breaker, unique: Things) -> None:
    """Where no majority confirms in time, a duplicate is told as one: it was not written."""
    breaker.arm("update", "unconfirmed")
    outcomes = together(behind, put(1, u=1), put(2, u=1), put(3, u=2))
    breaker.disarm()

    assert outcomes == [OutcomeUnknown, DuplicateKey, OutcomeUnknown]
    assert lying_in(unique) == [bson.encode({"_id": 1, "u": 1}), bson.encode({"_id": 3, "u": 2})]


@pytest.mark.parametrize("behind", ["true"], indirect=True)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_driver_sends_a_command_again(
    behind: Store, breaker: Breaker, things: Things, moment: Moment
) -> None:
    """One broken connection is nobody's harm, and none is called an old one for it."""
    breaker.arm("update", moment)
    outcomes = together(behind, *(put(number) for number in range(6)))

    assert breaker.broken == 1
    assert outcomes == [True] * 6
    assert len(lying_in(things)) == 6


def test_what_was_not_sent_was_not_done(database: Database, things: Things) -> None:
    """The database is lost while they wait: database-unavailable, which says so, to each."""
    with ExitStack() as stack:
        with Breaker(database.port) as breaker:
            store = stack.enter_context(store_behind(breaker.port, DATABASE, selection=1.5))
            assert together(store, put("there")) == [True]
        wait_until(store.status.is_lost, "the loss is seen")
        outcomes = together(store, *(put(number) for number in range(6)))

    assert outcomes == [DatabaseUnavailable] * 6
    assert [bson.decode(each)["_id"] for each in lying_in(things)] == ["there"]


def test_what_waits_for_a_transaction_holds_up_itself(
    store: Store, things: Things, database: Database
) -> None:
    """The same document is put apart meanwhile, and for a minute; others are not kept waiting."""
    assert lying_in(things) == []
    times = [1_000.0]
    puts = Puts(store.single, 30, lambda: times[0])
    is_apart = _when_apart(puts)
    with ThreadPoolExecutor(3) as threads:

        def begin(asked: Put) -> Future[bool]:
            return threads.submit(puts.put, THINGS, asked)

        assert begin(put("locked", by=0)).result(LONG)
        with locked(database, "locked"):
            first = begin(put("locked", by=1))
            wait_until(lambda: bool(puts._under_way), "it is under way")
            time.sleep(2 * puts._queues._bounds.slow)
            again = begin(put("locked", by=2))
            assert is_apart.wait(LONG)
            assert begin(put("other")).result(LONG) is True
            assert not first.done()
            assert not again.done()
            times[0] += 2 * TOO_LONG
        assert (first.result(LONG), again.result(LONG)) == (False, False)

    queue = patiently(puts._queues).of(THINGS)
    asked = [put("locked", by=3), put("other", by=3)]
    assert ride(queue, asked) == [None, False]
    times[0] += AVOIDED
    assert ride(queue, asked) == [False, False]
    assert not puts._under_way


def _when_apart(puts: Puts) -> threading.Event:
    """Set once a document is told that it is to be put apart."""
    queues, is_apart = puts._queues, threading.Event()
    right = queues._carry_out

    def carry_out(collection: str, items: Sequence[Put]) -> Sequence[bool | BaseException | None]:
        outcomes = right(collection, items)
        if None in outcomes:
            is_apart.set()
        return outcomes

    queues._carry_out = carry_out
    return is_apart


def test_who_is_held_to_rows_cannot_put_so(store: Store, things: Things) -> None:
    """What is there may be another's and has to be read first: nothing is written."""
    held = store.held_to(read_rows(b'{"owner":"ada"}'))

    with pytest.raises(AssertionError):
        held.puts.put(THINGS, put(1, owner="bob"))

    assert lying_in(things) == []
