"""Cut a stream of JSON into its records without parsing them: an array, or one record a line.

Two layouts are told apart by the first byte that is not blank:

- `[`: one JSON array; its elements are the records. (A line of NDJSON never starts so: records
  are objects.) The array must be closed, and nothing may follow it.
- anything else: lines (NDJSON). A line whose brackets pair up is one record, blank lines are
  none. Where brackets are still open at the end of a line, the record goes on with the next
  line: an object may be printed over many. But a line that starts with `{` in its first column
  starts a new record, and what was open goes out as it stands, for the service to refuse: so
  one malformed line does not swallow those that follow. The exception is a `{` that belongs
  where it is, after `:` in an object or after `[` or `,` in an array: objects may be printed
  over many lines without indentation.

Records come out as they stood, without the blanks around them; whether they are JSON is not
looked at, beyond strings and brackets. A byte order mark at the start is passed over. An empty
input has no records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LARGEST_RECORD = 17 * 1024 * 1024
"""Bytes: the largest document there is, and some slack for blanks."""

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_QUOTE, _BACKSLASH, _NEWLINE, _COLON, _COMMA = b'"\\\n:,'
_ARRAY, _ARRAY_END, _OBJECT, _OBJECT_END = b"[]{}"
_CLOSER = {_ARRAY: _ARRAY_END, _OBJECT: _OBJECT_END}


class SplitError(ValueError):
    """The input can't be cut into records any further; `record` is the one at fault, from 1."""

    def __init__(self, record: int, what: str) -> None:
        """Take the record's number and what is wrong with it."""
        super().__init__(f"record {record} {what}")
        self.record = record


class RecordTooLarge(SplitError):
    """A record, with the blanks around it, is larger than the limit."""


class Truncated(SplitError):
    """The input ended inside a record, or before the array was closed."""


class BrokenArray(SplitError):
    """The array's brackets don't pair up, an element is missing, or something follows it."""


class RecordSplitter:
    """Takes an input in chunks of any size and gives its records; holds one record at most.

    An iterator that `feed` or `finish` returned must be exhausted before the next call. After
    an error the splitter is of no more use.
    """

    def __init__(self, limit: int = LARGEST_RECORD) -> None:
        """`limit`: the most bytes that a record, with the blanks around it, may have."""
        self._limit = limit
        self._head = bytearray()
        self._at_start = True
        self._layout: _Array | _Lines | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The records that end in this chunk. Raises RecordTooLarge, BrokenArray."""
        if self._layout is None:
            self._head += chunk
            chunk = self._begin()
        if self._layout is not None:
            self._layout.buffer.data += chunk
            yield from self._layout.records()

    def finish(self) -> Iterator[bytes]:
        """The record that the end of the input completes, if any. Raises Truncated as well."""
        if self._layout is None and self._head:
            self._layout = _Lines(self._limit)
            self._layout.buffer.data += self._head
            yield from self._layout.records()
        if self._layout is not None:
            yield from self._layout.last_record()

    def _begin(self) -> bytes:
        """Choose the layout once a byte tells it; the bytes that are for it."""
        if self._at_start:
            if len(self._head) < len(_BOM) and _BOM.startswith(self._head):
                return b""
            self._at_start = False
            self._head = self._head.removeprefix(_BOM)
        content = bytes(self._head.lstrip(_BLANK))
        self._head.clear()
        if content:
            is_array = content[0] == _ARRAY
            self._layout = _Array(self._limit) if is_array else _Lines(self._limit)
        return content


# To pass over all that does not matter, whole strings included, in one match. It ends before a
# byte that does matter, at the end of the data, or before a string whose end is not there yet.
_IN_RECORD = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+', re.DOTALL)
_IN_ARRAY = re.compile(rb'[^"\[\]{},]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{},]*+)*+', re.DOTALL)
_IN_LINE = re.compile(rb'[^"\[\]{}\n]*+(?:"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"[^"\[\]{}\n]*+)*+')
# The same within a string that began earlier.
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_IN_LINE_STRING = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')


class _Buffer:
    """The data of the record under way, and how far it has been looked at."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.at = 0
        """Everything before has been looked at."""
        self.in_string = False
        self.records = 0
        self._start = 0
        self._limit = limit

    def seek(self, outside: re.Pattern[bytes], inside: re.Pattern[bytes]) -> int | None:
        """Move to the next byte that matters and return it; None when more data is needed.

        The patterns pass over what does not matter outside of strings and inside of one.
        """
        data = self.data
        while True:
            found = (inside if self.in_string else outside).match(data, self.at)
            assert found is not None
            self.at = found.end()
            if self.at == len(data):
                return None
            byte = data[self.at]
            if byte == _QUOTE:
                self.in_string = not self.in_string
            elif byte == _BACKSLASH and self.in_string:
                if self.at + 1 == len(data):
                    return None
            else:
                return byte
            self.at += 1

    def cut(self) -> bytes:
        """The record that ends here, empty if all is blank; the next starts behind this byte.

        Raises RecordTooLarge.
        """
        self._check(self.at - self._start)
        record = bytes(self.data[self._start : self.at].strip(_BLANK))
        self.at += 1
        self._start = self.at
        self.records += bool(record)
        return record

    def compact(self) -> None:
        """Forget the records that were cut. Raises RecordTooLarge for what is left."""
        del self.data[: self._start]
        self.at -= self._start
        self._start = 0
        self._check(len(self.data))

    def last_before(self) -> int | None:
        """The last byte that is not blank before this one, in this record."""
        at = self.at - 1
        while at >= self._start and self.data[at] in _BLANK:
            at -= 1
        return self.data[at] if at >= self._start else None

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise RecordTooLarge(self.records + 1, f"is larger than {self._limit} bytes")


