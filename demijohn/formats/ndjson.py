"""The lines of a text that comes in chunks: NDJSON, one JSON value a line.

A line ends with a line feed, or with the text. What is blank (JSON's own white space, a carriage
return too) is no line, but counts as one, so that lines have the numbers that editors give them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANK = re.compile(rb"[ \t\r\n]*+")
_ENDINGS = b" \t\r"


@dataclass(frozen=True, slots=True)
class Line:
    """A line without the blanks around it; `text` is None where it is longer than the limit."""

    number: int
    """Counted from 1."""
    text: bytes | None


class Lines:
    """Takes chunks and gives lines; holds one line and one chunk, however long the text is."""

    def __init__(self, limit: int) -> None:
        """`limit`: the most bytes that a line may have; the rest of a longer one is passed over."""
        self._limit = limit
        self._data = bytearray()
        self._at = 0
        """Everything before is done with."""
        self._searched = 0
        """There is no line feed between the line's start and here."""
        self._number = 1
        self._is_ended = False
        self._is_skipping = False

    @property
    def held(self) -> int:
        """Bytes that are kept and not given yet."""
        return len(self._data) - self._at

    def feed(self, chunk: bytes) -> None:
        """Keep what has come."""
        del self._data[: self._at]
        self._searched = max(self._searched - self._at, 0)
        self._at = 0
        self._data += chunk

    def end(self) -> None:
        """What has come last is the end of the text."""
        self._is_ended = True

    def size(self) -> int | None:
        """The bytes of the next line, to its end or beyond the limit; None where it is to come."""
        if self._is_skipping and not self._skip_line():
            return None
        self._skip_blank()
        end = self._data.find(b"\n", max(self._at, self._searched))
        size = (len(self._data) if end < 0 else end) - self._at
        if end < 0:
            self._searched = len(self._data)
            if size <= self._limit + len(_ENDINGS) and not (self._is_ended and size):
                return None
        return size

    def take(self) -> Line:
        """The next line, which `size` has seen."""
        end = self._data.find(b"\n", max(self._at, self._searched))
        if end < 0:
            end = len(self._data)
            self._is_skipping = not self._is_ended
        text = None
        if end - self._at <= self._limit + len(_ENDINGS):
            text = bytes(self._data[self._at : end]).rstrip(_ENDINGS)
        self._at = end
        return Line(self._number, None if text is None or len(text) > self._limit else text)

    def _skip_line(self) -> bool:
        """Pass over the rest of a line that is too long; whether its end has come."""
        end = self._data.find(b"\n", self._at)
        self._at = len(self._data) if end < 0 else end
        self._is_skipping = end < 0
        return end >= 0

    def _skip_blank(self) -> None:
        found = _BLANK.match(self._data, self._at)
        assert found is not None
        self._number += self._data.count(b"\n", self._at, found.end())
        self._at = found.end()
