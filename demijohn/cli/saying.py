"""What commands say to people: others' text in it, as of a service, a file or kubectl, is text."""

from __future__ import annotations

import sys
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from typing import NoReturn

import click

from demijohn.telemetry.printable import printable, printable_json

_utf8 = getincrementaldecoder("utf-8")


def plain(text: str) -> str:
    """The text with nothing in it that a terminal obeys but for its line ends."""
    return "\n".join(map(printable, text.split("\n")))


def say(text: str, *, ends: str = "\n") -> None:
    """Print a result."""
    click.echo(plain(text) + ends, nl=False)


def complain(text: str) -> None:
    """Print to standard error what is not a result."""
    click.echo(plain(text), err=True)


def fail(code: int, *messages: str) -> NoReturn:
    """Say what went wrong, and end the command."""
    for message in messages:
        complain(f"Error: {message}")
    sys.exit(code)


def shown(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """JSON in chunks, of the same value and printable: for a screen."""
    decoder = _utf8(errors="replace")
    for chunk in chunks:
        yield printable_json(decoder.decode(chunk).encode())
    yield printable_json(decoder.decode(b"", final=True).encode())
