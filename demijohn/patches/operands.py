"""What the arguments of MongoDB's operators have in common: paths, values, and refusals of both.

An update comes as the reader of Extended JSON gives it (`parse_extended_value`): containers are
opened, the wrappers of types are values, and what else starts with `$` is a key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from demijohn.errors import Fault, ForbiddenOperator
from demijohn.formats.bson_values import (
    ARRAY,
    DECIMAL128,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    LENGTH,
    REFERENCE_KEYS,
    STRING,
    Node,
    Value,
    open_node,
)
from demijohn.formats.json_faults import LEVELS, NUL_KEY, pointer_to
from demijohn.patches.faults import refusal

Place: TypeAlias = tuple[str | int, ...]
"""Where in the body something stands."""

ALL_ELEMENTS = "$[]"
INTEGERS = frozenset((INT32, INT64))
NUMBERS = INTEGERS | {DOUBLE, DECIMAL128}


def forbidden(operator: str, allowed: Iterable[str], place: Place) -> ForbiddenOperator:
    """The problem of an operator that is not on the list of what may stand there."""
    return not_let_through(operator, f"there are {', '.join(sorted(allowed))}.", place)


def not_let_through(operator: str, hint: str, place: Place) -> ForbiddenOperator:
    """The same with a hint where the list would be too long."""
    # The name is the client's own, and may be as long as the body.
    name = operator if len(operator) < LEVELS else "This operator"
    detail = f"{name} is not let through here; {hint}"
    return ForbiddenOperator(detail, faults=(Fault(pointer_to(place), detail),))


def is_operator(key: str) -> bool:
    """Whether a key is an operator's or looks like one; the keys of a reference (DBRef) do not."""
    return key.startswith("$") and key not in REFERENCE_KEYS


def has_operators(node: Node) -> bool:
    """Whether a value is an object with an operator among its keys."""
    return isinstance(node, dict) and any(is_operator(key) for key in node)


def members(node: Node, what: str, place: Place) -> dict[str, Node]:
    """The members of an object that has some. Raises InvalidPatch, by the name of `what`, else."""
    opened = open_node(node)
    if not isinstance(opened, dict) or not opened:
        raise refusal(f"{what} takes an object with at least one member.", place)
    return opened


def items(node: Node, what: str, place: Place) -> list[Node]:
    """The elements of an array. Raises InvalidPatch, by the name of `what`, for anything else."""
    opened = open_node(node)
    if not isinstance(opened, list):
        raise refusal(f"{what} takes an array.", place)
    return opened


def text(node: Node) -> str | None:
    """The text of a string, None where it is none."""
    if not isinstance(node, Value) or node.kind != STRING:
        return None
    return node.payload[LENGTH.size : -1].decode("utf-8", "replace")


def is_kind(node: Node, kinds: frozenset[int]) -> bool:
    """Whether a value is of one of these types."""
    return isinstance(node, Value) and node.kind in kinds


def check_value(node: Node, place: Place, depth: int = 0) -> None:
    """Raise InvalidPatch for a value that a document may not have at this depth.

    No key in it starts with `$`, but for those of a reference (DBRef), and none holds U+0000;
    `depth` is how many containers are around it, and with its own there are at most 100.
    """
    if is_kind(node, frozenset((DOCUMENT, ARRAY))):
        node = open_node(node)
    if isinstance(node, Value):
        return
    if depth >= LEVELS:
        raise refusal(f"The document would be nested deeper than {LEVELS} levels.", place)
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        here = (*place, key)
        if isinstance(key, str) and is_operator(key):
            raise refusal("A key inside a value may not start with $.", here)
        if isinstance(key, str) and "\0" in key:
            raise refusal(NUL_KEY, here)
        check_value(child, here, depth + 1)


def parts_of(path: str, place: Place) -> tuple[str, ...]:
    """The parts of a dotted path.

    Raises InvalidPatch for an empty part, one that starts with `$` other than `$[]`, U+0000, and
    more parts than a document has levels.
    """
    parts = tuple(path.split("."))
    if not all(parts):
        raise refusal("A path is made of names with a dot between them; here one is empty.", place)
    if "\0" in path:
        raise refusal(NUL_KEY, place)
    if len(parts) > LEVELS:
        raise refusal(f"A path has at most {LEVELS} parts.", place)
    for part in parts:
        if part.startswith("$") and part != ALL_ELEMENTS:
            raise refusal(_reason(part), place)
    return parts


def _reason(part: str) -> str:
    if part == "$":
        return "A path with $ needs a query that matched an element, and there is none here."
    if part.startswith("$["):
        return "A path with $[name] needs array filters, and there are none here; $[] is taken."
    return "No part of a path starts with $, other than $[] for every element of an array."
