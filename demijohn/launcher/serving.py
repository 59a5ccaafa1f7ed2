"""What a worker process does between its start and its end."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from contextlib import suppress
from functools import partial

import structlog

from demijohn.app import Service, create_service
from demijohn.edge.operations import Operations
from demijohn.exits import Exit
from demijohn.front.parts import Means, Parts
from demijohn.front.server import run
from demijohn.launcher.workers import SERVING, STOPPING
from demijohn.settings import Settings

WATCH_ENDS = 2.0
"""Seconds: more than the wait for a database that can't be reached."""


def serve(
    settings: Settings,
    listener: socket.socket,
    management: socket.socket | None,
    launcher_fd: int,
) -> Exit:
    """Serve on given sockets until told to stop; the process's exit code.

    `launcher_fd` is this end of the channel to the launcher (`launcher.workers`). Raises
    SettingsError.
    """
    service = create_service(settings)
    stopped = threading.Event()
    watch = threading.Thread(target=service.store.watch, args=(stopped,), name="watch", daemon=True)
    watch.start()
    if service.keyring is not None:
        threading.Thread(
            target=service.keyring.watch, args=(stopped,), name="keys", daemon=True
        ).start()
    parts = _parts(service)
    gc.collect()
    gc.freeze()
    code = run(parts, listener, management, partial(_report, launcher_fd, service.operations))
    if code != Exit.OK:
        # Some thread still waits for the database, and would be waited for.
        os._exit(code)
    stopped.set()
    watch.join(WATCH_ENDS)  # or it would use the store after its end
    service.hub.close()
    service.store.close()
    return code


def _parts(service: Service) -> Parts:
    means = None
    if service.settings.express != "off":
        means = Means(service.store, service.configurations, service.room, service.keyed_inserts)
    return Parts(
        service.settings,
        service.metrics,
        service.entrance,
        service.operations,
        service.application,
        means,
    )


def _report(launcher_fd: int, operations: Operations, loop: asyncio.AbstractEventLoop) -> None:
    """Tell the launcher that this worker serves, and listen for its word and for its end."""
    loop.add_reader(launcher_fd, _launcher_spoke, launcher_fd, operations)
    with suppress(ConnectionError):  # which the reader finds too
        os.write(launcher_fd, SERVING)


def _launcher_spoke(launcher_fd: int, operations: Operations) -> None:
    # One that was killed before it has read what this worker said resets the connection.
    with suppress(ConnectionError):
        if os.read(launcher_fd, 1) == STOPPING:
            operations.ending = True
            return
    structlog.get_logger().error("launcher is gone")
    # Nobody would replace this worker or stop it, and its port must be free for the next start.
    os._exit(Exit.FAILED)
