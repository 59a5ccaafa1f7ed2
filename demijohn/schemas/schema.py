"""A collection's JSON Schema (2020-12), compiled, and documents held to it.

It stands for itself: a reference that leads out of it is refused, never fetched or opened. Formats
are asserted. Patterns run in an engine that never goes back, so that none of them blows up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import orjson

from demijohn.errors import Fault, InvalidDocument, InvalidSchema
from demijohn.formats.json_faults import LEVELS, MOST_FAULTS, is_deep, pointer_to
from demijohn.formats.json_text import parse_text
from demijohn.schemas.cost import MOST, Cost, subschemas

LARGEST = 256 * 1024
"""Bytes of a schema's text."""
DEEPEST = 50
"""Levels of a schema."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES = ("$ref", "$dynamicRef")
_PATTERN_BYTES = 1024 * 1024
"""What one pattern may take, compiled."""
_LONGEST = 300
"""Characters of what is said of one fault: it may quote the document."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that documents can be held to."""

    text: bytes
    """As JSON without needless spaces."""
    validator: jsonschema_rs.Draft202012Validator
    deepest: int
    """Levels of the deepest document that it can be asked about."""

    def check(self, document: Any) -> None:  # noqa: ANN401 - any JSON value
        """Hold a document in its plain JSON spelling to the schema.

        Raises InvalidDocument with up to 20 faults, each with a pointer into the document and one
        into the schema.
        """
        if self.deepest < LEVELS and is_deep(document, self.deepest):
            detail = f"Under this collection's schema a document has at most {self.deepest} levels."
            raise InvalidDocument(detail, faults=(Fault("", detail),))
        if self.validator.is_valid(document):
            return
        faults = []
        for error in self.validator.iter_errors(document):
            faults.append(_fault(error))
            if len(faults) == MOST_FAULTS:
                break
        raise InvalidDocument(
            f"The document does not fit its collection's schema: {faults[0].detail}",
            faults=tuple(faults),
        )


def compile_schema(body: bytes, place: Sequence[str | int] = ()) -> Schema:
    """The schema in a JSON text; `place` is where it stands, for the pointers.

    Raises MalformedJson, InvalidDocument for a text too deep for JSON, InvalidSchema.
    """
    value, _ = parse_text(body)
    if len(body) > LARGEST:
        raise _refusal(f"A schema has at most {LARGEST:,} bytes.", place)
    if not isinstance(value, dict):
        raise _refusal("A schema is an object here.", place)
    if is_deep(value, DEEPEST):
        raise _refusal(f"A schema has at most {DEEPEST} levels.", place)
    _check_dialect(value, place)
    _check_references(value, place)
    try:
        cost = Cost(value)
        looks, deepest = cost.looks(), cost.deepest(LEVELS)
    except RecursionError:
        raise _refusal("Too many references lead from one to the next.", place) from None
    if looks > MOST:
        raise _refusal(f"More than {MOST:,} subschemas look at one part of a document.", place)
    return Schema(orjson.dumps(value), _compile(value, place), deepest)


def _compile(value: Any, place: Sequence[str | int]) -> jsonschema_rs.Draft202012Validator:  # noqa: ANN401
    try:
        return jsonschema_rs.Draft202012Validator(
            value,
            validate_formats=True,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(
                size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
            ),
        )
    except jsonschema_rs.ValidationError as error:
        raise _refusal(error.message[:_LONGEST], (*place, *error.instance_path)) from error
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise _refusal("The schema cannot be compiled.", place) from error


def _check_dialect(value: dict[str, Any], place: Sequence[str | int]) -> None:
    for each in subschemas(value):
        named = each.get("$schema", _DIALECT)
        if isinstance(named, str) and named.rstrip("#") != _DIALECT:
            raise _refusal(f"$schema is {_DIALECT} or nothing here.", place)


def _check_references(value: dict[str, Any], place: Sequence[str | int]) -> None:
    cost = Cost(value)
    for each in subschemas(value):
        if each is not value and isinstance(each.get("$id"), str):
            raise _refusal("Inside a schema there is no $id here.", place)
        for name in _REFERENCES:
            target = each.get(name)
            if not isinstance(target, str):
                continue
            if not target.startswith("#"):
                raise _refusal(f"{name} leads out of the schema; none is followed.", place)
            if cost.resolve(target) is None:
                raise _refusal(f"{name} leads to nothing: {target[:100]}", place)


def _fault(error: jsonschema_rs.ValidationError) -> Fault:
    detail = error.message
    if len(detail) > _LONGEST:
        detail = f"{detail[:_LONGEST]}…"
    return Fault(_pointer(error.instance_path), detail, _pointer(error.schema_path))


def _pointer(path: Iterable[str | int]) -> str:
    return pointer_to(tuple(path))


def _refusal(detail: str, place: Sequence[str | int]) -> InvalidSchema:
    return InvalidSchema(detail, faults=(Fault(_pointer(place), detail),))
