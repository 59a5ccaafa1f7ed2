"""`demijohn import` and `demijohn export` in processes of their own, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.service import clean_environ

PATIENCE = 120
"""Seconds after which a command is taken to hang."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Command:
    """A command that runs; its input, if any, is written by a thread."""

    def __init__(self, cwd: Path, *arguments: str, feed: Iterable[bytes] | None = None) -> None:
        """Start `demijohn` with the arguments in the directory."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demijohn", *arguments],
            cwd=cwd,
            env=clean_environ({}),
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._feeder: threading.Thread | None = None
        if feed is not None:
            assert self.process.stdin is not None
            arguments_ = (self.process.stdin, feed)
            self._feeder = threading.Thread(target=_feed, args=arguments_, daemon=True)
            self._feeder.start()

    def end(self) -> Ended:
        """Wait until it has ended; a hang is killed and fails the test."""
        out, err = (output or b"" for output in self._outputs())
        if self._feeder is not None:
            self._feeder.join(PATIENCE)
        return Ended(self.process.returncode, out.decode(), err.decode())

    def _outputs(self) -> tuple[bytes | None, bytes | None]:
        process = self.process
        # communicate() would close the input below the feeder's hands.
        process.stdin = None
        try:
            return process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def demijohn(cwd: Path, *arguments: str, feed: bytes | None = None) -> Ended:
    """Run a command to its end."""
    return Command(cwd, *arguments, feed=None if feed is None else [feed]).end()


def _feed(pipe: IO[bytes], pieces: Iterable[bytes]) -> None:
    try:
        with pipe:
            for piece in pieces:
                pipe.write(piece)
                pipe.flush()
    except BrokenPipeError:
        pass  # The command has ended, as some tests have it do.


def ndjson(documents: Iterable[object]) -> bytes:
    """A line each."""
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def as_multiset(documents: Iterable[Any]) -> Counter[str]:
    """To compare lists of documents whose order is not defined; keys' order and types count."""
    return Counter(json.dumps(document) for document in documents)


def read_ndjson(path: Path) -> list[Any]:
    """The values of the file's lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]
