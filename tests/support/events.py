"""A client of live changes: server-sent events as any client reads them, line by line."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.processes import wait_until

TELLING = ("insert", "update", "replace", "delete", "drop")
"""Events that are changes."""


@dataclass(frozen=True)
class Event:
    """One event; `id` is the last one said up to then."""

    name: str
    data: Any
    id: str | None


def parse(lines: Iterator[str], last: str | None = None) -> Iterator[Event | str]:
    """The events of a stream, and each `id` that comes without one (WHATWG HTML).

    What is cut in the middle is nothing, its `id` too. `last` is the id from before.
    """
    name, data, given = "message", "", last
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            given = value
        elif field == "event":
            name = value
        elif field == "data":
            data += value
        elif not line:
            if data:
                yield Event(name, json.loads(data), given)
            elif given is not None:
                yield given
            name, data = "message", ""


class Listener:
    """Reads a stream in a thread of its own until it ends or `close` is called."""

    def __init__(self, url: str, last_id: str | None = None, **headers: str) -> None:
        """Begin after an id, or now; returns when the head of the answer is there."""
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=120)
        self._connection.connect()
        self._socket = self._connection.sock
        self._connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        self.answer = self._connection.getresponse()
        self.events: list[Event] = []
        self.last_id = last_id
        self.has_ended = threading.Event()
        self.may_read = threading.Event()
        """Clear it, and what comes is not read."""
        self.may_read.set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def changes(self) -> list[Event]:
        """The events so far that tell of changes."""
        return [each for each in self.events if each.name in TELLING]

    def ready(self) -> Self:
        """Wait until all that happens from here on is told."""
        wait_until(lambda: self.events or self.has_ended.is_set(), "it is ready")
        assert self.events[0].name == "ready", self.events
        return self

    def wait_for(self, count: int) -> list[Event]:
        """Wait for so many changes; all there are then."""
        wait_until(
            lambda: len(self.changes) >= count or self.has_ended.is_set(), f"{count} changes"
        )
        return self.changes

    def wait_for_end(self) -> Event:
        """Wait until the stream ends; its last event."""
        assert self.has_ended.wait(60)
        return self.events[-1]

    def close(self) -> None:
        """Leave."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self.answer.close()
        self._connection.close()

    def _read(self) -> None:
        with contextlib.suppress(http.client.HTTPException, OSError):
            for each in parse(self._lines(), self.last_id):
                if isinstance(each, Event):
                    self.last_id = each.id
                    self.events.append(each)
                else:
                    self.last_id = each
        self.has_ended.set()

    def _lines(self) -> Iterator[str]:
        """Whole lines; what is left of one at the end is nothing."""
        rest = b""
        while self.may_read.wait() and (chunk := self.answer.read1(64 * 1024)):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode()


@contextlib.contextmanager
def listening(url: str, last_id: str | None = None, **headers: str) -> Iterator[Listener]:
    """A listener that is ready, and leaves at the end of the block."""
    listener = Listener(url, last_id, **headers)
    try:
        yield listener.ready()
    finally:
        listener.close()
