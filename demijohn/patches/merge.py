"""JSON Merge Patch (RFC 7396): a patch that looks like the document that it makes.

A member of the patch takes the place of the document's, null takes it out, and objects are merged
member by member. Arrays are replaced whole, and nulls inside them stay. An object that the patch
leaves as it is keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from demijohn.formats.bson_values import DOCUMENT, NULL, Node, Value, open_node
from demijohn.patches.faults import refusal
from demijohn.patches.given import same_plain

_ID = "_id"


def apply(document: Mapping[str, Node], patch: Node) -> dict[str, Node]:
    """The document after a merge patch, which may have any of its objects opened or closed.

    Neither argument is changed. The stored `_id` stays; naming it is fine where the two are equal
    in plain spelling. Raises InvalidPatch, with a pointer, for a patch that is no object and for
    one that would change the id.
    """
    merged = dict(document)
    _merge_members(merged, opened(patch))
    stored = document.get(_ID)
    if stored is not None:
        now = merged.get(_ID)
        if now is None or not same_plain(stored, now):
            raise refusal("The id cannot be changed.", (_ID,))
        merged[_ID] = stored
    return merged


def opened(patch: Node) -> dict[str, Node]:
    """The members of a merge patch. Raises InvalidPatch for a patch that is no object."""
    changes = _open_object(patch)
    if changes is None:
        raise refusal(
            "A merge patch is an object: a document stays one. A list of operations is "
            "application/json-patch+json."
        )
    return changes


def _merged(target: Node | None, patch: Node) -> Node:
    """The standard's MergePatch(Target, Patch); None is a target that is not there."""
    changes = _open_object(patch)
    if changes is None:
        return patch
    before = None if target is None else _open_object(target)
    members = dict(before or {})
    changed = _merge_members(members, changes)
    # What was opened in vain is given back closed, with the duplicate keys that it may have.
    return members if target is None or before is None or changed else target


def _merge_members(members: dict[str, Node], changes: Mapping[str, Node]) -> bool:
    """Merge each change into the members; whether that changed anything."""
    changed = False
    for name, change in changes.items():
        before = members.get(name)
        if isinstance(change, Value) and change.kind == NULL:
            changed |= members.pop(name, None) is not None
            continue
        after = _merged(before, change)
        changed |= after is not before
        members[name] = after
    return changed


def _open_object(node: Node) -> dict[str, Node] | None:
    if isinstance(node, Value) and node.kind != DOCUMENT:
        return None
    opened = open_node(node)
    return opened if isinstance(opened, dict) else None
