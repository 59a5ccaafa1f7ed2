"""Changing parts of one document, by a patch of one of five media types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

from demijohn.documents.change import Become, Check, Modify, Plan, Target, decided
from demijohn.documents.read import require
from demijohn.documents.room import Room
from demijohn.documents.versions import Condition
from demijohn.formats import media_types
from demijohn.formats.bson_values import Node, check_size, encode, from_python, open_document
from demijohn.formats.extended_in import (
    EMPTY_TIMESTAMP,
    EMPTY_TIMESTAMP_FAULT,
    parse_extended_value,
)
from demijohn.formats.plain_in import parse_value
from demijohn.formats.spelling import Spelling
from demijohn.patches import json_patch, merge, operators
from demijohn.patches.faults import refusal

_DOLLAR_KEPT = (
    "MongoDB replaces no document by one whose own key starts with $, as this one's does; update "
    "operators can change it."
)
Edit = Callable[[bytes], Become | Modify]
"""What a patch makes of a stored document. Raises InvalidPatch, TooLarge."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a patch's outcome is held to, and where there is room for it to be worked on."""

    check: Check
    room: Room

    def edit(self, edit: Edit, document: bytes) -> Become | Modify:
        """What the patch makes of the document, checked where that is known already."""
        with self.room.holding(document):
            decision = edit(document)
            if isinstance(decision, Modify):
                return replace(decision, check=self.check)
            if decision.document is not None:
                self.check(decision.document)
            return decision


def patched(
    target: Target, edit: Edit, condition: Condition, spelling: Spelling, checked: Checked
) -> Plan:
    """The plan of a patch under a condition.

    Its decision raises NotFound, and what `edit` and the check do; what the database makes of
    operators is checked inside the transaction.
    """

    def decide(before: bytes | None) -> Become | Modify:
        document = require(before)
        condition.check(document, spelling)
        return checked.edit(edit, document)

    return decided(target, decide)


def _read_merge(body: bytes) -> Edit:
    """RFC 7396, values in plain JSON. Raises MalformedJson, InvalidDocument, InvalidPatch."""
    return _merging(from_python(parse_value(body)))


def _read_extended_merge(body: bytes) -> Edit:
    """RFC 7396, values in Extended JSON. Raises as `_read_merge`."""
    return _merging(parse_extended_value(body))


def _merging(patch: Node) -> Edit:
    # What is no object is refused before anything is read.
    changes = merge.opened(patch)
    return lambda document: _becomes(merge.apply(open_document(document), changes))


def _read_json_patch(body: bytes) -> Edit:
    """RFC 6902. Raises MalformedJson, InvalidDocument, InvalidPatch."""
    # What plain JSON spells with a $ can be tested; json_patch sees to what would be stored.
    operations = json_patch.parse(parse_value(body, any_keys=True))
    return lambda document: _becomes(json_patch.apply(open_document(document), operations))


def _read_update(body: bytes) -> Edit:
    """MongoDB's update operators. Raises ForbiddenOperator too."""
    update = operators.check(parse_extended_value(body, operators=True))

    def edit(document: bytes) -> Modify:
        operators.check_levels(document, update)
        return Modify(update)

    return edit


READERS = MappingProxyType(
    {
        media_types.MERGE_PATCH: _read_merge,
        media_types.PLAIN: _read_merge,
        media_types.EXTENDED: _read_extended_merge,
        media_types.JSON_PATCH: _read_json_patch,
        media_types.UPDATE: _read_update,
    }
)
"""By media type: how a patch is read."""


def _becomes(members: dict[str, Node]) -> Become:
    document = encode(members)
    check_size(len(document))
    for name, node in members.items():
        if node == EMPTY_TIMESTAMP and name != "_id":
            raise refusal(EMPTY_TIMESTAMP_FAULT, (name,))
        if name.startswith("$"):
            raise refusal(_DOLLAR_KEPT, (name,))
    return Become(document)
