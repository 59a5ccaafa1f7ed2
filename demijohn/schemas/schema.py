"""A collection's JSON Schema (2020-12), compiled, and documents held to it.

It stands for itself: a reference that leads out of it is refused, never fetched or opened. Formats
are asserted. Patterns run in an engine that never goes back, so that none of them blows up.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, cast

import jsonschema_rs
import orjson

from demijohn.errors import Fault, InvalidDocument, InvalidSchema
from demijohn.formats.json_faults import MOST_FAULTS, is_deep, pointer_to
from demijohn.formats.plain_in import parse_value
from demijohn.schemas.footprint import MOST, PatternLimit, footprint, pattern_limits
from demijohn.schemas.pace import Pace, pace_of
from demijohn.schemas.parts import Parts, Place, refusal
from demijohn.schemas.tales import Tales, weigh_document
from demijohn.schemas.ways import Keywords, whole_way
from demijohn.schemas.work import MOST_MATCHING, Cost, count_patterns, weigh

LARGEST = 256 * 1024
"""Bytes of a schema's text."""
DEEPEST = 50
"""Levels of a schema."""
_MOST_TO_SEARCH = 200
"""Values of a schema in which each fault of its form is looked for: one takes up to 20 KiB."""
_LONGEST_TO_SEARCH = 16 * 1024
"""Bytes of such a schema: a fault holds a copy of what is wrong."""
_MOST_TYPES = 7
"""That JSON Schema has."""
_LONGEST = 300
"""Characters of what is said of one fault."""
_META = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
_MASK = "the value"
"""What stands for a document's values in what is said of them."""
_NO_PATTERN = (
    "The regular expression is none, or too large, or looks around or back, which the engine used "
    "here never does."
)
_FORM = "It is no JSON Schema, and too large to say where."
_UNSEEN = (
    "The document does not fit its collection's schema; together they are too large to say where."
)
_TOO_HEAVY = (
    "Compiled, it would take too much memory: it has too many objects and other values in it, or "
    "too many large regular expressions."
)
_TOO_MUCH = (
    "The document has too many values or levels, or too much text for the regular expressions, to "
    "be held to its collection's schema."
)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Schema:
    """A schema that documents can be held to."""

    text: bytes
    """As JSON without needless spaces."""
    footprint: int
    """Bytes of memory that it may take, at most."""
    _validator: jsonschema_rs.Draft202012Validator
    _matching: int
    """Bytes of the compiled regular expressions that may look at one value, at most."""
    _cost: Cost
    _tales: Tales
    _pace: Pace | None

    def is_quick(self, text: bytes) -> bool:
        """Whether `fits` takes next to no time for the document in a JSON text, whatever it is."""
        return self._pace is not None and self._pace.is_quick(text)

    def fits(self, document: Any) -> bool:  # noqa: ANN401 - any JSON value
        """Whether `check` would raise nothing."""
        values, levels = _measure(document)
        return self._is_bearable(document, values, levels) and self._validator.is_valid(document)

    def check(self, document: Any) -> None:  # noqa: ANN401 - any JSON value
        """Hold a document in its plain JSON spelling to the schema.

        Raises InvalidDocument with up to 20 faults, each with a pointer into the document and one
        into the schema; with the first alone, or one for all of it, where more would take too much.
        """
        values, levels = _measure(document)
        if not self._is_bearable(document, values, levels):
            raise InvalidDocument(_TOO_MUCH, faults=(Fault("", _TOO_MUCH),))
        if self._validator.is_valid(document):
            return
        told = self._cost.is_tellable(values, levels) and self._tales.are_bearable(
            values, levels, weigh_document(document, values)
        )
        faults = self._faults(document, is_tellable=told)
        if not faults:
            raise InvalidDocument(_UNSEEN, faults=(Fault("", _UNSEEN),))
        raise InvalidDocument(
            f"The document does not fit its collection's schema: {faults[0].detail}", faults=faults
        )

    def _is_bearable(self, document: object, values: int, levels: int) -> bool:
        """Whether a document of so many values and levels can be looked at, yes or no."""
        if not self._cost.is_bearable(values, levels):
            return False
        return not self._matching or self._matching * len(orjson.dumps(document)) <= MOST_MATCHING

    def _faults(self, document: object, *, is_tellable: bool) -> tuple[Fault, ...]:
        """The faults, up to twenty; none where to look for any would take too much."""
        if is_tellable:
            errors = islice(self._validator.iter_errors(document), MOST_FAULTS)
            return self._told(errors, document)
        if not self._cost.has_choices:
            try:
                self._validator.validate(document)
            except jsonschema_rs.ValidationError as error:
                return self._told([error], document)
        return ()

    def _told(
        self, errors: Iterable[jsonschema_rs.ValidationError], document: object
    ) -> tuple[Fault, ...]:
        keywords = Keywords(self.text)
        return tuple(
            Fault(_pointer(each, document), _said(each), pointer_to(keywords.way(each.schema_path)))
            for each in errors
        )


def compile_schema(text: bytes) -> Schema:
    """The schema in a JSON text.

    Raises MalformedJson, InvalidDocument for numbers and depths that JSON is not read with here,
    and what `read_schema` raises.
    """
    return read_schema(parse_value(text, any_keys=True))


def read_form(text: bytes) -> dict[str, Any]:
    """The JSON of a schema, for those who show it; to hold documents to it takes `compile_schema`.

    Raises as that does, though not for the work that it would be.
    """
    value = parse_value(text, any_keys=True)
    _formed(value)
    return cast("dict[str, Any]", value)


