"""Extended JSON in both directions, and BSON that others have written on its way out."""

from __future__ import annotations

import json

import bson
from bson import json_util
from bson.errors import BSONError
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import InternalError, InvalidDocument, MalformedJson, Problem
from demijohn.formats.bson_values import (
    CODEC,
    close_node,
    encode,
    first_member,
    from_python,
    open_document,
)
from demijohn.formats.extended_in import ParsedExtended, parse_extended, parse_extended_value
from demijohn.formats.extended_out import render, render_value
from demijohn.formats.spelling import Spelling
from tests.support.fuzz import attempt, fuzz
from tests.support.fuzz_bson import WRAPPED, documents, mangled
from tests.support.fuzz_texts import LEAVES, dumped, objects, spoilt, values

_LEAVES = LEAVES | dumped(WRAPPED) | dumped(WRAPPED)
TEXTS = spoilt(objects(_LEAVES), most=2)
VALUES = spoilt(values(_LEAVES), most=2) | st.binary(max_size=20)
_DRIVER = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    tz_aware=False,
    uuid_representation=CODEC.uuid_representation,
    datetime_conversion=CODEC.datetime_conversion,
)
_OURS_ALONE = (b"$symbol", b"$undefined", b"$dbPointer", b"$ref", b"$reg", b"z")
"""What the driver reads as something else, in another order, without some letters, or not."""


@fuzz(1500)
@given(TEXTS)
def test_documents(body: bytes) -> None:
    """Any bytes are a document whose canonical spelling comes back as its bytes, or a refusal."""
    found = attempt(lambda: parse_extended(body), MalformedJson, InvalidDocument, given=body)
    if isinstance(found, ParsedExtended):
        stored = encode({"_id": found.id or from_python(1), **found.fields})
        bson.decode(stored, CODEC)
        canonical = render(stored, canonical=True)
        again = parse_extended(canonical)
        assert encode({"_id": again.id or from_python(1), **again.fields}) == stored
        check_relaxed(stored)


def check_relaxed(stored: bytes) -> None:
    """Hold the relaxed spelling to what it promises: it is read as what is spelt so again."""
    relaxed = render(stored, canonical=False)
    node = parse_extended_value(relaxed)
    assert isinstance(node, dict)
    assert render(encode(node), canonical=False) == relaxed
    assert json.loads(relaxed) is not None


@fuzz(1500)
@given(VALUES, st.booleans())
def test_values(body: bytes, operators: bool) -> None:  # noqa: FBT001 - drawn
    """Any bytes are a value of BSON, with operators let through or not, or a refusal."""
    found = attempt(
        lambda: parse_extended_value(body, operators=operators),
        MalformedJson,
        InvalidDocument,
        given=body,
    )
    if not isinstance(found, Problem):
        text = render_value(close_node(found), canonical=True)
        again = parse_extended_value(text, operators=operators)
        assert render_value(close_node(again), canonical=True) == text


@fuzz(2000)
@given(dumped(st.dictionaries(st.sampled_from("ab"), WRAPPED, min_size=1, max_size=2)))
def test_the_driver_reads_the_same(body: bytes) -> None:
    """What the driver's own reader makes bytes of, and ours takes, has the same bytes."""
    found = attempt(lambda: parse_extended(body), MalformedJson, InvalidDocument, given=body)
    if isinstance(found, Problem) or any(each in body for each in _OURS_ALONE):
        return
    try:
        read = json_util.loads(body, json_options=_DRIVER)
    except OverflowError:  # a date in no year of UTC, which BSON has
        return
    assert encode(found.fields) == bson.encode(read)


@fuzz(1500)
@given(documents(), st.sampled_from(Spelling))
def test_what_others_have_stored(document: bytes, spelling: Spelling) -> None:
    """A whole document of any types and any bytes in its strings has a spelling that is JSON."""
    text = spelling.render(document)
    assert text.endswith(b"\n")
    assert b"\n" not in text[:-1]
    json.loads(text, parse_constant=_refused)
    assert b"".join(spelling.render_lines(iter([document * 3]))) == text * 3


def _refused(name: str) -> None:
    raise ValueError(name)


@fuzz(2000)
@given(mangled(documents()), st.sampled_from(Spelling))
def test_damaged_documents(document: bytes, spelling: Spelling) -> None:
    """Bytes that are no BSON are told as damaged, by every reader; or they have a spelling."""
    text = attempt(lambda: spelling.render(document), InternalError)
    if isinstance(text, bytes):
        json.loads(text, parse_constant=_refused)
    attempt(lambda: b"".join(spelling.render_lines(iter([document]))), InternalError)
    opened = attempt(lambda: open_document(document), InternalError)
    attempt(lambda: first_member(document, "b"), InternalError)
    if isinstance(opened, dict):
        assert open_document(encode(opened)) == opened
    elif can_decode(document):
        raise AssertionError(document)


def can_decode(document: bytes) -> bool:
    """Whether the driver makes something of these bytes."""
    try:
        bson.decode(document, CODEC)
    except (BSONError, ValueError, TypeError, OverflowError):
        return False
    return True
