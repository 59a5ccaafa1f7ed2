"""Inserting one document."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bson import ObjectId

from demijohn.documents.change import Changed, Check, Plan, Step
from demijohn.errors import DuplicateKey, OutcomeUnknown, Problem
from demijohn.formats.bson_values import OBJECT_ID, Value
from demijohn.formats.spelling import Draft
from demijohn.store.commands import Attempt
from demijohn.store.documents import Store


class Insertion(NamedTuple):
    """A document that is to be inserted, and the id that it gets, its own or a new one.

    What it is held to it is held to when it is inserted: a request with a key may have been carried
    out already.
    """

    collection: str
    draft: Draft
    id: Value
    check: Check = lambda _: None

    @property
    def document(self) -> bytes:
        """The document as it will be stored. Raises TooLarge."""
        return self.draft.under(self.id)


def insertion(
    collection: str,
    draft: Draft,
    new_id: Callable[[], ObjectId],
    check: Check = lambda _: None,
) -> Insertion:
    """The insertion of a draft under its own `_id`, or a new ObjectId where it has none."""
    identity = draft.id or Value(OBJECT_ID, new_id().binary)
    return Insertion(collection, draft, identity, check)


def insert_one(store: Store, insertion: Insertion) -> Changed:
    """Insert the document; returns once a majority has acknowledged it from its journals.

    Raises TooLarge, InvalidDocument, DuplicateKey, Overloaded, DatabaseUnavailable,
    OutcomeUnknown.
    """
    document = insertion.document
    insertion.check(document)
    try:
        store.inserts.insert(insertion.collection, document)
    except Problem as problem:
        raise meant(problem, insertion) from problem.__cause__
    return Changed(None, document)


def meant(problem: Problem, insertion: Insertion) -> Problem:
    """What it means for this insertion that the database has refused it so."""
    doubt = sent_twice(problem) if insertion.draft.id is None else None
    return doubt or problem


def sent_twice(problem: Problem) -> OutcomeUnknown | None:
    """What it means that an id which the service has made is there; None for another problem.

    Nobody else has made that id: the driver has sent the insert a second time, to a server that no
    longer knew of the first.
    """
    if isinstance(problem, DuplicateKey) and problem.extra.get("fields") == ["_id"]:
        return OutcomeUnknown("The write was sent twice, and may have happened.")
    return None


def inserted(insertion: Insertion) -> Plan:
    """The plan of an insert, for what has to be written together with it. Raises TooLarge."""
    changed = Changed(None, insertion.document)

    def plan(attempt: Attempt) -> Step[Changed]:
        insertion.check(insertion.draft.fields)
        return Step(changed, carry_out=lambda: _insert(attempt, insertion.collection, changed))

    return plan


def _insert(attempt: Attempt, collection: str, changed: Changed) -> Changed:
    assert changed.after is not None
    attempt.insert(collection, changed.after)
    return changed
