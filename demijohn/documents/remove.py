"""Deleting one document."""

from __future__ import annotations

from demijohn.documents.change import Become, Changed, Plan, Target, decided
from demijohn.documents.read import require
from demijohn.documents.versions import Condition
from demijohn.errors import NotFound
from demijohn.formats.spelling import Spelling
from demijohn.store.documents import Store


def remove_one(store: Store, target: Target) -> Changed:
    """Delete the document, as it may be. Raises NotFound, DatabaseUnavailable, OutcomeUnknown."""
    if not store.single.discard(target.collection, target.where):
        raise NotFound("There is no document of that id.")
    return Changed(None, None)


def removed(target: Target, condition: Condition, spelling: Spelling) -> Plan:
    """The plan of a deletion under a condition; its decision raises NotFound."""

    def decide(before: bytes | None) -> Become:
        condition.check(require(before), spelling)
        return Become(None)

    return decided(target, decide)
