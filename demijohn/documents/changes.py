"""Live changes: who follows what, and how many may.

All who follow the same collection by the same filter share one change stream, whatever fields and
spelling they read it in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from demijohn.documents.backlog import Mark, Position
from demijohn.documents.change_events import Shape, read_id
from demijohn.documents.feed import Behind, Feed, Reader, Refused, Say
from demijohn.documents.followed import Followed
from demijohn.errors import Overloaded
from demijohn.settings import Settings
from demijohn.store.changes import Changes, Stream
from demijohn.telemetry.metrics import Metrics

_WAIT = 0.01
"""Seconds that a stream waits for more which only has to get to where the others are."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which changes somebody wants to follow, from where, in which shape.

    `where` is a filter of changes as the store takes it; `last_id` the last event's id that was
    read, None for from now on.
    """

    collection: str
    where: bytes | None
    shape: Shape
    last_id: str | None


class Hub:
    """All feeds of one process."""

    def __init__(self, changes: Changes, settings: Settings, metrics: Metrics) -> None:
        """Take the database's changes and how many may be followed at one time."""
        self._changes = changes
        self._settings = settings
        self._metrics = metrics
        self._lock = threading.Lock()
        self._followed: dict[tuple[str, bytes | None], Followed] = {}
        self._feeds = 0

    def follow(self, asked: Asked, say: Say, refused: Refused = lambda: None) -> Feed:
        """Begin a feed; `say` is how it tells of problems. To be closed by whoever has it.

        It ends with what `refused` gives, as soon as that is anything.

        Raises BadCursor for an id that is none, or too old; Overloaded, NeedsReplicaSet,
        DatabaseUnavailable, DeadlineExceeded.
        """
        position = None if asked.last_id is None else read_id(asked.collection, asked.last_id)
        self._count(1)
        try:
            followed = self._enter(asked)
            try:
                return self._begin(followed, asked, position, say, refused)
            except BaseException:
                self._leave(followed, asked.shape)
                raise
        except BaseException:
            self._count(-1)
            raise

    def close(self) -> None:
        """End all of them, and wait until they have let go of the database."""
        with self._lock:
            every = list(self._followed.values())
        for followed in every:
            followed.stop()
        for followed in every:
            followed.wait()

    def _begin(
        self,
        followed: Followed,
        asked: Asked,
        position: Position | None,
        say: Say,
        refused: Refused,
    ) -> Feed:
        backlog = followed.begin()
        with followed.lock:
            end = backlog.end
            number = end.number if position is None else backlog.after(position.token)
        behind = None
        if number is None:
            assert position is not None
            behind = Behind(self._opening(asked, _WAIT), position, end)
        start = Mark(number or 0, position or end.position)

        def close() -> None:
            self._leave(followed, asked.shape)
            self._count(-1)

        reader = Reader(asked.shape, say, self._metrics.feed_events.inc, close, refused)
        return Feed(followed, backlog, reader, start, behind)

    def _leave(self, followed: Followed, shape: Shape) -> None:
        followed.leave(shape)
        if followed.backlog is None and followed.retire():
            self._forget(followed)  # it could not be opened, so it has no end of its own

    def _enter(self, asked: Asked) -> Followed:
        key = (asked.collection, asked.where)
        with self._lock:
            found = self._followed.get(key)
            if found is not None and found.enter(asked.shape):
                return found
            self._make_room()
            made = Followed(asked.collection, self._opening(asked), self._forget)
            made.enter(asked.shape)
            self._followed[key] = made
            self._metrics.change_streams.set(len(self._followed))
            return made

    def _make_room(self) -> None:
        """End one that nobody reads, where there are too many. Raises Overloaded."""
        if len(self._followed) < self._settings.max_change_streams:
            return
        for key, each in self._followed.items():
            if each.retire():
                del self._followed[key]
                return
        raise Overloaded("Too many different collections and filters are being followed.")

    def _opening(self, asked: Asked, wait: float = 1.0) -> Callable[[bytes | None], Stream]:
        # Well inside the driver's patience with a connection.
        seconds = min(wait, self._settings.database_timeout / 2)
        return lambda token: self._changes.open(asked.collection, asked.where, token, seconds)

    def _forget(self, ended: Followed) -> None:
        with self._lock:
            self._followed = {
                key: each for key, each in self._followed.items() if each is not ended
            }
            self._metrics.change_streams.set(len(self._followed))

    def _count(self, more: int) -> None:
        with self._lock:
            if more > 0 and self._feeds >= self._settings.max_feeds:
                raise Overloaded("Too many streams of changes are open.")
            self._feeds += more
            self._metrics.feeds.set(self._feeds)
