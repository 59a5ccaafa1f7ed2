"""Plain JSON on its way in: the text of one document to BSON, or why not.

"Plain" means that nothing is guessed: a string stays a string, whatever it looks like. The one
exception is `_id`, where 24 hex digits are an ObjectId, as they are in a URL.

What is refused is what could not be read back unchanged (`InvalidDocument`) and what is no JSON
by RFC 8259 (`MalformedJson`). Of members with the same key the last wins, in the place of the
first, as in most parsers; the standard leaves it open.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import bson
from bson.errors import BSONError
from bson.objectid import ObjectId

from demijohn.errors import Fault
from demijohn.formats import json_faults
from demijohn.formats.bson_values import from_python
from demijohn.formats.id_values import HEX_ID, new_id_refusal
from demijohn.formats.json_text import NO_OBJECT, invalid, parse_text

DocumentId: TypeAlias = ObjectId | str | int | float | dict[str, Any]
"""What plain JSON can give as `_id`."""


class ParsedDocument(NamedTuple):
    """A document that can be kept: its fields in their order, `_id` set apart.

    `id` is None when the client gave none. A client can't give null: that is refused.
    """

    fields: dict[str, Any]
    id: DocumentId | None


def parse_document(body: bytes) -> ParsedDocument:
    """Parse the text of one JSON object.

    Raises MalformedJson, with the members `line` and `column` (in characters, from 1), for
    what is not JSON in UTF-8; InvalidDocument, with up to 20 pointers, for JSON that is not an
    object, is nested deeper than 100 levels (then the first such place is the only fault told),
    has a key that starts with `$` or holds U+0000, an integer outside signed 64 bits, a number
    that no double can hold, or an `_id` that no URL can name (null, a boolean, an array, more than
    1,024 bytes).
    """
    value, is_exact = _parse_shallow(body)
    if type(value) is not dict:
        raise invalid([NO_OBJECT])
    _refuse(_faults(body, is_exact=is_exact, more=_id_fault(value)))
    return ParsedDocument(id=_take_id(value), fields=value)


def parse_value(body: bytes, *, any_keys: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Parse any JSON text whose values may become part of a document, as those of a patch do.

    `any_keys` lets keys pass that no document may have: the caller sees to them where it matters.
    Raises what `parse_document` does, apart from what concerns objects and ids.
    """
    value, is_exact = _parse_shallow(body)
    if not is_exact or json_faults.may_have_faults(body):
        _refuse(json_faults.find_faults(body, any_keys=any_keys))
    return value


def encode_fields(fields: dict[str, Any]) -> bytes:
    """BSON of a document's fields, in their order. Raises InvalidDocument for what BSON refuses."""
    try:
        return bson.encode(fields)
    except (BSONError, OverflowError, UnicodeError, RecursionError):
        raise invalid([Fault("", "The document has no BSON spelling.")]) from None


def _parse_shallow(body: bytes) -> tuple[Any, bool]:
    value, is_exact = parse_text(body)
    if body.count(b"[") + body.count(b"{") > json_faults.LEVELS and json_faults.is_deep(value):
        raise invalid([json_faults.deep_fault(body) or Fault("", json_faults.DEEP)])
    return value, is_exact


def _faults(body: bytes, *, is_exact: bool, more: list[Fault]) -> list[Fault]:
    """Those of the text, if it may have any, and then more, but for what is told more closely."""
    if is_exact and not more and not json_faults.may_have_faults(body):
        return []
    found = json_faults.find_faults(body)
    found += [each for each in more if not any(_is_within(fault, each) for fault in found)]
    return found[: json_faults.MOST_FAULTS]


def _is_within(fault: Fault, other: Fault) -> bool:
    return fault.pointer.startswith(f"{other.pointer}/")


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise invalid(faults)


def _id_fault(document: dict[str, Any]) -> list[Fault]:
    if "_id" not in document:
        return []
    try:
        refusal = new_id_refusal(from_python(_spelt(document["_id"])))
    except (BSONError, OverflowError, UnicodeError):
        return []  # told by its own place
    return [] if refusal is None else [Fault("/_id", refusal)]


def _spelt(given: DocumentId) -> DocumentId:
    """What stands for an ObjectId as one; anything else as it is."""
    if type(given) is str and HEX_ID.fullmatch(given):
        return ObjectId(given)
    return given


def _take_id(document: dict[str, Any]) -> DocumentId | None:
    return _spelt(document.pop("_id")) if "_id" in document else None
