"""Streams of JSON cut at any byte: what comes out, and what is held, depends on no cut."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from demijohn.errors import InternalError, InvalidDocument, MalformedJson, Problem, TooLarge
from demijohn.formats import batches
from demijohn.formats.json_array import array_texts, is_array
from demijohn.formats.json_stream import RecordSplitter, SplitError
from demijohn.formats.json_text import parse_text
from demijohn.formats.ndjson import Line, Lines
from tests.support.fuzz import attempt, fuzz
from tests.support.fuzz_bson import documents, mangled
from tests.support.fuzz_texts import array, objects, spoilt, values

LIMIT = 60
"""Bytes of a record: few, so that many are longer."""
LINE = 12
"""Bytes of a line."""
_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b" \n\t", b"\n \r\n"])
LINES = st.lists(st.tuples(spoilt(objects(), most=1), _ENDS), max_size=5).map(
    lambda pairs: b"".join(text + end for text, end in pairs)
)
ARRAYS = st.lists(spoilt(values(), most=1), max_size=5).map(array)
RAW = st.lists(st.sampled_from(list(b'{}[]",:\\\n \ta1\xef\xbb\xbf')), max_size=40).map(bytes)
STREAMS = spoilt(LINES | ARRAYS) | RAW
PIECES = st.lists(st.integers(1, 30), min_size=1, max_size=4)


def cut(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """The data in pieces of these sizes, over and over."""
    sizes, at = list(sizes), 0
    while at < len(data):
        for size in sizes:
            yield data[at : at + size]
            at += size


def split(chunks: Iterable[bytes], limit: int) -> tuple[list[bytes], str]:
    """The records of a stream, and how it ended."""
    splitter = RecordSplitter(limit)
    found: list[bytes] = []
    try:
        for chunk in chunks:
            found += splitter.feed(chunk)
        found += splitter.finish()
    except SplitError as error:
        return found, f"{type(error).__name__} {error}"
    return found, ""


@fuzz(3000)
@given(STREAMS, PIECES, st.sampled_from([LIMIT, 1, 10_000]))
def test_cuts_do_not_matter(data: bytes, sizes: list[int], limit: int) -> None:
    """The same records and the same end come of the same bytes, however they are cut."""
    whole, end = split([data], limit)
    assert all(0 < len(each) <= limit for each in whole)
    found, other_end = split(cut(data, sizes), limit)
    # A record that is too large may be told before a fault that the next cut brings, or after it.
    if "RecordTooLarge" in end + other_end:
        assert bool(end) == bool(other_end)
        shorter, longer = sorted((whole, found), key=len)
        assert longer[: len(shorter)] == shorter
    else:
        assert (found, other_end) == (whole, end)


@fuzz(1500)
@given(st.lists(spoilt(values(), most=1), max_size=5), PIECES)
def test_elements_of_an_array(texts: list[bytes], sizes: list[int]) -> None:
    """The elements that come one by one are those that a parser finds in the whole."""
    body = array(texts)
    found = attempt(
        lambda: list(array_texts(body, 4)), MalformedJson, InvalidDocument, TooLarge, given=body
    )
    if isinstance(found, list):
        value, _ = parse_text(body)
        assert is_array(body)
        assert [parse_text(each)[0] for each in found] == value
        assert split(cut(body, sizes), len(body)) == (found, "")
    elif isinstance(found, TooLarge):
        assert len(json.loads(body)) > 4


@fuzz(1000)
@given(mangled(documents()) | st.lists(documents(), max_size=4).map(b"".join))
def test_batches(batch: bytes) -> None:
    """A batch is cut between documents, or told as damaged; all ways of cutting agree."""
    whole = memoryview(batch)
    found = attempt(lambda: list(batches.split(whole)), InternalError)
    number = attempt(lambda: batches.count(whole), InternalError)
    grouped = attempt(lambda: b"".join(batches.groups(whole)), InternalError)
    if isinstance(found, Problem):
        assert isinstance(number, Problem)
        assert isinstance(grouped, Problem)
    else:
        assert (number, grouped) == (len(found), batch)
        assert b"".join(batches.chunks(found)) == batch


def lines_of(text: bytes) -> list[Line]:
    """The lines of a whole text, as editors number them."""
    lines = enumerate(text.split(b"\n"), 1)
    stripped = ((number, line.lstrip(b" \t\r")) for number, line in lines)
    return [Line(number, _bounded(line)) for number, line in stripped if line]


def _bounded(line: bytes) -> bytes | None:
    """The text of a line; of the blanks behind it up to three do not count."""
    text = line.rstrip(b" \t\r")
    return text if len(text) <= LINE and len(line) <= LINE + 3 else None


class Reader(RuleBasedStateMachine):
    """Feeds a text in pieces to `Lines` and takes what is there, in any order."""

    @initialize(text=STREAMS | LINES)
    def begin(self, text: bytes) -> None:
        """Take a text."""
        self.lines = Lines(LINE)
        self.text, self.at = text, 0
        self.found: list[Line] = []
        self.is_ended = False
        self.largest = 0

    @precondition(lambda self: self.at < len(self.text))
    @rule(size=st.integers(1, 40))
    def feed(self, size: int) -> None:
        """A piece has come, after all that could be given has been."""
        self.take_all()
        self.lines.feed(self.text[self.at : self.at + size])
        self.at += size
        self.largest = max(self.largest, size)

    @precondition(lambda self: self.at >= len(self.text))
    @rule()
    def end(self) -> None:
        """No more will come: what has been found is all there was."""
        self.lines.end()
        self.is_ended = True
        self.take_all()
        assert self.found == lines_of(self.text)

    @rule()
    def take_all(self) -> None:
        """What can be given is, and never more bytes than it was said to have."""
        while (size := self.lines.size()) is not None:
            line = self.lines.take()
            assert line.text is None or 0 < len(line.text) <= min(size, LINE)
            self.found.append(line)

    @invariant()
    def holds_little(self) -> None:
        """A line and a piece are held at most."""
        assert self.lines.held <= LINE + 3 + self.largest

    @invariant()
    def gives_in_order(self) -> None:
        """What has been given is the beginning of what there is, but for a line too long."""
        expected = lines_of(self.text)
        assert [each.number for each in self.found] == [
            each.number for each in expected[: len(self.found)]
        ]


TestReader = Reader.TestCase
TestReader.settings = fuzz(400)
