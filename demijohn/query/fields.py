"""Which fields of documents are answered: some, or all but some (MongoDB manual, "Project Fields").

`_id` comes along unless it is left out. The database projects; where a page needs more than was
asked for, to know where it ends, the rest is left out here, as MongoDB would have done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import bson

from demijohn.errors import BadParameter
from demijohn.formats.bson_values import (
    ARRAY,
    DOCUMENT,
    Node,
    Value,
    encode,
    open_document,
    open_node,
)
from demijohn.query.paths import ID, check_distinct, check_path

MOST_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Fields:
    """Paths that are shown alone, or left out."""

    paths: tuple[str, ...]
    are_shown: bool
    with_id: bool = True

    def projection(self) -> bytes:
        """The projection for the database."""
        shown = dict.fromkeys(self.paths, self.are_shown)
        if not self.with_id:
            shown[ID] = False
        if not shown and self.are_shown:
            shown[ID] = True
        return bson.encode(shown)

    def widened(self, needed: Iterable[str]) -> Fields | None:
        """Fields that show what is `needed` too; None for all of them."""
        missing = [each for each in needed if each.split(".")[0] != ID and not self._shows(each)]
        if not self.are_shown and (missing or not self.paths):
            return None
        if not missing:
            return replace(self, with_id=True)
        outer = [each for each in self.paths if not any(each.startswith(f"{m}.") for m in missing)]
        return replace(self, paths=(*outer, *missing), with_id=True)

    def apply(self, document: bytes) -> bytes:
        """What of the document is shown."""
        opened = open_document(document)
        identity = opened.pop(ID, None)
        steps = tuple(path.split(".") for path in self.paths)
        shown = _keep(opened, steps) if self.are_shown else _drop(opened, steps)
        if identity is None or not self.with_id:
            return encode(shown)
        return encode({ID: identity, **shown})

    def _shows(self, path: str) -> bool:
        """Whether all of what is at a path is shown."""
        if self.are_shown:
            return any(path == each or path.startswith(f"{each}.") for each in self.paths)
        return not any(
            path == each or path.startswith(f"{each}.") or each.startswith(f"{path}.")
            for each in self.paths
        )


def read_fields(text: str) -> Fields:
    """The fields in a text such as `name,age` or `-secret`. Raises BadParameter."""
    given = [each.strip() for each in text.split(",")]
    hidden = [each.removeprefix("-") for each in given if each.startswith("-")]
    shown = [each for each in given if not each.startswith("-")]
    if len(given) > MOST_FIELDS:
        raise BadParameter(f"fields: there are at most {MOST_FIELDS}.")
    for path in (*shown, *hidden):
        check_path(path, "fields")
        if path.startswith(f"{ID}."):
            raise BadParameter("fields: _id is shown or left out as a whole.")
    check_distinct((*shown, *hidden), "fields")
    if shown and [path for path in hidden if path != ID]:
        raise BadParameter("fields: those to show and those to leave out (-) do not mix.")
    with_id = ID not in hidden
    paths = tuple(path for path in (shown or hidden) if path != ID)
    return Fields(paths, are_shown=bool(shown), with_id=with_id)


def _keep(members: dict[str, Node], steps: tuple[list[str], ...]) -> dict[str, Node]:
    whole = {step[0] for step in steps if len(step) == 1}
    found: dict[str, Node] = {}
    for name, child in members.items():
        inner = tuple(step[1:] for step in steps if step[0] == name and len(step) > 1)
        if name in whole:
            found[name] = child
        elif inner:
            kept = _inside(child, inner, keep=True)
            if kept is not None:
                found[name] = kept
    return found


def _drop(members: dict[str, Node], steps: tuple[list[str], ...]) -> dict[str, Node]:
    whole = {step[0] for step in steps if len(step) == 1}
    found: dict[str, Node] = {}
    for name, child in members.items():
        inner = tuple(step[1:] for step in steps if step[0] == name and len(step) > 1)
        if name not in whole:
            dropped = _inside(child, inner, keep=False) if inner else child
            found[name] = child if dropped is None else dropped
    return found


def _inside(node: Node, steps: tuple[list[str], ...], *, keep: bool) -> Node | None:
    """What is left of a container; None for a value that the paths do not lead into."""
    if not isinstance(node, Value) or node.kind not in (DOCUMENT, ARRAY):
        return None
    opened = open_node(node)
    if isinstance(opened, dict):
        return _keep(opened, steps) if keep else _drop(opened, steps)
    assert isinstance(opened, list)
    parts = [(each, _inside(each, steps, keep=keep)) for each in opened]
    if keep:
        return [part for _, part in parts if part is not None]
    return [each if part is None else part for each, part in parts]
