"""The id of a document: which it has, and that it stays."""

from __future__ import annotations

from demijohn.errors import BadParameter, Fault, InvalidDocument
from demijohn.formats.bson_values import Value, first_member
from demijohn.formats.id_values import new_id_refusal
from demijohn.patches.given import same_plain


def id_of(document: bytes) -> Value:
    """The `_id` of a stored document, which MongoDB keeps in the first place."""
    found = first_member(document, "_id")
    assert found is not None
    return found


def check_same_id(given: Value | None, document_id: Value) -> None:
    """Raise InvalidDocument where a body's `_id` is another than the URL's in plain spelling."""
    if given is not None and not same_plain(given, document_id):
        fault = Fault("/_id", "It differs from the id in the URL, and an id cannot be changed.")
        raise InvalidDocument("The body's _id is not the URL's.", faults=(fault,))


def check_new_id(document_id: Value) -> None:
    """Raise BadParameter for an id of the URL's that no new document can have: it is too long."""
    refusal = new_id_refusal(document_id)
    if refusal is not None:
        raise BadParameter(refusal)
