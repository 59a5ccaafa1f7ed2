"""The entry point of a worker process: `python -m demijohn.launcher.worker`, by the launcher."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import threading
from contextlib import suppress
from functools import partial

import click
import structlog

from demijohn.app import Service, create_service
from demijohn.exits import Exit
from demijohn.front.parts import Means, Parts
from demijohn.front.server import run
from demijohn.launcher.workers import SERVING
from demijohn.settings import SettingsError, load

WATCH_ENDS = 2.0
"""Seconds: more than the wait for a database that can't be reached."""


@click.command(hidden=True)
@click.option("--listen-fd", type=int, required=True)
@click.option("--management-fd", type=int)
@click.option("--launcher-fd", type=int, required=True)
def main(listen_fd: int, management_fd: int | None, launcher_fd: int) -> None:
    """Serve on inherited sockets until told to stop or the launcher is gone."""
    try:
        service = create_service(load(os.environ))
    except SettingsError as error:
        for message in error.messages:
            click.echo(f"Error: {message}", err=True)
        sys.exit(Exit.USAGE)
    management = None if management_fd is None else socket.socket(fileno=management_fd)
    sys.exit(_serve(service, socket.socket(fileno=listen_fd), management, launcher_fd))


def _serve(
    service: Service, listener: socket.socket, management: socket.socket | None, launcher_fd: int
) -> Exit:
    stopped = threading.Event()
    watch = threading.Thread(target=service.store.watch, args=(stopped,), name="watch", daemon=True)
    watch.start()
    parts = Parts(
        service.settings,
        service.metrics,
        service.entrance,
        service.operations,
        service.application,
        _means(service),
    )
    gc.collect()
    gc.freeze()
    code = run(parts, listener, management, partial(_report, launcher_fd))
    if code != Exit.OK:
        # Some thread still waits for the database, and would be waited for.
        os._exit(code)
    stopped.set()
    watch.join(WATCH_ENDS)  # or it would use the store after its end
    service.hub.close()
    service.store.close()
    return code


def _means(service: Service) -> Means | None:
    if service.settings.express == "off":
        return None
    return Means(service.store, service.configurations, service.room)


def _report(launcher_fd: int, loop: asyncio.AbstractEventLoop) -> None:
    """Tell the launcher that this worker serves, and watch for the launcher's end."""
    loop.add_reader(launcher_fd, _launcher_spoke, launcher_fd)
    with suppress(ConnectionError):  # which the reader finds too
        os.write(launcher_fd, SERVING)


def _launcher_spoke(launcher_fd: int) -> None:
    # One that was killed before it has read what this worker said resets the connection.
    with suppress(ConnectionError):
        if os.read(launcher_fd, 1):
            return
    structlog.get_logger().error("launcher is gone")
    # Nobody would replace this worker or stop it, and its port must be free for the next start.
    os._exit(Exit.FAILED)


if __name__ == "__main__":
    main()