class _Array:
    """The elements of one array."""

    def __init__(self, limit: int) -> None:
        self.buffer = _Buffer(limit)
        self._open = bytearray()
        """The closers of all brackets that are open, the array's own first."""
        self._begun = self._closed = False

    def records(self) -> Iterator[bytes]:
        buffer = self.buffer
        while not self._closed:
            pattern = _IN_ARRAY if len(self._open) == 1 else _IN_RECORD
            byte = buffer.seek(pattern, _IN_STRING)
            if byte is None:
                buffer.compact()
                return
            if len(self._open) == 1 and byte in (_COMMA, _ARRAY_END):
                yield from self._element(byte)
            else:
                self._bracket(byte)
        if buffer.data[buffer.at :].strip(_BLANK):
            raise BrokenArray(buffer.records, "is the array's last, but more follows the array")
        buffer.data.clear()
        buffer.at = 0

    def last_record(self) -> Iterator[bytes]:
        if not self._closed:
            raise Truncated(self.buffer.records + 1, "is cut, or the array is not closed")
        return iter(())

    def _element(self, end: int) -> Iterator[bytes]:
        record = self.buffer.cut()
        self._closed = end == _ARRAY_END
        if record:
            yield record
        elif self._begun or not self._closed:
            raise BrokenArray(self.buffer.records + 1, "is missing: a comma stands alone")
        self._begun = True

    def _bracket(self, byte: int) -> None:
        if byte in _CLOSER:
            self._open.append(_CLOSER[byte])
            if len(self._open) == 1:
                self.buffer.cut()
                return
        elif self._open.pop() != byte or not self._open:
            raise BrokenArray(self.buffer.records + 1, "has brackets that do not pair up")
        self.buffer.at += 1


class _Lines:
    """Records on a line each, or objects over many."""

    def __init__(self, limit: int) -> None:
        self.buffer = _Buffer(limit)
        self._open = bytearray()
        """The closers of all brackets that are open in the record."""
        self._broken = False
        """Whether a bracket closed another; then only the next record's start ends this one."""

    def records(self) -> Iterator[bytes]:
        buffer = self.buffer
        while (byte := buffer.seek(_IN_LINE, _IN_LINE_STRING)) is not None:
            if byte != _NEWLINE:
                self._bracket(byte)
                continue
            if self._open and buffer.at + 1 == len(buffer.data):
                break  # Only the next line's first byte tells.
            buffer.in_string = False
            if not self._open or self._starts_anew():
                yield from self._cut()
            else:
                buffer.at += 1
        buffer.compact()

    def last_record(self) -> Iterator[bytes]:
        if not self._broken and (self._open or self.buffer.in_string):
            raise Truncated(self.buffer.records + 1, "is cut")
        self.buffer.at = len(self.buffer.data)
        yield from self._cut()

    def _cut(self) -> Iterator[bytes]:
        self._open.clear()
        self._broken = False
        record = self.buffer.cut()
        if record:
            yield record

    def _bracket(self, byte: int) -> None:
        if byte in _CLOSER:
            self._open.append(_CLOSER[byte])
        elif self._open and self._open[-1] == byte:
            self._open.pop()
        else:
            self._broken = True
        self.buffer.at += 1

    def _starts_anew(self) -> bool:
        """Whether the line below starts a record though this one's brackets are open."""
        buffer = self.buffer
        if buffer.data[buffer.at + 1] != _OBJECT:
            return False
        last = buffer.last_before()
        in_array = self._open[-1] == _ARRAY_END
        belongs = last in (_ARRAY, _COMMA) if in_array else last == _COLON
        return self._broken or not belongs
