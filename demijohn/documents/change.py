"""Changing one document: read it, decide on what was read, write; as one.

A decision is a pure function of the document as it is. It is made on the raw bytes inside the
transaction that writes, so that nobody changes the document in between, and made anew where
somebody did. So a condition is judged by the bytes that the write replaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from demijohn.errors import Problem
from demijohn.formats.bson_values import Value, encode
from demijohn.store.commands import Attempt
from demijohn.store.documents import Store

Outcome = TypeVar("Outcome")
Check = Callable[[bytes], None]
"""Raises what speaks against a document, or against its fields alone."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which document: its collection and its id."""

    collection: str
    id: Value

    @property
    def where(self) -> bytes:
        """The `_id` as a document of its own, by which the store finds the document."""
        return encode({"_id": self.id})


class Changed(NamedTuple):
    """The stored bytes before and after; None where there was or is no document."""

    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class Become:
    """The decision that the document becomes these bytes, or nothing; equal ones write nothing."""

    document: bytes | None


@dataclass(frozen=True, slots=True)
class Modify:
    """The decision that MongoDB applies these operators.

    `check` raises what speaks against the document that comes of it, which is then not written.
    """

    update: Mapping[str, Any]
    check: Check = lambda _: None


Decide = Callable[[bytes | None], Become | Modify]
"""What becomes of a document, or of none. Raises the problem that speaks against it."""


@dataclass(frozen=True, slots=True)
class Step(Generic[Outcome]):
    """A change that is decided and not written yet.

    `foreseen` is what will have come of it, None where only the database can tell.
    """

    foreseen: Outcome | None
    carry_out: Callable[[], Outcome]


PlanOf: TypeAlias = Callable[[Attempt], Step[Outcome]]
"""Reads, decides, and says what is to be written, all in the attempt that it is given."""
Plan: TypeAlias = PlanOf[Changed]
"""A plan for one document."""


def change(store: Store, plan: PlanOf[Outcome]) -> Outcome:
    """Carry a plan out as one.

    Raises what its decision raises, DuplicateKey, WriteConflict, TooLarge, DatabaseUnavailable,
    DeadlineExceeded, OutcomeUnknown.
    """
    return store.as_one(lambda attempt: plan(attempt).carry_out())


def decided(target: Target, decide: Decide) -> Plan:
    """The plan that a decision on a document makes."""

    def plan(attempt: Attempt) -> Step[Changed]:
        before = attempt.find(target.collection, target.where)
        decision = decide(before)
        if isinstance(decision, Modify):
            return Step(None, lambda: _modify(attempt, target, before, decision))
        changed = Changed(before, decision.document)
        return Step(changed, lambda: _become(attempt, target, changed))

    return plan


def refused(problem: Problem) -> Plan:
    """The plan of what is not to be done, where it has not been done already."""

    def plan(_: Attempt) -> Step[Changed]:
        raise problem

    return plan


def _modify(attempt: Attempt, target: Target, before: bytes | None, decision: Modify) -> Changed:
    after = attempt.modify(target.collection, target.where, decision.update)
    decision.check(after)
    return Changed(before, after)


def _become(attempt: Attempt, target: Target, changed: Changed) -> Changed:
    if changed.before is None and changed.after is not None:
        attempt.insert(target.collection, changed.after)
    elif changed.after is None and changed.before is not None:
        attempt.remove(target.collection, target.where)
    elif changed.after is not None and changed.after != changed.before:
        attempt.replace(target.collection, target.where, changed.after)
    return changed
