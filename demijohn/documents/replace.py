"""Replacing a document, or creating it under an id of the client's own."""

from __future__ import annotations

from demijohn.documents.change import Become, Changed, Decide, Plan, Target, decided
from demijohn.documents.ids import check_same_id, id_of
from demijohn.documents.versions import Condition
from demijohn.formats.bson_values import from_python
from demijohn.formats.spelling import Draft, Spelling
from demijohn.store.documents import Store


def put_one(store: Store, target: Target, draft: Draft) -> Changed:
    """Replace the document, or create it; in one command, whatever others do at the time.

    `before` of the result is a document of the `_id` alone. Raises InvalidDocument, TooLarge,
    DuplicateKey, DatabaseUnavailable, OutcomeUnknown.
    """
    check_same_id(draft.id, target.id)
    document = draft.under(from_python(target.id))
    before = store.single.put(target.collection, target.id, draft.fields)
    # Equal numbers are one id to MongoDB: the stored one stays, an integer or a double.
    after = document if before is None else draft.under(id_of(before))
    return Changed(before, after)


def replaced(target: Target, draft: Draft, condition: Condition, spelling: Spelling) -> Plan:
    """The plan of a replacement under a condition. Raises InvalidDocument, TooLarge."""
    check_same_id(draft.id, target.id)
    draft.under(from_python(target.id))
    return decided(target, _decision(target, draft, condition, spelling))


def _decision(target: Target, draft: Draft, condition: Condition, spelling: Spelling) -> Decide:
    def decide(before: bytes | None) -> Become:
        condition.check(before, spelling)
        identity = from_python(target.id) if before is None else id_of(before)
        return Become(draft.under(identity))

    return decide
