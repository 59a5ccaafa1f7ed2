"""Feeds: answers that last for hours and say something now and then, without a thread for them.

Whatever is new is known to some thread, for hundreds of feeds at one time. They are woken a few at
a time, so that requests get their turns in between. A client that does not read is waited for as
anyone is; what it misses meanwhile is the feed's business.
"""

from __future__ import annotations

import asyncio
from collections import deque

from demijohn.edge.handover import CATCH_UP_PAUSE, Feed
from demijohn.front.bridge import Bridge
from demijohn.front.protocol import Connection
from demijohn.settings import Settings

_AT_ONCE = 16
"""Feeds that are woken in one turn of the loop."""
_SHARE = 8
"""One thread in so many catches up for feeds: the others stay free for requests."""
_PART = 32 * 1024
"""Bytes that are sent at once: what is one and the same here is copied for each connection."""


class Feeds:
    """All feeds of one worker. Every method but `ring` is called on the event loop."""

    def __init__(self, settings: Settings, bridge: Bridge) -> None:
        """Take the threads' bridge, and how long a feed may say nothing."""
        self.heartbeat = settings.feed_heartbeat
        self.bridge = bridge
        self.turns = asyncio.Semaphore(max(1, settings.threads // _SHARE))
        self.are_ending = False
        self._loop = asyncio.get_running_loop()
        self._open: set[Following] = set()
        self._rung: deque[Following] = deque()
        self._is_due = False

    def begin(self, feed: Feed, connection: Connection) -> Following:
        """Drive a feed for the client of this connection."""
        following = Following(self, feed, connection)
        self._open.add(following)
        return following

    def ended(self, following: Following) -> None:
        """Forget one."""
        self._open.discard(following)

    def end(self) -> None:
        """Have every feed say its farewell: the process is about to stop."""
        self.are_ending = True
        for following in self._open:
            self.ring(following)

    def ring(self, following: Following) -> None:
        """Wake one that may be waiting. Called by any thread."""
        if following.is_rung:
            return
        following.is_rung = True
        self._rung.append(following)
        if not self._is_due:
            self._is_due = True
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                return  # the loop has closed: the process is ending

    def _wake(self) -> None:
        self._is_due = False
        for _ in range(min(_AT_ONCE, len(self._rung))):
            self._rung.popleft().bell.set()
        if self._rung and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._wake)


class Following:
    """One feed on its way to a client: the chunks of an answer, as the shell sends them."""

    def __init__(self, feeds: Feeds, feed: Feed, connection: Connection) -> None:
        """Take the feed and the connection, which ends with it."""
        self.bell = asyncio.Event()
        self.is_rung = False
        self._feeds = feeds
        self._feed = feed
        self._connection = connection
        self._parts: deque[bytes] = deque()
        self._is_over = False
        connection.transport.set_write_buffer_limits(high=_PART)
        connection.when_lost = self._ring
        feed.listen(self._ring)

    async def next(self) -> bytes | None:
        """The next chunk, None once the feed has ended or the client has left."""
        while not self._parts:
            text = await self._more()
            if text is None or self._connection.is_gone():
                return None
            self._parts.extend(text[at : at + _PART] for at in range(0, len(text), _PART))
        return self._parts.popleft()

    async def close(self) -> None:
        """Let the feed free what it holds."""
        self._feeds.ended(self)
        await self._feeds.bridge.hop(self._feed.close)

    async def _more(self) -> bytes | None:
        """What there is to say, empty where it is to be looked at again; None after the last."""
        self.is_rung = False
        self.bell.clear()
        if self._is_over or self._connection.is_gone():
            return None
        if self._feeds.are_ending:
            self._is_over = True
            return self._feed.farewell()
        text = self._feed.take()
        if text != b"":
            return text
        if self._feed.is_behind:
            return await self._catch_up()
        return b"" if await self._is_woken(self._feeds.heartbeat) else self._feed.beat()

    async def _catch_up(self) -> bytes:
        async with self._feeds.turns:
            text = await self._feeds.bridge.hop(self._feed.catch_up)
        if not text and self._feed.is_behind:
            await self._is_woken(CATCH_UP_PAUSE)
        return text

    async def _is_woken(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self.bell.wait()
        except TimeoutError:
            return False

    def _ring(self) -> None:
        self._feeds.ring(self)
