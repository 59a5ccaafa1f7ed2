"""A filter of documents as a filter of what holds them, such as changes."""

from __future__ import annotations

from demijohn.errors import InvalidFilter
from demijohn.formats.bson_values import Node, encode, open_document, open_node
from demijohn.patches.conditions import LOGICAL
from demijohn.query.faults import at
from demijohn.query.filters import Filter


def beneath(field: str, asked: Filter) -> bytes:
    """The filter, as BSON, that is met where the document in `field` meets the one given.

    Raises InvalidFilter for what only a whole document can be asked, as `$expr`.
    """
    return encode(_beneath(open_document(asked.bson), field, ()))


def _beneath(query: dict[str, Node], field: str, place: tuple[str | int, ...]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for key, child in query.items():
        inner = (*place, key)
        if key in LOGICAL:
            found[key] = [
                _beneath(branch, field, (*inner, number))
                for number, branch in enumerate(map(open_node, _branches(child)))
                if isinstance(branch, dict)
            ]
        elif key.startswith("$"):
            raise at(InvalidFilter, f"{key} cannot be asked of changes.", inner)
        else:
            found[f"{field}.{key}"] = child
    return found


def _branches(node: Node) -> list[Node]:
    opened = open_node(node)
    return opened if isinstance(opened, list) else []
