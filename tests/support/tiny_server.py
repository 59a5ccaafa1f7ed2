"""The service's server under a WSGI application of a few lines: `python -m … APPLICATION PORT`.

It prints its port on standard output once it serves. Settings come from the environment.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from demijohn.edge.entrance import Entrance
from demijohn.edge.operations import Operations
from demijohn.front.parts import Parts
from demijohn.front.server import run
from demijohn.settings import load
from demijohn.store.status import Status
from demijohn.telemetry import logs
from demijohn.telemetry.metrics import Metrics

Environ = dict[str, Any]
Start = Callable[..., Any]
CHUNK = b"x" * 65_536


def raising(_environ: Environ, start: Start) -> Iterator[bytes]:
    """Three chunks, then an exception that nobody foresaw."""
    start("200 OK", [("Content-Type", "text/plain")])
    for _ in range(3):
        yield CHUNK
    raise RuntimeError("half-way")


def endless(_environ: Environ, start: Start) -> Iterator[bytes]:
    """A stream that does not end by itself within any test."""
    start("200 OK", [("Content-Type", "text/plain")])
    for _ in range(6_000):
        yield CHUNK
        time.sleep(0.01)


def sleeping(environ: Environ, start: Start) -> list[bytes]:
    """An answer after as many seconds as the query says."""
    time.sleep(float(environ["QUERY_STRING"] or 0))
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"done"]


def gated(environ: Environ, start: Start) -> list[bytes]:
    """As `sleeping`, once the file named by RECORD exists."""
    while not Path(os.environ["RECORD"]).exists():
        time.sleep(0.02)
    return sleeping(environ, start)


def busy(environ: Environ, start: Start) -> list[bytes]:
    """As `sleeping`, by a server whose event loop is held up in every turn."""
    return sleeping(environ, start)


def _hold_up(loop: asyncio.AbstractEventLoop) -> None:
    time.sleep(0.05)
    loop.call_soon(_hold_up, loop)


def sized(environ: Environ, start: Start) -> list[bytes]:
    """An answer in one piece of as many bytes as the query says."""
    size = environ["QUERY_STRING"] or "0"
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", size)])
    return [b"x" * int(size)]


def large(_environ: Environ, start: Start) -> list[bytes]:
    """An answer of 8 MiB in one piece."""
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(128 * len(CHUNK)))])
    return [CHUNK * 128]


def recording(environ: Environ, start: Start) -> list[bytes]:
    """Appends the length of each body that reaches it to the file named by RECORD."""
    body = environ["wsgi.input"].read()
    with Path(os.environ["RECORD"]).open("a", encoding="utf-8") as record:
        record.write(f"{len(body)}\n")
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


APPLICATIONS = (raising, endless, sleeping, gated, busy, sized, large, recording)


def main() -> int:
    """Serve the application named by the first argument on the port that is the second."""
    application = {each.__name__: each for each in APPLICATIONS}
    settings = load({name: value for name, value in os.environ.items() if "DEMIJOHN" in name})
    logs.configure(settings)
    metrics = Metrics()
    operations = Operations(Status(lambda: True), metrics)
    chosen = application[sys.argv[1]]
    parts = Parts(settings, metrics, Entrance(settings, metrics), operations, chosen)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
    port = listener.getsockname()[1]

    def on_serving(loop: asyncio.AbstractEventLoop) -> None:
        print(port, flush=True)
        if chosen is busy:
            _hold_up(loop)

    return run(parts, listener, None, on_serving)


if __name__ == "__main__":
    sys.exit(main())
