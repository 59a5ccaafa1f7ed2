"""Patches of five kinds on any stored document: a document that can be kept, or a refusal."""

from __future__ import annotations

import json
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from demijohn.documents.change import Become, Modify
from demijohn.documents.patch import READERS
from demijohn.errors import (
    ForbiddenOperator,
    InvalidDocument,
    InvalidPatch,
    MalformedJson,
    Problem,
    TooLarge,
)
from demijohn.formats import media_types
from demijohn.formats.bson_values import (
    CODEC,
    DOCUMENT,
    Node,
    Value,
    elements,
    encode,
    from_python,
    open_document,
)
from demijohn.formats.extended_out import render
from demijohn.formats.json_faults import is_deep
from demijohn.patches import json_patch
from demijohn.patches.faults import Unfit
from demijohn.patches.pointer import parse
from tests.support.fuzz import attempt, fuzz
from tests.support.fuzz_bson import documents
from tests.support.fuzz_patches import JSON_PATCHES, MERGES, PLAIN, UPDATES
from tests.support.fuzz_texts import array, dumped, spoilt, values

_UNREAD = (MalformedJson, InvalidDocument, InvalidPatch, ForbiddenOperator)
PLAIN_OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "", "é"]), PLAIN, max_size=4)


def stored(document: bytes) -> bytes:
    """A document as it stands in the database: its id first, and all else that others wrote."""
    rest = [each for each in open_document(document).items() if each[0] != "_id"]
    return encode({"_id": from_python("ada"), **dict(rest)})


def patched(media_type: str, body: bytes, document: bytes) -> Become | Modify | Problem:
    """What a patch in a body makes of a document."""
    edit = attempt(lambda: READERS[media_type](body), *_UNREAD, given=body)
    if isinstance(edit, Problem):
        return edit
    return attempt(lambda: edit(document), InvalidPatch, TooLarge)


def check_kept(outcome: Become | Modify | Problem, before: bytes) -> None:
    """Hold a document that a patch has made to what every stored one is."""
    if not isinstance(outcome, Become):
        return
    assert outcome.document is not None
    members = list(elements(outcome.document))
    assert members[0] == ("_id", from_python("ada"))
    names = [name for name, _ in members]
    assert len(set(names)) == len(names)
    assert not any(name.startswith("$") or "\0" in name for name in names)
    was_deep = is_deep(bson.decode(before, CODEC))
    assert was_deep or not is_deep(bson.decode(outcome.document, CODEC))


@fuzz(1500)
@given(
    spoilt(dumped(MERGES), most=1) | values(),
    documents(),
    st.sampled_from([media_types.MERGE_PATCH, media_types.EXTENDED, media_types.PLAIN]),
)
def test_merges(body: bytes, document: bytes, media_type: str) -> None:
    """A merge patch makes a document that can be kept, on which it changes nothing again."""
    before = stored(document)
    outcome = patched(media_type, body, before)
    check_kept(outcome, before)
    if isinstance(outcome, Become) and outcome.document is not None:
        assert patched(media_type, body, outcome.document) == outcome


def merge_patch(target: Any, patch: Any) -> Any:
    """The pseudo code of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


@fuzz(1000)
@given(PLAIN_OBJECTS, PLAIN_OBJECTS)
def test_merges_are_the_standards(document: dict[str, Any], patch: dict[str, Any]) -> None:
    """On plain documents the outcome is what the standard's own lines make of them."""
    before = bson.encode({"_id": "ada", **document})
    body = json.dumps(patch).encode()
    outcome = patched(media_types.MERGE_PATCH, body, before)
    if isinstance(outcome, Become):
        assert outcome.document == bson.encode(merge_patch({"_id": "ada", **document}, patch))


@fuzz(1500)
@given(spoilt(dumped(JSON_PATCHES), most=1), documents() | PLAIN_OBJECTS.map(bson.encode))
def test_json_patches(body: bytes, document: bytes) -> None:
    """A list of operations makes a document that can be kept; none of them alone is told wrong."""
    before = stored(document)
    outcome = patched(media_types.JSON_PATCH, body, before)
    check_kept(outcome, before)


@fuzz(1500)
@given(st.lists(JSON_PATCHES, max_size=2), documents() | PLAIN_OBJECTS.map(bson.encode))
def test_operations_one_by_one(patches: list[Any], document: bytes) -> None:
    """Operations together are the operations one by one, up to the same one that does not fit."""
    try:
        operations = json_patch.parse([each for patch in patches for each in patch])
    except (InvalidPatch, TypeError):
        return
    before = open_document(stored(document))
    one_by_one: dict[str, Node] | Problem = before
    for index, operation in enumerate(operations):
        assert isinstance(one_by_one, dict)
        one_by_one = applied(one_by_one, operation)
        if isinstance(one_by_one, Problem):
            together = applied(before, *operations)
            assert isinstance(together, Problem)
            assert together.extra == {"operation": index}
            return
    assert applied(before, *operations) == one_by_one


def applied(
    document: dict[str, Node], *operations: json_patch.Operation
) -> dict[str, Node] | Problem:
    """What operations make of a document."""
    return attempt(lambda: json_patch.apply(document, operations), InvalidPatch, TooLarge)


@fuzz(1500)
@given(spoilt(dumped(UPDATES), most=1), documents())
def test_updates(body: bytes, document: bytes) -> None:
    """An update is a refusal, or allowed operators with arguments that are read so again."""
    outcome = patched(media_types.UPDATE, body, stored(document))
    if isinstance(outcome, Modify):
        for argument in outcome.update.values():
            bson.decode(argument.raw, CodecOptions(RawBSONDocument))
        update = encode({name: _document(each) for name, each in outcome.update.items()})
        again = patched(media_types.UPDATE, render(update, canonical=True), stored(document))
        assert again == outcome


def _document(raw: RawBSONDocument) -> Value:
    return Value(DOCUMENT, bytes(raw.raw))


@fuzz(1000)
@given(st.text("/~01a-", max_size=8) | st.text(max_size=8))
def test_pointers(text: str) -> None:
    """A JSON Pointer is its tokens, which spell it again, or a refusal."""
    try:
        tokens = parse(text)
    except Unfit:
        assert (text and text[0] != "/") or "~" in text
        return
    spelt = "".join("/" + each.replace("~", "~0").replace("/", "~1") for each in tokens)
    assert spelt == text


@fuzz(500)
@given(st.lists(spoilt(values(), most=1), max_size=3).map(array), documents())
def test_any_json_as_a_patch(body: bytes, document: bytes) -> None:
    """Any JSON at all is no harm as a patch of any kind."""
    for media_type in READERS:
        outcome = patched(media_type, body, stored(document))
        check_kept(outcome, stored(document))
