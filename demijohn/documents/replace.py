"""Replacing a document, or creating it under an id of the client's own."""

from __future__ import annotations

from demijohn.documents.change import Become, Changed, Check, Plan, Target, change, decided
from demijohn.documents.ids import check_new_id, check_same_id, id_of
from demijohn.documents.versions import Condition
from demijohn.formats.bson_values import BINARY, DATE, OBJECT_ID, STRING
from demijohn.formats.spelling import Draft, Spelling
from demijohn.store.documents import Store

_ONE_SPELLING = frozenset((OBJECT_ID, STRING, BINARY, DATE))
"""Types of ids that equal no id of another type. Equal numbers are one id to MongoDB, and the
stored one stays, an integer or a double: to know which, it has to be read."""


def check_put(target: Target, draft: Draft) -> None:
    """Raise InvalidDocument or BadParameter where the document cannot be there under this id."""
    check_new_id(target.id)
    check_same_id(draft.id, target.id)


def put_one(store: Store, target: Target, draft: Draft, check: Check) -> Changed:
    """Replace the document, or create it; in one command where that tells enough.

    `before` of the result is what was there only where it had to be read; else a document of the
    `_id` alone. Raises InvalidDocument, TooLarge, DuplicateKey, Overloaded, DatabaseUnavailable,
    OutcomeUnknown, and where it had to be read WriteConflict and DeadlineExceeded.
    """
    if store.is_held or target.id.kind not in _ONE_SPELLING:
        return change(store, replaced(target, draft, Condition(), Spelling.PLAIN, check))
    document = draft.under(target.id)
    check(document)
    is_new = store.puts.put(target.collection, (target.where, draft.fields))
    return Changed(None if is_new else target.where, document)


def replaced(
    target: Target, draft: Draft, condition: Condition, spelling: Spelling, check: Check
) -> Plan:
    """The plan of a replacement under a condition.

    Its decision raises PreconditionFailed, TooLarge, and what the check raises.
    """

    def decide(before: bytes | None) -> Become:
        check(draft.fields)  # before conditions (RFC 9110, section 13.2.1)
        condition.check(before, spelling)
        return Become(draft.under(target.id if before is None else id_of(before)))

    return decided(target, decide)
