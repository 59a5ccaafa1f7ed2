"""One worker process's server: uvicorn on given sockets, with our own drain.

On SIGTERM it goes on listening and serving for `drain_delay`, with `/readyz` 503 and
`Connection: close` on every answer, so that load balancers and keep-alive clients go elsewhere.
Then the listener and idle connections close, and work under way gets `drain_timeout` to finish.
Nobody who could connect is left without an answer: where this process is the last to listen, nobody
else is let in before it looks for the last time.
A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn
import uvloop

from demijohn.edge.entrance import PROBES
from demijohn.exits import Exit
from demijohn.front.backlog import HANDSHAKE, Backlog, let_no_more_begin, waiting
from demijohn.front.bounds import Bounds
from demijohn.front.bridge import Bridge
from demijohn.front.descriptors import room_for
from demijohn.front.express import Express
from demijohn.front.hot import Hot, Leaders
from demijohn.front.parts import Parts
from demijohn.front.protocol import Connection, bounded
from demijohn.front.refusals import Refusals
from demijohn.front.shedding import Shedding
from demijohn.front.shell import Shell
from demijohn.front.threads import Threads
from demijohn.settings import BACKLOG
from demijohn.store.connection import LEADERS

_POLL = 0.05
_TICKS_A_SAMPLE = 10
_LAST_CALLS = 1.0
"""Seconds that threads get to end after the last answer."""


def run(
    parts: Parts,
    main: socket.socket,
    management: socket.socket | None,
    on_serving: Callable[[asyncio.AbstractEventLoop], None],
) -> Exit:
    """Serve until told to stop. `on_serving` is called on the loop once it accepts connections.

    Returns OK, or CUT_SHORT where work still under way at the deadline was cut.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(parts, main, management, on_serving))


async def _run(
    parts: Parts,
    main: socket.socket,
    management: socket.socket | None,
    on_serving: Callable[[asyncio.AbstractEventLoop], None],
) -> Exit:
    settings = parts.settings
    loop = asyncio.get_running_loop()
    shedding = Shedding(settings.shed_after, parts.metrics)
    threads = Threads(settings.threads, settings.max_waiting, loop, shedding.threads)
    shedding.watch(shedding.threads, threads.longest_wait)
    bridge = Bridge(parts.application, threads)
    management_port = None if management is None else management.getsockname()[1]
    parts.entrance.hold_records(loop.call_soon)
    # A transaction may have to be tried again and again, and a replacement may have to wait for
    # one; inserts and reads do not wait for that.
    leaders = (Leaders(LEADERS), Leaders(LEADERS))
    express = _express(parts, bridge, leaders, shedding)
    shell = Shell(parts, bridge, express, management_port, shedding)
    server = Server(parts, shell, management_port, on_serving)
    await server.serve([main] if management is None else [main, management])
    ended = [each.close(_LAST_CALLS) for each in (threads, *leaders)]
    return Exit.OK if all(ended) and not server.cut_short else Exit.CUT_SHORT


def _express(
    parts: Parts, bridge: Bridge, leaders: tuple[Leaders, Leaders], shedding: Shedding
) -> Express | None:
    if parts.express is None:
        return None
    patience = parts.settings.queue_timeout
    hot, transactions = (Hot(each, patience, shedding.database) for each in leaders)
    longest = (hot.longest_wait, transactions.longest_wait)
    shedding.watch(shedding.database, lambda: max(each() for each in longest))
    return Express(parts.express, hot, transactions, bridge, parts)


class Server(uvicorn.Server):
    """uvicorn's server with the drain of this module and figures sampled once a second."""

    def __init__(
        self,
        parts: Parts,
        shell: Shell,
        management_port: int | None,
        on_serving: Callable[[asyncio.AbstractEventLoop], None],
    ) -> None:
        """Take what to serve, and whom to tell once connections are accepted."""
        super().__init__(_config(parts, shell, management_port))
        self.cut_short = False
        self._parts = parts
        self._shell = shell
        self._on_serving = on_serving
        self._backlog = Backlog(self._new_connection)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._shell.shedding.start(loop)
        self._backlog.watch(sockets or [])
        self._on_serving(loop)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second, uvicorn asks whether to end; once a second, sample the gauges."""
        if counter % _TICKS_A_SAMPLE == 0:
            metrics = self._parts.metrics
            metrics.in_flight.set(self._shell.in_flight)
            metrics.connections.set(len(self.server_state.connections))
            metrics.streams.set(self._shell.streams)
            metrics.body_bytes.set(self._shell.body_bytes)
            self._parts.operations.sample()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT begin the drain, and end it when they come again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop, loop)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listeners and idle connections, wait for the rest, cut what is late."""
        await self._stop_listening(sockets or [])
        self._shell.feeds.end()
        for connection in self._connections():
            connection.shutdown()
        await self._wait_for_work(self._parts.settings.drain_timeout)
        late = self._connections()
        self.cut_short = bool(late or self.server_state.tasks)
        if self.cut_short:
            structlog.get_logger().warning("work cut short", connections=len(late))
        for connection in late:
            connection.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        if self.server_state.tasks:
            await asyncio.wait(list(self.server_state.tasks), timeout=_LAST_CALLS)

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        """Close the listeners, but first take in whoever has already connected.

        What waits in a listener's backlog when it closes is reset, though its client has been
        told that it is connected.
        """
        if self._parts.operations.ending:
            for sock in sockets:
                let_no_more_begin(sock)
            await asyncio.sleep(HANDSHAKE)
        await self._backlog.close()
        copies = [sock.dup() for sock in sockets]
        for listener in self.servers:
            listener.close()
        await asyncio.sleep(0)  # libuv closes its own behind this turn: ours are to be the last
        for copy in copies:
            with copy:
                # Taken in later: between the last look and the end there is time for one more.
                taken = list(waiting(copy))
            for accepted in taken:
                await asyncio.get_running_loop().connect_accepted_socket(
                    self._new_connection, accepted
                )

    def _new_connection(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _told_to_stop(self, loop: asyncio.AbstractEventLoop) -> None:
        operations = self._parts.operations
        if operations.draining:
            self.should_exit = self.force_exit = True
            return
        operations.draining = True
        self._shell.shedding.keeps_connections = False
        delay = self._parts.settings.drain_delay
        structlog.get_logger().info("draining", delay=delay)
        loop.call_later(delay, setattr, self, "should_exit", True)

    async def _wait_for_work(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.server_state.connections or self.server_state.tasks:
            if self.force_exit or loop.time() >= deadline:
                return
            await asyncio.sleep(_POLL)

    def _connections(self) -> list[Connection]:
        return [each for each in self.server_state.connections if isinstance(each, Connection)]


def _config(parts: Parts, shell: Shell, management_port: int | None) -> uvicorn.Config:
    settings = parts.settings
    later = asyncio.get_running_loop().call_soon
    refusals = Refusals(parts.entrance, parts.metrics, later)
    bounds = Bounds(
        head_timeout=settings.head_timeout,
        stall_timeout=settings.stall_timeout,
        management_port=management_port,
        max_age=settings.connection_max_age,
        max_connections=room_for(settings.max_connections),
        max_body=int(settings.max_body),
        refuse=refusals.refuse,
        shedding=shell.shedding,
        shed=refusals.shed,
        unshed=frozenset(path.encode() for path in PROBES),
    )
    return uvicorn.Config(
        shell,
        http=bounded(bounds),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]
    )
