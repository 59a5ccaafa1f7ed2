"""An `_id` for every record, before it is sent: so that a record can be sent again safely.

Of two attempts to insert a document with the same `_id` one succeeds, whatever became of the
answers. A record that has none gets an ObjectId (MongoDB manual, "ObjectId"); in the order of the
records, so that sorting by `_id` gives back the order of the input.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable

from demijohn.cli.handoff import Record

_BEGINS_WITH_ID = re.compile(rb'\{[ \t\r\n]*+"_id"[ \t\r\n]*+:')
_BLANK = b" \t\r\n"
_LINE_ENDS_TO_TABS = bytes.maketrans(b"\r\n", b"\t\t")
"""A tab is white space between tokens, and forbidden in a string, as a line end is (RFC 8259)."""


class Identity:
    """Spells records as they are sent in one run."""

    def __init__(
        self,
        *,
        extended: bool,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Take the spelling, the time in seconds since 1970, and a source of random bytes."""
        self.is_extended = extended
        seconds = int(clock()).to_bytes(4, "big")
        self._first = int.from_bytes(seconds + random(5) + bytes(3), "big")
        self._form = b'"_id":{"$oid":"%024x"}}' if extended else b'"_id":"%024x"}'

    def spell(self, record: Record) -> bytes:
        """The record on one line, with an `_id`; always the same for the same record.

        What is no JSON object is not made one: the service says what is wrong with it, at the
        column where it is. So the `_id` goes to the end.
        """
        line = record.raw
        if b"\n" in line or b"\r" in line:
            line = line.translate(_LINE_ENDS_TO_TABS)
        if not line.endswith(b"}") or _has_id(line):
            return line
        rest = line[:-1].rstrip(_BLANK)
        comma = b"" if rest.endswith(b"{") else b","
        return rest + comma + self._form % (self._first + record.number)


def _has_id(line: bytes) -> bool:
    """Whether this has the member `_id`, as far as it is a JSON object at all."""
    if _BEGINS_WITH_ID.match(line):
        return True
    if b'"_id"' not in line and b"\\u" not in line:
        return False
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        return True  # Not for us to complete.
    return isinstance(members, dict) and "_id" in members
