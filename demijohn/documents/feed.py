"""One client's stream of changes: where it is, and what there is to tell it next."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from demijohn.documents.backlog import Backlog, Mark, Position, Told
from demijohn.documents.change_events import Shape, render, write_id
from demijohn.documents.followed import PASSING, Followed, Wake
from demijohn.errors import Overloaded, Problem, ShuttingDown
from demijohn.formats import event_stream
from demijohn.store.changes import Change, Stream, has_passed

Say = Callable[[Problem], bytes]
"""A problem as the line of JSON that the client is told."""
Refused = Callable[[], Problem | None]
"""What speaks by now against a client that was let in, if anything."""
_PART = 256 * 1024
"""Bytes after which no further event is added to what is told at once."""
_IN_VAIN = 20
"""How often in one go a stream of its own may have nothing, before there is a pause."""
_RETRY = 2_000
"""Milliseconds after which a client that has lost its stream comes back."""
_SPREAD = 3_000
"""Milliseconds over which clients come back that are all sent away at once."""


class Behind:
    """The stream of its own that a client has until it reads with the others."""

    def __init__(self, open_stream: Callable[[bytes], Stream], start: Position, mark: Mark) -> None:
        """Open one after a position, for what the others had at `mark`. Raises as that does."""
        self.told = Told(start)
        """What it has told, which the others may come to yet."""
        self._open = open_stream
        self._token = start.token
        self._stream: Stream | None = open_stream(start.token)
        self._mark = mark

    def changes(self) -> Iterator[Change | None]:
        """What comes next, None for each wait in vain. Raises what the database met."""
        if self._stream is None:
            self._stream = self._open(self._token)
        try:
            while True:
                change = self._stream.next()
                self._token = self._stream.token
                if change is not None:
                    self.told.add(change)
                yield change
        except PASSING:
            self.close()
            raise

    def joins(self, backlog: Backlog) -> int | None:
        """Where to go on in what the others read, after a wait in vain; None while it cannot."""
        if not has_passed(self._token, self._mark.position.token):
            return None
        if self._mark.number >= backlog.first:
            return self._mark.number
        self._mark = backlog.end
        return None

    def close(self) -> None:
        """Let the database forget the stream."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None


@dataclass(frozen=True, slots=True)
class Reader:
    """What a feed is made for, and whom it tells what."""

    shape: Shape
    say: Say
    count: Callable[[int], None]
    """Told how many events were handed over."""
    on_close: Callable[[], None]
    refused: Refused = lambda: None
    """Asked before anything is told."""


