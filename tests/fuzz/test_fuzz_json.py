"""Plain JSON to BSON: any bytes are what another parser reads, or the one refusal that fits."""

from __future__ import annotations

import json
import math
from typing import Any

import bson
from hypothesis import example, given
from hypothesis import strategies as st

from demijohn.errors import InvalidDocument, MalformedJson, Problem
from demijohn.formats.bson_values import from_python
from demijohn.formats.json_faults import LEVELS
from demijohn.formats.plain_in import encode_fields, parse_document, parse_value
from demijohn.formats.plain_out import render_document
from demijohn.formats.spelling import Draft, read_draft
from tests.support.fuzz import attempt, fuzz
from tests.support.fuzz_texts import LEAVES, objects, spoilt, values

TEXTS = spoilt(values() | objects()) | st.binary(max_size=30)
DOCUMENTS = spoilt(objects())
_TOO_DEEP = object()


def read_slowly(body: bytes) -> Any:
    """What the standard library reads; `_TOO_DEEP` past its stack. Raises ValueError.

    Of what it lets through beyond RFC 8259, names of numbers are refused here.
    """
    try:
        return json.loads(body.decode(), parse_int=_integer, parse_constant=_refused)
    except RecursionError:
        return _TOO_DEEP


def _integer(text: str) -> int | float:
    return int(text) if len(text) < 1_000 else math.inf


def _refused(name: str) -> None:
    raise ValueError(name)


def is_kept(value: Any, *, any_keys: bool = False, level: int = 1) -> bool:
    """Whether a value can be kept unchanged: its keys, its numbers, and its depth."""
    if level > LEVELS and isinstance(value, dict | list):
        return False
    if isinstance(value, dict):
        keys = any_keys or not any(key.startswith("$") or "\0" in key for key in value)
        inner = all(is_kept(each, any_keys=any_keys, level=level + 1) for each in value.values())
        return keys and inner
    if isinstance(value, list):
        return all(is_kept(each, any_keys=any_keys, level=level + 1) for each in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def is_text(value: Any) -> bool:
    """Whether all strings of a value are Unicode: no half of a surrogate pair is among them."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            pending += [*each, *each.values()]
        elif isinstance(each, list):
            pending += each
        elif isinstance(each, str) and any("\ud800" <= letter <= "\udfff" for letter in each):
            return False
    return True


def is_same(left: Any, right: Any) -> bool:
    """Whether two values are equal in their types, their zeros' signs and their order too."""
    return json.dumps(left) == json.dumps(right)


def check_against_another(body: bytes, found: Any, *, any_keys: bool = False) -> None:
    """Hold what a parser of plain JSON says of a text to what the standard library says."""
    try:
        value = read_slowly(body)
    except ValueError:
        assert isinstance(found, MalformedJson)
        return
    if value is _TOO_DEEP:
        assert isinstance(found, Problem)
    elif not is_text(value):
        # The fast parser meets the depth first, or the half pair: both are told truly.
        assert isinstance(found, MalformedJson) or not is_kept(value, any_keys=any_keys)
    elif is_kept(value, any_keys=any_keys):
        assert not isinstance(found, Problem)
        assert is_same(found, value)
    else:
        assert isinstance(found, InvalidDocument)


@fuzz(2500)
@given(TEXTS, st.booleans())
@example(b'{"a":1e999,"a":1}', False)
@example(b"[" * 1024 + b"]" * 1024, True)
def test_values(body: bytes, any_keys: bool) -> None:  # noqa: FBT001 - drawn
    """Any bytes are the value that another parser reads, malformed, or not to be kept."""
    found = attempt(
        lambda: parse_value(body, any_keys=any_keys), MalformedJson, InvalidDocument, given=body
    )
    check_against_another(body, found, any_keys=any_keys)


@fuzz(2000)
@given(DOCUMENTS)
def test_documents(body: bytes) -> None:
    """What is taken as a document is kept as it was written, whatever its `_id` is."""
    found = attempt(lambda: parse_document(body), MalformedJson, InvalidDocument, given=body)
    if isinstance(found, Problem):
        if isinstance(found, InvalidDocument):
            value = read_slowly(body)
            assert not (isinstance(value, dict) and is_kept(value) and "_id" not in value)
        return
    value = read_slowly(body)
    given_id = value.pop("_id", None)
    assert (found.id is None) == (given_id is None)
    assert is_same(found.fields, value)
    assert is_same(bson.decode(encode_fields(found.fields)), value)


@fuzz(1500)
@given(DOCUMENTS)
def test_documents_come_back(body: bytes) -> None:
    """What is stored is spelt so that it is read to the same bytes, and spelt so again."""
    draft = attempt(
        lambda: read_draft(body, extended=False), MalformedJson, InvalidDocument, given=body
    )
    if isinstance(draft, Draft):
        stored = draft.under(draft.id or from_python("x"))
        text = render_document(stored)
        again = read_draft(text, extended=False)
        assert again.id is not None
        assert again.under(again.id) == stored
        assert render_document(stored) == text


@fuzz(1000)
@given(st.lists(st.tuples(st.sampled_from([b"[", b'{"a":']), LEAVES), max_size=3), st.data())
def test_depths(inside: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """Any nesting around the bounds of ours and of the parser's is a value or a refusal."""
    levels = data.draw(st.sampled_from([98, 99, 100, 101, 102, 253, 254, 255, 1000, 1023, 1024]))
    levels += data.draw(st.integers(0, 3))
    opened = data.draw(st.lists(st.sampled_from([b"[", b'{"a":']), min_size=1, max_size=4))
    lead = [opened[at % len(opened)] for at in range(levels)]
    tail = [b"]" if each == b"[" else b"}" for each in reversed(lead)]
    cut = data.draw(st.integers(0, 2))
    core = b"".join(bracket + leaf for bracket, leaf in inside) or b"1"
    body = b"".join(lead) + core + b"".join(tail[: len(tail) - cut])
    found = attempt(lambda: parse_value(body), MalformedJson, InvalidDocument, given=body)
    check_against_another(body, found)
