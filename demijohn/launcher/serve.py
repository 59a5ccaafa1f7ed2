"""The assembly of the launcher: limits, sockets, database, workers, loop, exit code."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from pydantic import ByteSize

from demijohn.exits import Exit
from demijohn.launcher import cpu, sockets
from demijohn.launcher.banner import Facts, announce, uri_hosts
from demijohn.launcher.datadir import DataDir
from demijohn.launcher.embedded import Database
from demijohn.launcher.failure import LaunchError
from demijohn.launcher.loop import NEVER, Loop
from demijohn.launcher.metrics_dir import metrics_dir
from demijohn.launcher.workers import Plan, Workers
from demijohn.settings import MULTIPROCESS_DIR, URI_NAME, Settings
from demijohn.store.uri import check_uri
from demijohn.telemetry import logs

READY = "/readyz"
SETTLE = 5.0
"""Seconds at most that the workers get to find an embedded database that is up."""
PAUSE = 0.05
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
    "MALLOC_ARENA_MAX": "1",
}
"""For glibc, mallopt(3): memory that a large body took goes back to the system.

By default its thresholds rise with use: 16 of the worst bodies of 2 MiB at once came to 700 MiB,
with these to 330. And each thread would have a heap of its own and keep what it once had: eight
clients that read 100,000 documents, each a part in this thread and a part in that, took 24 MiB,
with one heap for all threads 8. Only one of them runs Python at a time, so they seldom wait for it.
"""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Listeners:
    main: socket.socket
    management: socket.socket | None

    def close(self) -> None:
        self.main.close()
        if self.management is not None:
            self.management.close()


def serve(settings: Settings) -> int:
    """Run the service until it is told to stop; the exit code of the command.

    Raises LaunchError or SettingsError where it cannot start; then nothing that it started is
    left.
    """
    logs.configure(settings)
    sockets.check_reach(settings)
    if settings.mongodb_uri is not None:
        check_uri(settings.mongodb_uri)
    loop = Loop()
    with contextlib.ExitStack() as stack:
        listeners = stack.enter_context(contextlib.closing(_listen(settings)))
        metrics = stack.enter_context(metrics_dir())
        data = database = None
        if settings.mongodb_uri is None:
            data = stack.enter_context(contextlib.closing(DataDir(settings.data_dir)))
            database = stack.enter_context(contextlib.closing(Database(data, loop)))
        settings = _fitted(settings, listeners)
        uri = database.uri() if database else str(settings.mongodb_uri)
        plan = _plan(settings, listeners, {URI_NAME: uri, MULTIPROCESS_DIR: metrics})
        workers = Workers(plan, loop, time.monotonic)
        run = _Run(workers, database, listeners, _facts(settings, listeners, data))
        with loop.signals(run.stop):
            return run.until_stopped(loop, on_terminal=_on_terminal(settings))


class _Run:
    """The running service, from its first tick to its last."""

    def __init__(
        self, workers: Workers, database: Database | None, listeners: _Listeners, facts: Facts
    ) -> None:
        self._workers = workers
        self._database = database
        self._listeners = listeners
        self._facts = facts
        self._on_terminal = False
        self._is_announced = False
        self._is_closing = False
        self._up_since: float | None = None
        self._failure: LaunchError | None = None

    def until_stopped(self, loop: Loop, *, on_terminal: bool) -> int:
        """Tick until all has ended; the exit code. Raises the LaunchError that ended it."""
        self._on_terminal = on_terminal
        while not self._is_done():
            try:
                loop.run(self._tick, self._is_done)
            except LaunchError as error:
                self._fail(error)
        if self._failure is not None:
            raise self._failure
        log.info("stopped", code=self._workers.code)
        return self._workers.code

    def stop(self) -> None:
        """Begin to stop; when that has begun, end at once."""
        again = self._workers.is_stopping
        self._listeners.close()
        self._workers.stop(time.monotonic())
        log.info("stopping", again=again)

    def _fail(self, error: LaunchError) -> None:
        self._failure = self._failure or error
        if not self._is_announced:
            self._workers.kill()  # nobody was told of them
        self._listeners.close()
        self._workers.stop(time.monotonic())

    def _tick(self, now: float) -> float:
        if self._database is None:
            due = NEVER
        else:
            if self._workers.is_stopped and not self._is_closing:
                self._is_closing = True
                self._database.stop(now)
            # Before the workers: it takes longest to start.
            due = self._database.tick(now)
        if self._database is None or self._database.has_user:
            due = min(due, self._workers.tick(now))
        if not self._is_announced and not self._workers.is_stopping:
            due = min(due, self._announce_when_up(now))
        is_due = self._database is not None and self._workers.is_stopped and not self._is_closing
        return now if is_due else due

    def _announce_when_up(self, now: float) -> float:
        """Say that the service runs as soon as that is so; the time to look again."""
        if not self._workers.is_serving:
            return NEVER
        if self._database is not None:
            if not self._database.is_ready:
                return NEVER
            self._up_since = self._up_since or now
            # The workers find a database that was slow to start only a moment later.
            if now < self._up_since + SETTLE and not sockets.answers(self._listeners.main, READY):
                return now + PAUSE
        self._is_announced = True
        announce(self._facts, terminal=self._on_terminal)
        return NEVER

    def _is_done(self) -> bool:
        return self._workers.is_stopped and (self._database is None or self._database.is_stopped)


def _listen(settings: Settings) -> _Listeners:
    if settings.port and settings.port == settings.management_port:
        raise LaunchError(Exit.USAGE, "DEMIJOHN_PORT and DEMIJOHN_MANAGEMENT_PORT are the same.")
    main = sockets.listen(settings.host, settings.port, "--port")
    if settings.management_port is None:
        return _Listeners(main, None)
    try:
        management = sockets.listen(settings.host, settings.management_port, "--management-port")
    except LaunchError:
        main.close()
        raise
    return _Listeners(main, management)


def _fitted(settings: Settings, listeners: _Listeners) -> Settings:
    """The settings with the real ports, and what the machine or the container has room for."""
    workers = cpu.available_workers(settings.workers)
    bodies = cpu.bodies_limit(settings.max_bodies, settings.max_body, workers, cpu.memory_limit())
    management = listeners.management
    return settings.model_copy(
        update={
            "workers": workers,
            "max_bodies": ByteSize(bodies),
            "port": listeners.main.getsockname()[1],
            "management_port": management.getsockname()[1] if management else None,
        }
    )


def _plan(settings: Settings, listeners: _Listeners, environ: Mapping[str, str]) -> Plan:
    descriptors = [listeners.main.fileno()]
    arguments = ["--listen-fd", str(descriptors[0])]
    if listeners.management is not None:
        descriptors.append(listeners.management.fileno())
        arguments += ["--management-fd", str(descriptors[1])]
    return Plan(
        count=settings.workers or 1,
        arguments=arguments,
        descriptors=descriptors,
        environ={**MALLOC, **os.environ, **settings.environ(), **environ},
        drain=settings.drain_delay + settings.drain_timeout,
    )


def _facts(settings: Settings, listeners: _Listeners, data: DataDir | None) -> Facts:
    management = listeners.management
    uri = settings.mongodb_uri
    return Facts(
        url=sockets.url(settings.host, listeners.main),
        management_url=sockets.url(settings.host, management) if management else None,
        workers=settings.workers or 1,
        data_dir=data.path if data else None,
        database_host=uri_hosts(uri) if uri else None,
        auth=settings.auth,
    )


def _on_terminal(settings: Settings) -> bool:
    return settings.log_format != "json" and sys.stderr.isatty()
