"""NDJSON is cut into its lines, however its chunks fall."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.errors import MalformedJson, TooLarge
from demijohn.formats.json_array import array_texts, is_array
from demijohn.formats.ndjson import Line, Lines

LIMIT = 8
BLANKS = b" \t\r"
PIECES = [b"", b"\n", b"\r\n", b" ", b"\t", b"\r", b"a", b"b{}", b"x" * LIMIT, b"y" * (LIMIT + 1)]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


def _lines(chunks: list[bytes]) -> list[Line]:
    lines = Lines(LIMIT)
    found: list[Line] = []
    for chunk in [*chunks, None]:
        if chunk is None:
            lines.end()
        else:
            lines.feed(chunk)
        while lines.size() is not None:
            found.append(lines.take())
    return found


def _expected(text: bytes) -> list[Line]:
    found = []
    for number, each in enumerate(text.split(b"\n"), 1):
        begun = each.lstrip(BLANKS)
        line = begun.rstrip(BLANKS)
        # A few blanks at its end are none of a line's length; that there be many is not waited for.
        fits = len(line) <= LIMIT and len(begun) <= LIMIT + len(BLANKS)
        if line:
            found.append(Line(number, line if fits else None))
    return found


@given(TEXTS, st.lists(st.integers(0, 200), max_size=10))
def test_lines_do_not_depend_on_the_chunks(text: bytes, cuts: list[int]) -> None:
    """Whatever the chunks, the lines are those of the whole text, with an editor's numbers."""
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    chunks = [text[start:end] for start, end in pairwise(places)]

    assert _lines(chunks) == _expected(text)


def test_a_line_that_is_cut_is_never_given() -> None:
    """Without its end, a line may be a part of one: it is not taken for whole."""
    lines = Lines(LIMIT)
    lines.feed(b'{"a":1}\n{"b":')

    assert lines.size() == len(b'{"a":1}')
    assert lines.take() == Line(1, b'{"a":1}')
    assert lines.size() is None


def test_a_line_beyond_the_limit_is_passed_over_without_being_kept() -> None:
    """It is told once, when it is too long, and nothing of it is held."""
    lines = Lines(LIMIT)
    told = []
    for _ in range(1_000):
        lines.feed(b"z" * 1_000)
        while lines.size() is not None:
            told.append(lines.take())
        assert len(lines._data) <= 1_000 + LIMIT
    lines.feed(b"\nok\n")

    assert told == [Line(1, None)]
    assert lines.size() == 2
    assert lines.take() == Line(2, b"ok")


def test_blanks_are_not_kept() -> None:
    """However many blank lines come, they are counted and forgotten."""
    lines = Lines(LIMIT)
    for _ in range(100):
        lines.feed(b" \r\n" * 1_000)
        assert lines.size() is None
        assert len(lines._data) <= 3_000
    lines.feed(b"a\n")

    assert lines.size() == 1
    assert lines.take() == Line(100_001, b"a")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", []),
        (b' [ {"a": [1, {"b": "],["}]} , 2,null ]\n', [b'{"a": [1, {"b": "],["}]}', b"2", b"null"]),
        (b'["\\"", 1e999, 99999999999999999999]', [b'"\\""', b"1e999", b"99999999999999999999"]),
    ],
)
def test_an_array_is_cut_into_its_elements(body: bytes, expected: list[bytes]) -> None:
    """Each element has its own text, whatever is wrong with it."""
    assert is_array(body)
    assert list(array_texts(body, 3)) == expected


@pytest.mark.parametrize("body", [b"[1,]", b"[1", b"[1]]", b'[{"a":1}{"b":2}]', b"[01]", b"[\x00]"])
def test_an_array_that_is_no_json_is_refused_whole(body: bytes) -> None:
    """Before any of its elements is looked at."""
    with pytest.raises(MalformedJson):
        array_texts(body, 10)


def test_an_array_of_too_many_is_refused_whole() -> None:
    """How many there are is known before the first of them is given."""
    with pytest.raises(TooLarge):
        array_texts(b"[1,2,3]", 2)


@pytest.mark.parametrize("body", [b"{}", b"", b'"["', b"\xef\xbb\xbf[]"])
def test_what_is_no_array(body: bytes) -> None:
    """An object, nothing, a string, and what begins with a byte order mark."""
    assert not is_array(body)
