"""The id of a document: which it has, and that it stays."""

from __future__ import annotations

from demijohn.errors import BadParameter, Fault, InvalidDocument
from demijohn.formats.bson_values import Value, elements
from demijohn.formats.extended_out import render_value
from demijohn.formats.id_values import LONGEST_ID
from demijohn.formats.plain_out import plain_value


def id_of(document: bytes) -> Value:
    """The `_id` of a stored document, which MongoDB keeps in the first place."""
    return next(value for name, value in elements(document) if name == "_id")


def check_same_id(given: Value | None, document_id: Value) -> None:
    """Raise InvalidDocument where a body's `_id` is another than the URL's in plain spelling."""
    if given is not None and not same_id(given, document_id):
        fault = Fault("/_id", "It differs from the id in the URL, and an id cannot be changed.")
        raise InvalidDocument("The body's _id is not the URL's.", faults=(fault,))


def check_length(document_id: Value) -> None:
    """Raise BadParameter for an id of the URL's that a new document cannot have: it is too long."""
    if len(render_value(document_id, canonical=True)) > LONGEST_ID:
        raise BadParameter(f"An _id is at most {LONGEST_ID:,} bytes long, as JSON.")


def same_id(one: Value, other: Value) -> bool:
    """Whether two ids are one to a reader of plain JSON."""
    return bool(plain_value(one) == plain_value(other))
