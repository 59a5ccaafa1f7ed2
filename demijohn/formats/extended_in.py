"""MongoDB Extended JSON v2 on its way in: text to values of BSON, each of exactly its type.

Canonical and relaxed forms are read, mixed as they come (`extended_types`). What is written by
`extended_out` comes back as the same bytes, but for what these say:

- relaxed: an int64 that fits into 32 bits comes back as int32, the smallest that holds it;
- both: every NaN as the one with no payload, a Decimal128 that is not in its canonical form in
  that, the letters of a regular expression's options in the order of the alphabet, as BSON
  demands them; of members with the same key the last, in the place of the first; array elements
  with the keys 0, 1, 2 and so on; U+FFFD for bytes that were no UTF-8.

A stored document with a key that starts with `$`, as other clients can write it, has no spelling
in Extended JSON, which can't tell it from a type's own (the standard says so, "Restrictions and
limitations"). It is refused. `$ref`, `$id` and `$db` below the top are not: a reference (DBRef)
is no type but a convention, and stays the ordinary document that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from demijohn.errors import Fault
from demijohn.formats import extended_types as types
from demijohn.formats import json_faults
from demijohn.formats.bson_values import (
    BOOLEAN,
    DOUBLE,
    DOUBLE_BYTES,
    NULL,
    REFERENCE_KEYS,
    TIMESTAMP,
    Node,
    Value,
    close_node,
    encode,
)
from demijohn.formats.id_values import id_refusal, new_id_refusal
from demijohn.formats.json_faults import DEEP, LEVELS, MOST_FAULTS, NUL_KEY, pointer_to
from demijohn.formats.json_text import NO_OBJECT, invalid, parse_text

_WRAPPER_LEVELS = 3
"""The deepest wrapper: `{"$dbPointer":{"$id":{"$oid":…}}}`."""
_DOLLAR_KEY = (
    "The key starts with $ and is none of Extended JSON's. Operators such as $set are read in a "
    "PATCH of application/vnd.mongodb.update+json."
)
EMPTY_TIMESTAMP_FAULT = "MongoDB replaces a document's own timestamp of zeros by its clock."
EMPTY_TIMESTAMP = Value(TIMESTAMP, bytes(8))
_LEAVES: Mapping[type, Callable[[Any], Value]] = MappingProxyType(
    {
        str: types.string,
        int: types.integer,
        float: lambda number: Value(DOUBLE, DOUBLE_BYTES.pack(number)),
        bool: lambda truth: Value(BOOLEAN, b"\1" if truth else b"\0"),
        type(None): lambda _: Value(NULL, b""),
    }
)
_FAULTY = types.string("")
"""Stands for a value that is told as a fault."""

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ParsedExtended:
    """A document that can be kept: its fields in their order, `_id` set apart.

    `bson_values.encode` takes the fields. `id` is None when the client gave none.
    """

    fields: dict[str, Node]
    id: Value | None


def parse_extended(body: bytes) -> ParsedExtended:
    """Parse the text of one document.

    Raises MalformedJson as `parse_document` of plain JSON does; InvalidDocument, with up to 20
    pointers, for JSON that is no object or a type's wrapper, has documents and arrays nested deeper
    than 100 levels (then that is the only fault told), an object that has a wrapper's key and is
    not that wrapper, another key that starts with `$`, a key with U+0000, an integer outside
    signed 64 bits, a number that no double can hold, an empty timestamp among the document's own
    fields, or an `_id` that MongoDB does not take or no URL can name (more than 1,024 bytes).
    """
    node, faults = _resolve(body)
    if not isinstance(node, dict):
        raise invalid(faults or [NO_OBJECT])
    given = node.pop("_id", None)
    document_id = None if given is None else close_node(given)
    faults += _timestamp_faults(node)
    if document_id is not None and not faults:  # what has a fault may be no BSON
        faults = _id_faults(document_id)
    _raise(faults)
    return ParsedExtended(node, document_id)


def parse_extended_value(body: bytes, *, operators: bool = False) -> Node:
    """Parse any text: objects as `dict`, arrays as `list`, all else as closed values.

    With `operators` other keys that start with `$`, and `$regex`, are left as they are, for a
    caller that knows which of them it lets through. Raises what `parse_extended` does, apart from
    what concerns an object and its id.
    """
    node, faults = _resolve(body, operators=operators)
    if isinstance(node, dict) and not operators:
        faults += _timestamp_faults(node)
    _raise(faults)
    return node


def parse_extended_id(body: bytes) -> Value:
    """Parse the text of an `_id` that stands alone. Raises MalformedJson, InvalidDocument."""
    node, faults = _resolve(body)
    _raise(faults)
    document_id = close_node(node)
    refusal = id_refusal(document_id)
    _raise([Fault("", refusal)] if refusal is not None else [])
    return document_id


def _resolve(body: bytes, *, operators: bool = False) -> tuple[Node, list[Fault]]:
    value, is_exact = parse_text(body)
    if not is_exact or json_faults.has_wide_integer(body):
        # The careful parser recurses, and so must not be given just any depth.
        if json_faults.is_deep(value, LEVELS + _WRAPPER_LEVELS):
            raise invalid([json_faults.deep_fault(body) or Fault("", DEEP)])
        value = json_faults.parse_marked(body)
    resolver = _Resolver(operators=operators)
    return resolver.resolve(value, ()), resolver.faults


def _raise(faults: list[Fault]) -> None:
    if faults:
        raise invalid(faults[:MOST_FAULTS])


def _timestamp_faults(document: dict[str, Node]) -> list[Fault]:
    return [
        Fault(pointer_to((key,)), EMPTY_TIMESTAMP_FAULT)
        for key, node in document.items()
        if node == EMPTY_TIMESTAMP
    ]


def _id_faults(document_id: Value) -> list[Fault]:
    refusal = new_id_refusal(document_id)
    return [] if refusal is None else [Fault("/_id", refusal)]


@dataclass(frozen=True, slots=True)
class _Resolver:
    """Turns parsed JSON into nodes of BSON, and collects what is wrong on the way."""

    operators: bool
    faults: list[Fault] = field(default_factory=list)

    def resolve(self, value: Any, path: _Path) -> Node:  # noqa: ANN401 - any JSON value
        kind = type(value)
        if kind in _LEAVES:
            return _LEAVES[kind](value)
        if kind is dict:
            return self._object(value, path)
        if kind is list:
            self._check_level(path)
            return [self.resolve(child, (*path, at)) for at, child in enumerate(value)]
        return self._fault(path, value.detail)  # Unkept

    def _object(self, members: dict[str, Any], path: _Path) -> Node:
        key = types.wrapper_key(members) if any(each[:1] == "$" for each in members) else None
        if key is None or (key == types.OLD_REGEX and self.operators):
            return self._document(members, path)
        try:
            if members.keys() == {types.CODE, types.SCOPE}:
                return self._code_with_scope(members, path)
            return types.unwrap(key, members)
        except types.WrongType as wrong:
            return self._fault(path, str(wrong))

    def _document(self, members: dict[str, Any], path: _Path) -> dict[str, Node]:
        self._check_level(path)
        document = {}
        for key, child in members.items():
            here = (*path, key)
            if "\0" in key:
                self._fault(here, NUL_KEY)
            if key[:1] == "$" and not self.operators and not (path and key in REFERENCE_KEYS):
                self._fault(here, _DOLLAR_KEY)
            document[key] = self.resolve(child, here)
        return document

    def _code_with_scope(self, members: dict[str, Any], path: _Path) -> Value:
        scope = self.resolve(members[types.SCOPE], (*path, types.SCOPE))
        if not isinstance(scope, dict):
            raise types.WrongType("$scope is a document.")
        return types.code_with_scope(members[types.CODE], encode(scope))

    def _check_level(self, path: _Path) -> None:
        """Raise InvalidDocument where a document or an array at `path` is too deep."""
        if len(path) >= LEVELS:
            raise invalid([Fault(pointer_to(path), DEEP)])

    def _fault(self, path: _Path, detail: str) -> Value:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(pointer_to(path), detail))
        return _FAULTY
