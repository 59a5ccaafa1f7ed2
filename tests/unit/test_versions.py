"""Entity tags and the conditions that name them."""

from __future__ import annotations

import bson
import pytest
from bson import Int64

from demijohn.documents.versions import Condition, Tags, digest, parse_tags, tag
from demijohn.errors import BadParameter, PreconditionFailed
from demijohn.formats.spelling import Spelling

ONE = bson.encode({"_id": 1, "n": 1})
OTHER = bson.encode({"_id": 1, "n": 1.0})
P = Spelling.PLAIN


def _passes(condition: Condition, document: bytes | None) -> bool:
    try:
        condition.check(document, P)
    except PreconditionFailed:
        return False
    return True


def test_equal_numbers_are_different_versions() -> None:
    """1, 1.0 and a 64-bit 1 are equal to MongoDB, and three versions here."""
    wide = bson.encode({"_id": 1, "n": Int64(1)})
    assert len({digest(ONE), digest(OTHER), digest(wide)}) == 3


def test_a_tag_is_strong_quoted_and_of_its_spelling() -> None:
    """The digest, a dot and the spelling's letter, in quotes."""
    tags = [tag(digest(ONE), spelling) for spelling in Spelling]
    assert tags == [f'"{digest(ONE)}.{letter}"' for letter in "prc"]
    assert len(digest(ONE)) == 32


@pytest.mark.parametrize(
    ("text", "strong", "weak"),
    [
        ('"a.p"', {"a.p"}, set()),
        ('"a.p", "b.c"', {"a.p", "b.c"}, set()),
        ('"a.p","b.c"', {"a.p", "b.c"}, set()),
        ('W/"a.p" , "b"', {"b"}, {"a.p"}),
        ('""', {""}, set()),
        ('"with, comma"', None, None),
        ('"with,comma"', {"with,comma"}, set()),
    ],
)
def test_lists_of_tags(text: str, strong: set[str] | None, weak: set[str] | None) -> None:
    """The grammar of RFC 9110, 8.8.3: no blanks inside a tag, commas allowed there."""
    if strong is None or weak is None:
        with pytest.raises(BadParameter):
            parse_tags("If-Match", text)
    else:
        assert parse_tags("If-Match", text) == Tags(False, frozenset(strong), frozenset(weak))


@pytest.mark.parametrize("text", ["", "a.p", '"a', '*, "a"', '"a" "b"', 'w/"a"', "'a'", ","])
def test_what_is_no_list_of_tags(text: str) -> None:
    """Is refused: passing over a condition would be a lost update."""
    with pytest.raises(BadParameter):
        parse_tags("If-Match", text)


def test_no_header_is_no_condition() -> None:
    """And a condition of nothing is met by anything."""
    assert parse_tags("If-Match", None) is None
    assert not Condition().is_given
    assert _passes(Condition(), ONE)
    assert _passes(Condition(), None)


def test_if_match() -> None:
    """Any spelling's tag of the very bytes passes, weak ones never, and `*` where there is one."""
    for spelling in Spelling:
        given = Condition(match=parse_tags("If-Match", f'"x", {tag(digest(ONE), spelling)}'))
        assert _passes(given, ONE)
        assert not _passes(given, OTHER)
        assert not _passes(given, None)
    for unknown in (f'"{digest(ONE)}"', f'"{digest(ONE)}.z"', f'"{digest(ONE)}.p.p"'):
        assert not _passes(Condition(match=parse_tags("If-Match", unknown)), ONE)
    weak = Condition(match=parse_tags("If-Match", f"W/{tag(digest(ONE), P)}"))
    assert not _passes(weak, ONE)
    anything = Condition(match=Tags(any=True))
    assert _passes(anything, ONE)
    assert not _passes(anything, None)


def test_if_none_match() -> None:
    """Excludes the bytes that a tag names, weak or not, and with `*` any document."""
    for text in (tag(digest(ONE), P), f"W/{tag(digest(ONE), Spelling.CANONICAL)}"):
        given = Condition(none_match=parse_tags("If-None-Match", text))
        assert not _passes(given, ONE)
        assert _passes(given, OTHER)
        assert _passes(given, None)
    anything = Condition(none_match=Tags(any=True))
    assert not _passes(anything, ONE)
    assert _passes(anything, None)


def test_a_copy_is_fresh_in_its_own_spelling() -> None:
    """304 is for the client whose copy is these bytes in this spelling, or for `*`."""
    mine = Condition(none_match=parse_tags("If-None-Match", f"W/{tag(digest(ONE), P)}"))
    assert mine.is_fresh(digest(ONE), P)
    assert not mine.is_fresh(digest(ONE), Spelling.CANONICAL)
    assert not mine.is_fresh(digest(OTHER), P)
    assert Condition(none_match=Tags(any=True)).is_fresh(digest(ONE), P)
    assert not Condition().is_fresh(digest(ONE), P)


def test_a_refusal_has_the_present_version() -> None:
    """412 comes with the ETag of the document as it is, in the spelling asked for."""
    stale = Condition(match=parse_tags("If-Match", tag(digest(OTHER), P)))
    with pytest.raises(PreconditionFailed) as caught:
        stale.check(ONE, Spelling.RELAXED)
    assert caught.value.headers == (("ETag", tag(digest(ONE), Spelling.RELAXED)),)
    with pytest.raises(PreconditionFailed) as caught:
        stale.check(None, P)
    assert caught.value.headers == ()
