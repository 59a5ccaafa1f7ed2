"""What the embedded database prints: kept whole, and read for its last words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demijohn.launcher.datadir import DataDir
from demijohn.launcher.loop import Loop
from demijohn.launcher.output import LONGEST_LINE, Output

PID = 15740
PANIC = (
    b"[1795676145:184385][15740:0x7ff5a5ffb6c0], WT_SESSION.commit_transaction: "
    b"[WT_VERB_DEFAULT][ERROR]: __log_fs_write, 218: the process must exit and restart: "
    b"WT_PANIC: WiredTiger library panic\n"
)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDir]:
    """A data directory."""
    with closing(DataDir(tmp_path / "data")) as data:
        yield data


@pytest.fixture
def output(data: DataDir) -> Iterator[Output]:
    """Of no server yet."""
    with closing(Output(data, Loop())) as output:
        yield output


def has_panicked(output: Output, *parts: bytes) -> bool:
    """Whether a server that prints these, one after the other, is of no more use."""
    with output.of_another() as descriptor:
        for part in parts:
            os.write(descriptor, part)
            output.drain()
    return output.has_panicked(PID)


@pytest.mark.parametrize("cut", [len(PANIC), 1, 30, len(PANIC) - 5])
def test_last_words_are_heard(output: Output, cut: int) -> None:
    """Wherever the line is cut on its way, and whatever stands around it."""
    assert has_panicked(output, b"Traceback:\n  File\n" + PANIC[:cut], PANIC[cut:] + b"more\n")
    assert not output.has_panicked(PID + 1)


@pytest.mark.parametrize(
    "words",
    [
        b"WT_PANIC: WiredTiger library panic\n",
        b"duplicate key: " + PANIC,
        b"  KeyError: 'WT_PANIC'\n",
        PANIC.replace(b"WT_PANIC", b"WT_ROLLBACK"),
        b"x" * (LONGEST_LINE + 1) + PANIC,
    ],
)
def test_other_words_are_no_last_words(output: Output, words: bytes) -> None:
    """What another line quotes, a client's document for instance, ends no database."""
    assert not has_panicked(output, words[:20], words[20:])


def test_all_is_kept(data: DataDir, output: Output) -> None:
    """Each server's lines are in the log, also those that it printed just before its end."""
    assert not has_panicked(output, b"first\n")
    with output.of_another() as descriptor:
        os.write(descriptor, PANIC)
    with output.of_another() as descriptor:
        assert not output.has_panicked(PID)
        os.write(descriptor, b"third\n")
    output.close()
    assert data.log.read_bytes() == b"first\n" + PANIC + b"third\n"


def test_a_log_that_cannot_be_written_changes_nothing(data: DataDir, output: Output) -> None:
    """Its last words are heard where there is no room for them."""
    data.log.mkdir()
    assert has_panicked(output, PANIC)
