"""Row filters: which documents a key is for, as scalars at paths that all have to be equal.

`{"owner":"ada"}` is: the field is there and is that string. An array that holds it is not, and
neither is a path that leads through an array: with those a document would be two owners' at once.
The database's question and `Rows.holds` have to say the same of every document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bson.raw_bson import RawBSONDocument

from demijohn.errors import BadParameter, Fault, Forbidden, InvalidDocument, MalformedJson
from demijohn.formats.bson_values import (
    BOOLEAN,
    DECIMAL128,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    OBJECT_ID,
    STRING,
    Node,
    Value,
    elements,
    encode,
    first_member,
    from_python,
    to_python,
)
from demijohn.formats.extended_in import parse_extended_value
from demijohn.formats.extended_out import render
from demijohn.formats.extended_types import string
from demijohn.patches.conditions import LOGICAL
from demijohn.patches.operands import text
from demijohn.query.paths import ID, check_distinct, check_path

MOST = 10
"""Equalities."""
LARGEST = 1_000
"""Bytes of a value."""
_TYPES = frozenset((STRING, BOOLEAN, INT32, INT64, OBJECT_ID))
_INTEGERS = frozenset((INT32, INT64))
_NUMBERS = frozenset((INT32, INT64, DOUBLE, DECIMAL128))
_WHERE = "A row filter"
_EXPRESSION = b"$expr\0"
"""As BSON has the name of a member."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A conjunction of equalities; by path, what has to be there."""

    equalities: tuple[tuple[str, Value], ...]

    @property
    def bson(self) -> bytes:
        """The filter for the database."""
        # The first of each pair can be answered by an index. It lets an array pass that holds the
        # value; to the second, an expression, that array is another value.
        each: list[Node] = [
            {path: {"$eq": value}, "$expr": _there(path, value)} for path, value in self.equalities
        ]
        return encode({"$and": each})

    def guarded(self, where: bytes) -> bytes:
        """The same filter, whose expressions are worked out for these documents alone.

        A database judges the parts of a filter in an order of its own, and an expression can fail:
        what divides by zero for one value would tell who has it of documents that are not theirs.
        """
        if _EXPRESSION not in where:
            return where
        are_these: list[Node] = [_there(path, value) for path, value in self.equalities]
        return encode(_guarded(where, {"$and": are_these}))

    @property
    def text(self) -> bytes:
        """The filter as `read_rows` reads it."""
        return render(encode(dict(self.equalities)), canonical=False)

    def holds(self, document: bytes) -> bool:
        """Whether a document is one of these."""
        return all(_is_at(document, path, value) for path, value in self.equalities)

    def check(self, document: bytes) -> None:
        """Raise Forbidden, with pointers, for a document that is none of these."""
        self._refuse(path for path, value in self.equalities if not _is_at(document, path, value))

    def check_update(self, update: Mapping[str, RawBSONDocument]) -> None:
        """Raise Forbidden for update operators that name one of the paths, or lead through it."""
        named = list(_named(update))
        self._refuse(
            path for path, _ in self.equalities if any(_touch(path, each) for each in named)
        )

    def _refuse(self, paths: Iterable[str]) -> None:
        detail = "It has to be, and to stay, what this key's row filter says."
        faults = tuple(Fault("/" + path.replace(".", "/"), detail) for path in paths)
        if faults:
            raise Forbidden("The key is for other documents.", faults=faults)


def read_rows(body: bytes) -> Rows:
    """The row filter in a JSON text; values as in Extended JSON.

    Raises BadParameter, MalformedJson, for what is no object of strings, booleans, integers and
    ObjectIds at paths that do not lead into one another, or for one of none.
    """
    try:
        node = parse_extended_value(body)
    except (InvalidDocument, MalformedJson) as refused:
        raise BadParameter(f"{_WHERE}: {refused.detail}") from refused
    if not isinstance(node, dict) or not 1 <= len(node) <= MOST:
        raise BadParameter(f"{_WHERE} is an object of 1 to {MOST} paths and values.")
    for path in node:
        check_path(path, _WHERE)
        if path.partition(".")[0] == ID:
            raise BadParameter(f"{_WHERE}: the _id says whose a document is to nobody.")
        if "/" in path or "~" in path:
            raise BadParameter(f"{_WHERE}: a path has no / and no ~ in it.")
        if any(part.isdecimal() for part in path.split(".")):
            # In a document it is a name, in an array a place, and databases differ about which.
            raise BadParameter(f"{_WHERE}: no part of a path is a number.")
    check_distinct(node, _WHERE)
    return Rows(tuple((path, _scalar(path, each)) for path, each in node.items()))


def _scalar(path: str, node: Node) -> Value:
    if not isinstance(node, Value) or node.kind not in _TYPES:
        raise BadParameter(
            f"{_WHERE}: {path[:100]} is a string, true, false, an integer or an ObjectId."
        )
    if len(node.payload) > LARGEST:
        raise BadParameter(f"{_WHERE}: {path[:100]} has at most {LARGEST:,} bytes.")
    return node


def _there(path: str, value: Value) -> Node:
    """The expression that is true where this very value is."""
    return {"$eq": [string(f"${path}"), {"$literal": value}]}


def _guarded(query: bytes, condition: Node) -> dict[str, Node]:
    """The query with the condition before each expression; deeper than this none is let through."""
    found: dict[str, Node] = {}
    for key, value in elements(query):
        found[key] = value
        if key == "$expr":
            found[key] = {"$cond": [condition, value, from_python(False)]}
        elif key in LOGICAL:
            found[key] = [_guarded(each.payload, condition) for _, each in elements(value.payload)]
    return found


def _is_at(document: bytes, path: str, value: Value) -> bool:
    found: Value | None = Value(DOCUMENT, document)
    for part in path.split("."):
        if found is None or found.kind != DOCUMENT:
            return False
        found = first_member(found.payload, part)
    if found is None:
        return False
    if value.kind in _INTEGERS and found.kind in _NUMBERS:
        return _is_number(found, to_python(value))
    return found == value


def _is_number(found: Value, wanted: int) -> bool:
    number = to_python(found)
    if found.kind == DECIMAL128:
        number = number.to_decimal()
        if number.is_nan():  # some of which Python refuses to compare
            return False
    return bool(number == wanted)


def _named(update: Mapping[str, RawBSONDocument]) -> Iterable[str]:
    """The paths that operators change; of a renaming both."""
    for operator, argument in update.items():
        for path, node in elements(bytes(argument.raw)):
            yield path
            other = text(node) if operator == "$rename" else None
            if other is not None:
                yield other


def _touch(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")
