"""The elements of a JSON array, each as the text that it has, so that one can be refused alone."""

from __future__ import annotations

from collections.abc import Iterator

from demijohn.errors import TooLarge
from demijohn.formats.json_stream import RecordSplitter
from demijohn.formats.json_text import parse_text

_BLANK = b" \t\r\n"


def is_array(body: bytes) -> bool:
    """Whether a text, if it is JSON, is an array."""
    return body.lstrip(_BLANK)[:1] == b"["


def array_texts(body: bytes, most: int) -> Iterator[bytes]:
    """The text of each element of an array of at most `most`.

    The whole is looked at before this returns: raises MalformedJson as `parse_text` does,
    InvalidDocument for an array too deep for the parser, TooLarge for more elements.
    """
    value, _ = parse_text(body)
    if len(value) > most:
        raise TooLarge(
            f"The array has {len(value):,} documents, and at most {most:,} are taken at one time."
        )
    del value  # or all of it would be held while the elements are looked at one by one
    return RecordSplitter(len(body)).feed(body)
