"""What a view may hand to the shell, for it to drive on the event loop.

A view runs in a thread. What lasts as long as a client likes would hold that thread, so where the
shell is in front it leaves a slot in the environ, and the view puts there what is to be driven.
Under any other WSGI server there is no slot, and the view drives it itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from demijohn.errors import Problem

T = TypeVar("T")

UPLOAD = "demijohn.upload"
"""WSGI environ: a Slot for an Upload. It is there where the body is NDJSON and not read yet."""

FEED = "demijohn.feed"
"""WSGI environ: a Slot for a Feed. It is always there."""

CATCH_UP_PAUSE = 0.2
"""Seconds until a feed that could not catch up is tried again, by whoever drives it."""


@dataclass(slots=True)
class Slot(Generic[T]):
    """Where a view puts what the shell is to drive, once it has found nothing to refuse."""

    taken: T | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an upload: what is said of it, and what comes next."""

    answer: bytes = b""
    """Bytes of the answer's body."""
    is_last: bool = True
    """Whether nothing is left to be done with what has come so far."""
    needs: int = 0
    """Bytes of what comes next and is parsed in one piece, if that is more than there was room for;
    the step is to be made again with so much room."""
    failure: Problem | None = None
    """Why the upload cannot go on: the answer is cut after what is said here."""


class Upload(Protocol):
    """Takes a body of any length as it comes. Its methods are called one after another."""

    @property
    def is_extended(self) -> bool:
        """Whether the body is read as Extended JSON, which takes more memory."""
        ...

    @property
    def held(self) -> int:
        """Bytes that have come and are not done with."""
        ...

    def feed(self, chunk: bytes) -> None:
        """Keep what has come. Quick: it may be called on the event loop."""
        ...

    def end(self) -> None:
        """The body is whole: what has come last is its end. Not called for one that is cut."""
        ...

    def step(self, room: int) -> Step:
        """Do a part of what there is to do, parsing at most `room` bytes in one piece."""
        ...


class Feed(Protocol):
    """Has something to tell from time to time. Its methods are called one after another."""

    @property
    def is_behind(self) -> bool:
        """Whether there is older news, which only `catch_up` gets."""
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from any thread, whenever there may be something to take."""
        ...

    def take(self) -> bytes | None:
        """What is to be said now, empty for nothing, None after the last. It takes no time."""
        ...

    def beat(self) -> bytes:
        """What is said where nothing has happened for a while."""
        ...

    def farewell(self) -> bytes:
        """What is said last where the process is about to stop."""
        ...

    def catch_up(self) -> bytes:
        """Some of the older news; takes a thread, and its time. Empty: not now."""
        ...

    def close(self) -> None:
        """Free what it holds; takes a thread. May be called again."""
        ...
