"""JSON Pointers: where they lead, and which texts are none (RFC 6901)."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.formats.bson_values import open_document, to_python
from demijohn.formats.json_faults import pointer_to
from demijohn.patches import pointer
from demijohn.patches.faults import Unfit
from demijohn.patches.tree import Tree, close

EXAMPLE: dict[str, Any] = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}
"""The document of RFC 6901, section 5."""


def look_up(document: dict[str, Any], text: str) -> Any:
    """What a pointer leads to in a document."""
    tree = Tree(open_document(bson.encode(document)))
    return to_python(close(tree.at(pointer.parse(text))))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", EXAMPLE),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_the_standard(text: str, value: object) -> None:
    """Each pointer of RFC 6901, section 5, leads to the value that the section gives."""
    assert look_up(EXAMPLE, text) == value


@pytest.mark.parametrize("text", ["a", "a/b", " /a", "#/a", "/~", "/~2", "/a~", "/~a/b", "/~~0"])
def test_what_is_no_pointer(text: str) -> None:
    """A text without its leading slash, or with `~` before anything but 0 and 1, is refused."""
    with pytest.raises(Unfit):
        pointer.parse(text)


def test_escapes_are_read_once() -> None:
    """`~01` is the key `~1`; an escape is never made by reading another."""
    assert pointer.parse("/~01/~10/~00") == ("~1", "/0", "~0")


@given(st.lists(st.text(alphabet="a~/01 é", max_size=4), max_size=5))
def test_spelt_and_read_again(path: list[str]) -> None:
    """Whatever a document's keys are, the pointer that is told leads back to the same place."""
    assert pointer.parse(pointer_to(path)) == tuple(path)


@pytest.mark.parametrize("token", ["00", "01", "-1", "+1", "1.0", "1e0", "", " 1", "1 ", "x", "١"])
def test_what_is_no_position(token: str) -> None:
    """A position in an array is written in ASCII digits without leading zeros, and no other way."""
    with pytest.raises(Unfit):
        pointer.position(token, 20)
    with pytest.raises(Unfit):
        pointer.place(token, 20)


def test_the_end_of_an_array() -> None:
    """`-` and the length are where an element can be added, and nowhere that one is."""
    assert [pointer.place(token, 2) for token in ("0", "1", "2", "-")] == [0, 1, 2, 2]
    assert [pointer.position(token, 2) for token in ("0", "1")] == [0, 1]
    for token in ("2", "-"):
        with pytest.raises(Unfit):
            pointer.position(token, 2)
    with pytest.raises(Unfit):
        pointer.place("3", 2)


@pytest.mark.parametrize("digits", [10, 5_000])
def test_positions_past_any_array(digits: int) -> None:
    """A position of very many digits is out of range like any other, however long it is."""
    with pytest.raises(Unfit):
        pointer.place("9" * digits, 2)
