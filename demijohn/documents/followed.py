"""One change stream that many read: a thread of its own keeps what comes in a backlog.

It outlives a database that is lost for a while: it goes on where it was, and nobody who reads
notices but by the wait.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog

from demijohn.documents.backlog import Backlog
from demijohn.documents.change_events import Shape, render
from demijohn.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    InternalError,
    Overloaded,
    Problem,
    ShuttingDown,
)
from demijohn.store.changes import Change, Stream

Open = Callable[[bytes | None], Stream]
Wake = Callable[[], None]
PASSING = (DatabaseUnavailable, DeadlineExceeded)
"""What a stream waits out."""
MOST_CHANGES, MOST_BYTES = 1_000, 8 * 1024 * 1024
"""What a reader may be behind before it has to come back."""
MOST_SHAPES = 16
"""Spellings and choices of fields that are made of each change."""
_GRACE = 10.0
"""Seconds without a reader after which it ends: clients that come back find where they were."""
_LET_GO = 2.0
"""Seconds for the last wait for the database to end."""
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds between attempts to go on."""


class Followed:
    """A change stream and its readers. Its methods may be called by any thread."""

    def __init__(
        self,
        collection: str,
        open_stream: Open,
        on_end: Callable[[Followed], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take how to open it, which is done for the first reader, and who hears of its end."""
        self.collection = collection
        self.lock = threading.Lock()
        """Around `backlog` and `failure`."""
        self.backlog: Backlog | None = None
        self.failure: Problem | None = None
        """Why nothing more comes."""
        self._open = open_stream
        self._on_end = on_end
        self._clock = clock
        self._opening = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._left = clock()
        self._shapes: Counter[Shape] = Counter()
        """How many read it in each shape."""
        self._wakes: frozenset[Wake] = frozenset()
        self._for_quiet: frozenset[Wake] = frozenset()

    def enter(self, shape: Shape) -> bool:
        """Be one of its readers, until `leave`; false where it has ended, or is about to.

        Each change is made ready in this shape. Raises Overloaded where there are too many shapes.
        """
        with self.lock:
            if self._stopped.is_set():
                return False
            if shape not in self._shapes and len(self._shapes) >= MOST_SHAPES:
                raise Overloaded("Too many different fields are asked of these changes.")
            self._shapes[shape] += 1
            return True

    def leave(self, shape: Shape) -> None:
        """Read no longer."""
        with self.lock:
            self._shapes[shape] -= 1
            self._shapes = +self._shapes
            self._left = self._clock()

    def begin(self) -> Backlog:
        """What is kept of the stream, which is open then. Raises what the opening raises."""
        with self._opening:
            if self.backlog is None:
                stream = self._open(None)
                with self.lock:
                    self.backlog = Backlog(stream.token, MOST_CHANGES, MOST_BYTES)
                self._thread = threading.Thread(
                    target=self._read, args=(stream,), name="changes", daemon=True
                )
                self._thread.start()
        return self.backlog

    def listen(self, wake: Wake) -> None:
        """Have `wake` called, by whichever thread, whenever there is something new."""
        with self.lock:
            self._wakes |= {wake}

    def ring_when_quiet(self, wake: Wake | None) -> None:
        """Have it called once nothing more has come for a while. The caller holds the lock."""
        if wake is not None:
            self._for_quiet |= {wake}

    def forget(self, wake: Wake) -> None:
        """Undo `listen`."""
        with self.lock:
            self._wakes -= {wake}
            self._for_quiet -= {wake}

    def retire(self) -> bool:
        """End it, if nobody reads; whether nobody does."""
        with self.lock:
            if not self._shapes:
                self._stopped.set()
            return not self._shapes

    def stop(self) -> None:
        """End it; its readers are told."""
        self._end(ShuttingDown("This process is about to stop."))

    def wait(self) -> None:
        """Wait until its thread has let go of the database."""
        if self._thread is not None:
            self._thread.join(_LET_GO)

    def _read(self, opened: Stream | None) -> None:
        """Keep what comes, until it ends."""
        token, pause = b"", _PAUSE
        while not self._is_over():
            try:
                opened = opened or self._open(token)
                self._keep(opened, opened.next())
                pause = _PAUSE
            except PASSING:  # logged where it was translated
                token, opened = _left_at(opened, token), None
                self._stopped.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Problem as problem:
                self._end(problem)
            except Exception as error:  # noqa: BLE001 — a thread has nobody above it
                if not self._stopped.is_set():
                    structlog.get_logger().error("defect", exc_info=error)
                self._end(InternalError("The service failed."))
        _left_at(opened, token)
        self._on_end(self)

    def _keep(self, stream: Stream, change: Change | None) -> None:
        assert self.backlog is not None
        if change is None:
            with self.lock:
                self.backlog.passed(stream.token)
                waiting, self._for_quiet = self._for_quiet, frozenset()
            _call(waiting)
            return
        with self.lock:
            shapes = tuple(self._shapes)
        texts: dict[object, bytes] = {
            shape: render(self.collection, change, shape) for shape in shapes
        }
        with self.lock:
            self.backlog.append(change, texts)
        self._wake()

    def _is_over(self) -> bool:
        with self.lock:
            if not self._shapes and self._clock() - self._left > _GRACE:
                self._stopped.set()
        return self._stopped.is_set()

    def _end(self, problem: Problem) -> None:
        with self.lock:
            self.failure = self.failure or problem
            self._stopped.set()
        self._wake()

    def _wake(self) -> None:
        _call(self._wakes)


def _call(wakes: frozenset[Wake]) -> None:
    for wake in wakes:
        wake()


def _left_at(opened: Stream | None, token: bytes) -> bytes:
    """Close a stream that is open; where it was, or else the position that is known."""
    if opened is None:
        return token
    opened.close()
    return opened.token