class Feed:
    """One client's stream. Its methods are called one after another, by whichever thread."""

    def __init__(
        self,
        followed: Followed,
        backlog: Backlog,
        reader: Reader,
        start: Mark,
        behind: Behind | None,
    ) -> None:
        """Begin at a place of the backlog, or behind it with a stream of its own."""
        self._followed = followed
        self._backlog = backlog
        self._reader = reader
        self._number = start.number
        self._behind = behind
        self._told: Told | None = None
        """What the backlog may come to yet that the client has been told already."""
        self._joined_at = 0
        self._wake: Wake | None = None
        self._has_ended = self._is_closed = False
        ready = event_stream.event("ready", b"{}", write_id(followed.collection, start.position))
        self._pending = event_stream.retry(_RETRY) + ready

    @property
    def is_behind(self) -> bool:
        """Whether there is something to read that the others have read: `catch_up` does it."""
        return self._behind is not None

    def listen(self, wake: Wake) -> None:
        """Have `wake` called, by another thread, whenever there may be something to take."""
        self._wake = wake
        self._followed.listen(wake)

    def take(self) -> bytes | None:
        """What there is to be told now, empty where there is nothing; None after the last."""
        if self._has_ended and not self._pending:
            return None
        refused = None if self._has_ended else self._reader.refused()
        if refused is not None:
            return self._end("error", refused)
        text, self._pending = self._pending, b""
        if text or self._behind is not None:
            return text
        with self._followed.lock:
            if self._number < self._backlog.first:
                return self._end("overflow", _overflow())
            texts = [*self._texts()]
            failure = self._followed.failure
        self._number += len(texts)
        if not texts and failure is not None:
            name = "shutdown" if isinstance(failure, ShuttingDown) else "error"
            return self._end(name, failure)
        self._reader.count(len(texts))
        return b"".join(texts)

    def catch_up(self) -> bytes:
        """Read what the others have read already; waits for the database, but not for long.

        Empty where it can't be reached, or has not looked at enough: to be called again.
        """
        texts: list[bytes] = []
        try:
            for text in self._read_behind():
                texts.append(text)  # noqa: PERF402 — what was read before a failure counts
        except PASSING:
            pass
        except Problem as problem:
            self._leave_behind()
            texts.append(self._end("error", problem))
        return b"".join(texts)

    def beat(self) -> bytes:
        """What is told where nothing has happened for a while; with the position, to come back to.

        Without it a client whose filter meets nothing would come back to what is long forgotten.
        """
        if self._behind is not None:
            return event_stream.note("catching up")
        with self._followed.lock:
            end = self._backlog.end
            if self._told is not None and self._is_overtaken(self._told):
                self._told = None
        here = self._told is None and end.number == self._number
        token = write_id(self._followed.collection, end.position) if here else None
        return event_stream.note("still here", token)

    def farewell(self) -> bytes:
        """What is told last where the process is about to stop."""
        return self._end("shutdown", ShuttingDown("This process is about to stop."))

    def close(self) -> None:
        """Read no longer. May wait for the database."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._wake is not None:
            self._followed.forget(self._wake)
        self._leave_behind()
        self._reader.on_close()

    def _texts(self) -> Iterator[bytes]:
        if self._told is not None and not self._passes(self._told):
            return
        size = 0
        for entry in self._backlog.since(self._number):
            if size > _PART:
                return
            text = entry.texts.get(self._reader.shape) or self._render(entry.change)
            size += len(text)
            yield text

    def _passes(self, told: Told) -> bool:
        """Pass over what has been told; false where it is not known yet what that is."""
        number = self._backlog.untold(self._number, told)
        if number is None:
            self._followed.ring_when_quiet(self._wake)
            return False
        self._number = number
        if self._backlog.end.position.time > told.time:
            self._told = None
        return True

    def _is_overtaken(self, told: Told) -> bool:
        """Whether the backlog is past all that was told, though nothing has come since.

        It was, when a wait in vain began that was not under way at the joining.
        """
        passed = has_passed(self._backlog.end.position.token, told.token)
        return passed and self._backlog.waits > self._joined_at + 1

    def _read_behind(self) -> Iterator[bytes]:
        assert self._behind is not None
        size = in_vain = 0
        for change in self._behind.changes():
            if change is not None:
                text = self._render(change)
                size += len(text)
                self._reader.count(1)
                yield text
            elif self._is_level():
                return
            else:
                in_vain += 1
            if size > _PART or in_vain > _IN_VAIN:
                return

    def _is_level(self) -> bool:
        """Go over to what the others read, if that is possible now."""
        assert self._behind is not None
        with self._followed.lock:
            number = self._behind.joins(self._backlog)
            self._joined_at = self._backlog.waits
        if number is None:
            return False
        self._number, self._told = number, self._behind.told
        self._leave_behind()
        return True

    def _leave_behind(self) -> None:
        if self._behind is not None:
            self._behind.close()
        self._behind = None

    def _render(self, change: Change) -> bytes:
        return render(self._followed.collection, change, self._reader.shape)

    def _end(self, name: str, problem: Problem) -> bytes:
        self._has_ended = True
        retry = b""
        if isinstance(problem, ShuttingDown):
            retry = event_stream.retry(secrets.randbelow(_SPREAD))
        return retry + event_stream.event(name, self._reader.say(problem))


def _overflow() -> Overloaded:
    return Overloaded(
        "Changes come faster than they are read here. Come back with the last event's id."
    )
