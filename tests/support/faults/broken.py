"""The faults, each put in place of the right function before any other module imports it.

Two writes that should be one have only a small gap between them, which a kill at a random instant
seldom meets. So these builds wait there for some milliseconds: they are the same faults, found
sooner.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeVar

import bson
from pymongo.write_concern import WriteConcern

from demijohn.documents import idempotency, versions
from demijohn.documents.change import Changed, Outcome, PlanOf, change
from demijohn.documents.idempotency import Keyed, find_record, is_decided
from demijohn.documents.insert import Insertion
from demijohn.documents.records import COLLECTION, Told
from demijohn.errors import DuplicateKey, Problem
from demijohn.store import together
from demijohn.store.commands import Raw
from demijohn.store.documents import Store
from demijohn.store.transaction import Work
from tests.support import faults
from tests.support.faults import group_commit

T = TypeVar("T")
GAP = 0.15
"""Seconds."""


def put_in(fault: str) -> None:
    """Break this process. Raises KeyError for a fault that there is not."""
    {
        faults.RECORD_AFTER_EFFECT: _put_in_record_after_effect,
        faults.RECORD_BEFORE_EFFECT: _put_in_record_before_effect,
        faults.VERSION_BY_VALUE: _put_in_version_by_value,
        faults.ACKNOWLEDGED_EARLY: _put_in_acknowledged_early,
        faults.ERRORS_MIXED_UP: _put_in_errors_mixed_up,
        faults.UNACKNOWLEDGED: _put_in_unacknowledged,
        faults.CONDITION_APART: _put_in_condition_apart,
        faults.KEY_IGNORED: _put_in_key_ignored,
    }[fault]()


def _put_in_record_after_effect() -> None:
    idempotency.once = _effect_then_record
    _put_apart()


def _put_in_record_before_effect() -> None:
    right = idempotency.once

    def once(store: Store, keyed: Keyed[Outcome], plan: PlanOf[Outcome]) -> Told:
        return _record_then_effect(store, keyed, plan) or right(store, keyed, plan)

    idempotency.once = once
    _put_apart()


def _put_apart() -> None:
    """Have every insert with a key carried out by itself, and so by what is broken."""
    from demijohn.documents import keyed_inserts  # noqa: PLC0415 — it takes what is put in place

    def carry_out(_: object, _collection: str, items: Sequence[object]) -> list[None]:
        return [None] * len(items)

    keyed_inserts.KeyedInserts._carry_out = carry_out  # type: ignore[assignment,method-assign]


def _put_in_version_by_value() -> None:
    right = versions.digest
    versions.digest = lambda document: right(repr(_valued(bson.decode(document))).encode())


def _put_in_acknowledged_early() -> None:
    together.Together = group_commit.Early  # type: ignore[misc]


def _put_in_errors_mixed_up() -> None:
    together.Together = group_commit.MixedUp  # type: ignore[misc]


def _put_in_unacknowledged() -> None:
    """Writes with `w: 0`: the driver asks for no answer. In transactions it allows none such."""
    right = Store._collection

    def collection(self: Store, name: str) -> Raw:
        return right(self, name).with_options(write_concern=WriteConcern(w=0))

    Store._collection = collection  # type: ignore[method-assign]


def _put_in_condition_apart() -> None:
    """Have If-Match judged by what was read before, and in no transaction with the write."""

    def as_one(self: Store, work: Work[T]) -> T:
        return work(self.single)

    Store.as_one = as_one  # type: ignore[method-assign]


def _put_in_key_ignored() -> None:
    """Have an insert with a key be carried out each time that it is sent."""
    # Both take what is put in place.
    from demijohn.documents import write  # noqa: PLC0415
    from demijohn.documents.keyed_inserts import KeyedInserts  # noqa: PLC0415

    right = write.insert

    def insert(
        store: Store,
        keyed_inserts: KeyedInserts,
        insertion: Insertion,
        tell: write.Tell,
        keyed: Keyed[Changed] | None,
    ) -> Told:
        del keyed
        return right(store, keyed_inserts, insertion, tell, None)

    write.insert = insert


def _effect_then_record(store: Store, keyed: Keyed[Outcome], plan: PlanOf[Outcome]) -> Told:
    """The effect is committed, then the record: a death in between forgets that it happened."""
    record = find_record(store.single, keyed.key)
    if record is not None and record.answer is not None:
        return record.answer
    try:
        answer = keyed.tell(change(store, plan))
    except Problem as problem:
        if not is_decided(problem):
            raise
        answer = keyed.refuse(problem)
    time.sleep(GAP)
    return _recorded(store, keyed, answer)


def _record_then_effect(store: Store, keyed: Keyed[Outcome], plan: PlanOf[Outcome]) -> Told | None:
    """The record is committed, then the effect: a death in between promises what never was.

    None where the answer cannot be told before the effect.
    """
    record = find_record(store.single, keyed.key)
    if record is not None and record.answer is not None:
        return record.answer
    try:
        foreseen = store.transact(lambda operations: plan(operations).foreseen)
    except Problem as problem:
        if not is_decided(problem):
            raise
        return None
    if foreseen is None:
        return None
    answer = _recorded(store, keyed, keyed.tell(foreseen))
    if not answer.replayed:
        time.sleep(GAP)
        change(store, plan)
    return answer


def _recorded(store: Store, keyed: Keyed[Outcome], answer: Told) -> Told:
    try:
        store.single.insert(COLLECTION, keyed.record(answer))
    except DuplicateKey:
        record = find_record(store.single, keyed.key)
        return answer if record is None or record.answer is None else record.answer
    return answer


def _valued(value: object) -> object:
    """The value with every number as a double, as MongoDB's own comparison takes them."""
    if isinstance(value, dict):
        return {name: _valued(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_valued(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
