"""Changing one document: read it, decide on what was read, write; as one.

A decision is a pure function of the document as it is. It is made on the raw bytes inside the
transaction that writes, so that nobody changes the document in between, and made anew where
somebody did. So a condition is judged by the bytes that the write replaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from demijohn.formats.bson_values import Value, encode
from demijohn.store.documents import Store
from demijohn.store.operations import Operations


@dataclass(frozen=True, slots=True)
class Target:
    """Which document: its collection and its id."""

    collection: str
    id: Value

    @property
    def head(self) -> bytes:
        """The `_id` as a document of its own, by which the store finds the document."""
        return encode({"_id": self.id})


@dataclass(frozen=True, slots=True)
class Changed:
    """The stored bytes before and after; None where there was or is no document."""

    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class Become:
    """The decision that the document becomes these bytes, or nothing; equal ones write nothing."""

    document: bytes | None


@dataclass(frozen=True, slots=True)
class Modify:
    """The decision that MongoDB applies these operators."""

    update: Mapping[str, Any]


Decide = Callable[[bytes | None], Become | Modify]
"""What becomes of a document, or of none. Raises the problem that speaks against it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change that is decided and not written yet.

    `foreseen` is what will have changed, None where only the database can tell.
    """

    foreseen: Changed | None
    carry_out: Callable[[], Changed]


Plan = Callable[[Operations], Step]
"""Reads, decides, and says what is to be written, all by the operations that it is given."""


def change(store: Store, plan: Plan) -> Changed:
    """Carry a plan out as one.

    Raises what its decision raises, DuplicateKey, WriteConflict, TooLarge, DatabaseUnavailable,
    OutcomeUnknown.
    """
    return store.transact(lambda operations: plan(operations).carry_out())


def decided(target: Target, decide: Decide) -> Plan:
    """The plan that a decision on a document makes."""

    def plan(operations: Operations) -> Step:
        before = operations.find(target.collection, target.head)
        decision = decide(before)
        if isinstance(decision, Modify):
            return Step(None, lambda: _modify(operations, target, before, decision.update))
        changed = Changed(before, decision.document)
        return Step(changed, lambda: _become(operations, target, changed))

    return plan


def _modify(
    operations: Operations, target: Target, before: bytes | None, update: Mapping[str, Any]
) -> Changed:
    return Changed(before, operations.modify(target.collection, target.head, update))


def _become(operations: Operations, target: Target, changed: Changed) -> Changed:
    if changed.before is None and changed.after is not None:
        operations.insert(target.collection, changed.after)
    elif changed.after is None and changed.before is not None:
        operations.remove(target.collection, target.head)
    elif changed.after is not None and changed.after != changed.before:
        operations.replace(target.collection, target.head, changed.after)
    return changed
