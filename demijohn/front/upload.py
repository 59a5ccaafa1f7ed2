"""Uploads: a body of any length, taken and answered at the same time, in constant memory.

The loop waits for what comes, and each piece is worked on in a thread, so that a slow client holds
none. Nothing more is read before what has come is done with and the client has read what was said
of it: whoever sends without reading is held up, and in the end cut. An upload that does not arrive
to its end is cut too, without the last line that says that it is whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from demijohn.edge.handover import Step, Upload
from demijohn.errors import BodyTimeout, IncompleteBody, Problem
from demijohn.formats import media_types
from demijohn.front.body import LONGEST_PAUSE, SLOW_START, SMALL, Held
from demijohn.front.bridge import Bridge
from demijohn.front.gate import Gate
from demijohn.front.protocol import Connection
from demijohn.settings import Settings

Receive = Callable[[], Awaitable[Any]]
_SHARE = 4
"""One thread in so many is for uploads: the others stay free for requests."""
_LOOK = 0.02
"""Seconds between two looks at whether the client has what was written."""


def is_upload(method: str, content_type: bytes) -> bool:
    """Whether a request's body may be an upload: the application says whether it is."""
    kind = content_type.partition(b";")[0].strip().lower()
    return method == "POST" and kind == media_types.NDJSON.encode()


class Uploads:
    """What all uploads of one worker share."""

    def __init__(self, settings: Settings, bridge: Bridge, gate: Gate, held: Held) -> None:
        """Take the threads' bridge, and what bounds the memory of all bodies."""
        self.settings = settings
        self.bridge = bridge
        self.gate = gate
        self.held = held
        self.turns = asyncio.Semaphore(max(1, settings.threads // _SHARE))

    def begin(self, upload: Upload, receive: Receive, connection: Connection) -> Intake:
        """Take an upload from the client of this connection."""
        return Intake(self, upload, receive, connection)


class Intake:
    """One upload, as the chunks of its answer. All methods run on the loop."""

    def __init__(
        self, shared: Uploads, upload: Upload, receive: Receive, connection: Connection
    ) -> None:
        """Take the parts; nothing is read yet."""
        self._shared = shared
        self._upload = upload
        self._receive = receive
        self._connection = connection
        self._pace = Pace(int(shared.settings.body_min_rate), shared.settings.body_timeout)
        self._held = 0
        self._has_more = True
        """Whether more of the body is to come."""
        self._has_work = False
        """Whether something has come that is not done with."""
        self._room = SMALL
        self._failure: Problem | None = None

    async def read(self, *, has_body: bool = True) -> None:
        """Read what comes next of the body. Raises BodyTimeout, IncompleteBody, Overloaded."""
        chunk, self._has_more = (await self._next()) if has_body else (b"", False)
        self._upload.feed(chunk)
        if not self._has_more:
            self._upload.end()
        self._has_work = True
        self._hold(self._upload.held)

    async def next(self) -> bytes | None:
        """The next chunk of the answer, None after the last.

        Raises IncompleteBody, BodyTimeout or Overloaded where the upload is to be cut, and what
        made it end early.
        """
        while self._failure is None and (self._has_work or self._has_more):
            if not self._has_work:
                await self.read()
            step = await self._step()
            self._failure = step.failure
            if step.answer:
                return step.answer
        if self._failure is not None:
            await self._flushed()
            raise self._failure
        return None

    async def close(self) -> None:
        """Hold nothing any more."""
        self._hold(0)

    async def _step(self) -> Step:
        shared, room = self._shared, self._room
        gate = shared.gate.passing(room, None, extended=self._upload.is_extended)
        async with shared.turns, gate:
            step = await shared.bridge.hop(partial(self._upload.step, room))
        self._room = max(step.needs, SMALL)
        self._has_work = not step.is_last
        if step.is_last:
            self._hold(self._upload.held)
        return step

    async def _next(self) -> tuple[bytes, bool]:
        """What has come since the last look, and whether more will."""
        self._connection.forgive_framing()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._pace.patience):
                message = await self._receive()
        except TimeoutError:
            raise BodyTimeout("The upload did not go on in time.") from None
        is_cut = message.get("more_body", False) and self._connection.has_ended()
        if message["type"] == "http.disconnect" or is_cut:
            raise IncompleteBody("The connection ended before the upload was whole.")
        self._pace.note(len(message["body"]), clock() - began)
        return message["body"], message["more_body"]

    def _hold(self, size: int) -> None:
        more = size - self._held
        if more > 0:
            self._shared.held.take(more, self._held)
        else:
            self._shared.held.give_back(-more)
        self._held = size

    async def _flushed(self) -> None:
        """Give the client time to read what was said before it is cut off."""
        for _ in range(int(self._shared.settings.stall_timeout / _LOOK) + 1):
            if self._connection.is_gone() or not self._connection.has_unsent():
                return
            await asyncio.sleep(_LOOK)


class Pace:
    """How long a client is waited for: what comes earns seconds, and waiting spends them.

    The time in which the service does not read is nobody's fault, and does not count.
    """

    def __init__(self, rate: int, most: float) -> None:
        """`rate`: bytes that earn a second, 0 to wait for any pace; `most`: seconds to be saved."""
        self._rate = rate
        self._most = max(most, SLOW_START)
        self._saved = SLOW_START

    @property
    def patience(self) -> float:
        """Seconds in which something has to come."""
        return max(0.0, min(LONGEST_PAUSE, self._saved)) if self._rate else LONGEST_PAUSE

    def note(self, received: int, seconds: float) -> None:
        """So many bytes have come after so many seconds of waiting."""
        if self._rate:
            self._saved = min(self._saved - seconds + received / self._rate, self._most)
