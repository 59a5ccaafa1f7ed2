"""Inserts with a key that ride in one transaction, on a real server."""

from __future__ import annotations

import time
import uuid

import bson
import pytest
from bson import ObjectId

from demijohn.documents.change import Changed, Check
from demijohn.documents.idempotency import Keyed
from demijohn.documents.insert import insertion
from demijohn.documents.keyed_inserts import Item, KeyedInserts
from demijohn.documents.records import Told, make_key
from demijohn.errors import InvalidDocument, OutcomeUnknown, Problem
from demijohn.formats.spelling import read_draft
from demijohn.store.documents import Store
from tests.contract.conftest import Things, lying_in
from tests.support.breaker import Breaker
from tests.support.stores import DATABASE, THINGS, store_behind
from tests.support.together import at_once
from tests.support.together_ride import patiently, ride


@pytest.fixture
def inserts(store: Store) -> KeyedInserts:
    """The inserts of one process."""
    return KeyedInserts(store, 30)


def item(body: bytes, key: str | None = None, check: Check = lambda _: None) -> Item:
    """A request; with a key that nobody has used where none is given."""
    new = insertion(THINGS, read_draft(body, extended=False), ObjectId, check)
    made = make_key("", key or uuid.uuid4().hex, (body,))
    keyed: Keyed[Changed] = Keyed(made, _told, _refused, time.time)
    return Item(keyed, new, new.document)


def _told(changed: Changed) -> Told:
    return Told(201, (), changed.after)


def _refused(problem: Problem) -> Told:
    return Told(409, (), problem.code.encode())


def ride_all(inserts: KeyedInserts, items: list[Item]) -> list[object]:
    """What becomes of items that are there at the same time."""
    return ride(patiently(inserts._queues).of(THINGS), items)


def test_all_in_one_transaction(inserts: KeyedInserts, store: Store, things: Things) -> None:
    """Each is told of its own document, its record says the same, and one commit did it."""
    items = [item(b'{"n":%d}' % number) for number in range(10)]
    commits = _commits(store)
    told = ride_all(inserts, items)
    assert _commits(store) == commits + 1
    assert told == [Told(201, (), each.document) for each in items]
    assert lying_in(things) == sorted(each.document for each in items)
    for each in items:
        again = inserts.insert(each.keyed, item(b"{}").insertion)
        assert (again.body, again.replayed) == (each.document, True)
    assert len(lying_in(things)) == 10


def _commits(store: Store) -> float:
    sample = store._metrics.registry.get_sample_value(
        "demijohn_database_operation_seconds_count", {"operation": "commit"}
    )
    return sample or 0.0


def test_what_is_known_is_done_apart(inserts: KeyedInserts, things: Things) -> None:
    """A key that was used, one that comes twice, a document that is refused: the rest goes in."""

    def refuse(_: bytes) -> None:
        raise InvalidDocument("no")

    used, twice = item(b'{"n":1}'), item(b'{"n":2}', "twice" + uuid.uuid4().hex)
    inserts.insert(used.keyed, used.insertion)
    again = Item(twice.keyed, twice.insertion, twice.document)
    refused, plain = item(b'{"n":3}', check=refuse), item(b'{"n":4}')
    told = ride_all(inserts, [used, twice, again, refused, plain])
    assert [each is None for each in told] == [True, False, True, True, False]
    assert len(lying_in(things)) == 3
    assert inserts.insert(refused.keyed, refused.insertion).body == b"invalid-document"
    assert inserts.insert(twice.keyed, twice.insertion).replayed


def test_one_that_is_refused_by_the_database_harms_nobody(
    inserts: KeyedInserts, things: Things
) -> None:
    """An id that is there already aborts the transaction; each is then done by itself."""
    items = [item(b'{"_id":%d,"n":%d}' % (number % 3, number)) for number in range(4)]
    assert ride_all(inserts, items) == [None] * 4
    assert lying_in(things) == []
    told = [inserts.insert(each.keyed, each.insertion) for each in items]
    assert [each.status for each in told] == [201, 201, 201, 409]
    assert len(lying_in(things)) == 3


def test_threads_at_one_time(inserts: KeyedInserts, things: Things) -> None:
    """Of sixteen threads with eight keys each document is there once, and told to both."""
    items = [item(b'{"n":%d}' % number, f"{uuid.uuid4().hex}") for number in range(8)]
    told = at_once(
        16, lambda number: inserts.insert(items[number % 8].keyed, items[number % 8].insertion)
    )
    assert [each.body for each in told] == [items[number % 8].document for number in range(16)]
    assert lying_in(things) == sorted(each.document for each in items)


def test_a_commit_whose_answer_is_lost(breaker: Breaker, things: Things) -> None:
    """Nobody can tell whether it was committed: outcome-unknown to each, and retries find out."""
    with store_behind(breaker.port, DATABASE, "false") as store:
        inserts = KeyedInserts(store, 30)
        items = [item(b'{"n":%d}' % number) for number in range(5)]
        breaker.arm("commitTransaction", "unconfirmed")
        told = ride_all(inserts, items)
        breaker.disarm()
        assert breaker.broken
        assert all(isinstance(each, OutcomeUnknown) for each in told)
        assert len({id(each) for each in told}) == 5
        retried = [inserts.insert(each.keyed, each.insertion) for each in items]
    assert all(each.replayed for each in retried)
    assert lying_in(things) == sorted(each.document for each in items)


def test_the_bytes_are_those_of_each(inserts: KeyedInserts, things: Things) -> None:
    """Whatever rides along, a document is stored as it was sent."""
    items = [item(b'{"n":%d,"long":"%b"}' % (at, b"x" * 1000 * at)) for at in range(20)]
    assert not any(isinstance(each, Problem) for each in ride_all(inserts, items))
    assert {bson.decode(each)["n"]: len(each) for each in lying_in(things)} == {
        at: len(each.document) for at, each in enumerate(items)
    }