def read_schema(value: Any, place: Place = ()) -> Schema:  # noqa: ANN401 - any JSON value
    """The schema that a JSON value is; `place` is where it stands, for the pointers.

    Raises InvalidSchema for what is no schema of JSON Schema 2020-12, does not stand for itself, or
    asks for more work than a request may take.
    """
    try:
        return _read(value)
    except InvalidSchema as problem:
        lead = pointer_to(place)
        faults = tuple(Fault(lead + each.pointer, each.detail) for each in problem.faults)
        raise InvalidSchema(problem.detail, faults=faults) from problem


def _read(value: Any) -> Schema:  # noqa: ANN401 - any JSON value
    # Before the compiler, which may follow references and takes memory for each pattern.
    text, parts = _formed(value)
    cost = weigh(parts)
    patterns = count_patterns(parts)
    held = _bearable(footprint(value, len(text), cost.parts))
    validator, limit = _compile(value, patterns)
    held = _bearable(held + limit.footprint(patterns))
    matching = cost.patterns * limit.size
    return Schema(text, held, validator, matching, cost, Tales.of(parts, cost), pace_of(parts))


def _formed(value: object) -> tuple[bytes, Parts]:
    """The text of a schema and what it is made of. Raises InvalidSchema for what is none."""
    if not isinstance(value, dict):
        raise refusal("A schema is an object here; {} takes every document.", ())
    text = orjson.dumps(value)
    if len(text) > LARGEST:
        raise refusal(f"A schema has at most {LARGEST:,} bytes.", ())
    if is_deep(value, DEEPEST):
        raise refusal(f"A schema has at most {DEEPEST} levels.", ())
    _check_form(value, len(text))
    return text, Parts(value)


def _bearable(held: int) -> int:
    """These bytes. Raises InvalidSchema where they are more than one schema may take."""
    if held > MOST:
        raise refusal(_TOO_HEAVY, ())
    return held


def _check_form(value: dict[str, Any], size: int) -> None:
    """Raise InvalidSchema where the meta-schema does not take it: keywords and their types."""
    form = _form()
    if form.is_valid(value):
        return
    faults: tuple[Fault, ...] = ()
    if size <= _LONGEST_TO_SEARCH and _measure(value)[0] <= _MOST_TO_SEARCH:
        errors = islice(form.iter_errors(value), MOST_FAULTS)
        faults = tuple(Fault(_pointer(each, value), _said(each)) for each in errors)
    elif not _has_choices_of_form(value):
        try:
            form.validate(value)
        except jsonschema_rs.ValidationError as error:
            faults = (Fault(_pointer(error, value), _said(error)),)
    if not faults:
        raise refusal(_FORM, ())
    raise InvalidSchema(f"It is no JSON Schema: {faults[0].detail}", faults=faults)


@cache
def _form() -> jsonschema_rs.Draft202012Validator:
    """The meta-schema: to compile it takes longer than any usual schema does."""
    return jsonschema_rs.Draft202012Validator(_META, offline=True)


def _has_choices_of_form(value: object) -> bool:
    """Whether the meta-schema's own alternatives meet much here: the engine keeps all their faults.

    `type` is one name or a list of them, and what is in `dependencies` a schema or a list.
    """
    waiting = [value]
    for each in waiting:  # which grows meanwhile
        if isinstance(each, dict):
            types = each.get("type")
            if "dependencies" in each or (isinstance(types, list) and len(types) > _MOST_TYPES):
                return True
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return False


def _compile(
    value: dict[str, Any], patterns: int
) -> tuple[jsonschema_rs.Draft202012Validator, PatternLimit]:
    """The schema under the smallest limit that its patterns fit, and that limit."""
    try:
        return _fitting(value, pattern_limits(patterns))
    except jsonschema_rs.ValidationError as error:
        words = _NO_PATTERN if error.kind.name == "format" else _said(error)
        raise refusal(words, tuple(error.instance_path)) from error
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise refusal("The schema cannot be compiled.", ()) from error


def _fitting(
    value: dict[str, Any], limits: list[PatternLimit]
) -> tuple[jsonschema_rs.Draft202012Validator, PatternLimit]:
    *smaller, largest = limits
    for limit in smaller:
        with suppress(jsonschema_rs.ValidationError):  # the largest says why
            return _compiled(value, limit), limit
    return _compiled(value, largest), largest


def _compiled(value: dict[str, Any], limit: PatternLimit) -> jsonschema_rs.Draft202012Validator:
    options = jsonschema_rs.RegexOptions(size_limit=limit.size, dfa_size_limit=limit.cache)
    return jsonschema_rs.Draft202012Validator(
        value, validate_formats=True, offline=True, mask=_MASK, pattern_options=options
    )


def _pointer(error: jsonschema_rs.ValidationError, value: object) -> str:
    return pointer_to(whole_way(value, error.instance_path, lambda: error.instance))


def _said(error: jsonschema_rs.ValidationError) -> str:
    words = error.message
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def _measure(document: object) -> tuple[int, int]:
    """How many values a document has, itself and all containers too, and how many levels."""
    values, levels, level = 1, 0, [document]
    while level:
        inside: list[object] = []
        for each in level:
            if type(each) is dict:
                inside += each.values()
            elif type(each) is list:
                inside += each
        values, levels, level = values + len(inside), levels + 1, inside
    return values, levels
