"""The rejects file of `demijohn import`: a line of JSON for each record that is not known to be in.

A line is ``{"record", "status", "code", "detail", "pointer"?, "document"}``. `document`
is the record's own text where it is JSON, so that no number or key changes on the way, and else
a string that holds it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

import orjson

from demijohn.cli.client import Problem
from demijohn.cli.handoff import Record

LINE_ENDS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")


class Rejects:
    """Writes the file, which comes into being with its first line. Not thread-safe."""

    def __init__(self, path: Path, *, append: bool) -> None:
        """Take the path, and whether what an earlier run left there is kept."""
        self.path = path
        self.written = 0
        self._append = append
        self._file: BinaryIO | None = None

    def write(self, record: Record, problem: Problem) -> None:
        """Add a line, out of this process's hands when it returns; raises OSError."""
        if self._file is None:
            self._file = self.path.open("ab" if self._append else "wb", buffering=0)
        self._file.write(reject_line(record, problem))
        self.written += 1

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()


def reject_line(record: Record, problem: Problem) -> bytes:
    """The line for a record and what the service said about it, with its line end."""
    about: dict[str, object] = {
        "record": record.number,
        "status": problem.status or None,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.pointer is not None:
        about["pointer"] = problem.pointer
    members = orjson.dumps(about)
    return members[:-1] + b',"document":' + _as_json(record.raw) + b"}\n"


def _as_json(raw: bytes) -> bytes:
    """The record's own bytes on one line if they are JSON, else a string of its text."""
    if not _is_json(raw):
        return orjson.dumps(raw.decode("utf-8", "backslashreplace"))
    # In JSON a line end can only be white space between tokens.
    return raw.strip().translate(LINE_ENDS_TO_SPACES)


def _is_json(raw: bytes) -> bool:
    """Whether this is JSON by its grammar (RFC 8259), with numbers of any size, as orjson has not.

    `int` refuses NaN and Infinity, which Python's parser would let pass.
    """
    try:
        json.loads(raw.decode(), parse_int=str, parse_float=str, parse_constant=int)
    except (ValueError, RecursionError):
        return False
    return True
