"""Inserting one document."""

from __future__ import annotations

from collections.abc import Callable

from bson import ObjectId

from demijohn.documents.change import Changed, Plan, Step
from demijohn.errors import DuplicateKey, OutcomeUnknown
from demijohn.formats.bson_values import Value, from_python
from demijohn.formats.spelling import Draft
from demijohn.store.documents import Store
from demijohn.store.operations import Operations


def identify(draft: Draft, new_id: Callable[[], ObjectId]) -> bytes:
    """The document as it will be stored: under its own `_id`, or a new ObjectId where it has none.

    Raises TooLarge.
    """
    identity: Value = draft.id or from_python(new_id())
    return draft.under(identity)


def insert_one(store: Store, collection: str, document: bytes, draft: Draft) -> Changed:
    """Insert the document made of a draft, once a majority has acknowledged it from its journals.

    Raises TooLarge, InvalidDocument, DuplicateKey, DatabaseUnavailable, OutcomeUnknown.
    """
    try:
        store.single.insert(collection, document)
    except DuplicateKey as problem:
        if draft.id is None and problem.extra.get("fields") == ["_id"]:
            # Nobody else has made that id: the driver has sent the insert a second time, to a
            # server that no longer knew of the first.
            raise OutcomeUnknown("The write was sent twice, and may have happened.") from problem
        raise
    return Changed(None, document)


def inserted(collection: str, document: bytes) -> Plan:
    """The plan of an insert, for what has to be written together with it."""

    def plan(operations: Operations) -> Step:
        changed = Changed(None, document)

        def carry_out() -> Changed:
            operations.insert(collection, document)
            return changed

        return Step(changed, carry_out)

    return plan
