"""The command: `mongod --replSet rs0 --keyFile FILE --dbpath DIR [--bind_ip_all] [--port N]`."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import re
import signal
import stat
import sys
import time
from pathlib import Path
from typing import NoReturn

from .backend import Backend, BackendError
from .node import Node
from .proxy import Client

LOCK_PATIENCE = 20.0
"""Seconds for a predecessor that was killed to be gone, which ends its write to the disk first."""


class UsageError(Exception):
    """It can't start like this; the text says why."""


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """As mongod: an exit code of 1, not 2."""
        raise UsageError(f"Error parsing command line: {message}")


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """The options; raises UsageError for one that this stand-in does not know."""
    parser = _Options("mongod", allow_abbrev=False)
    parser.add_argument("--replSet", required=True, dest="set_name")
    parser.add_argument("--keyFile", required=True, type=Path, dest="key_file")
    parser.add_argument("--dbpath", default=Path("/data/db"), type=Path)
    parser.add_argument("--port", default=27017, type=int)
    parser.add_argument("--bind_ip_all", action="store_const", const="0.0.0.0", dest="address")
    # Taken, and passed over: the backend's cache is sized otherwise.
    parser.add_argument("--wiredTigerCacheSizeGB", default=0.25, type=float)
    parser.set_defaults(address="127.0.0.1")
    return parser.parse_args(arguments)


def check_key_file(path: Path) -> None:
    """What mongod demands of a key file ("Keyfiles" in the manual). Raises UsageError."""
    try:
        text = path.read_text(encoding="ascii")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Unable to acquire security key[s]: {path}: {error}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"permissions on {path} are too open")
    key = "".join(text.split())
    if not re.fullmatch(r"[A-Za-z0-9+/=]{6,1024}", key):
        raise UsageError(f"security key in {path} must be 6 to 1024 characters of base64")


def take_lock(directory: Path) -> int:
    """The directory for this process and its child alone. Raises UsageError."""
    try:
        lock = os.open(directory / "mongod.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UsageError(f"Unable to create/open the lock file in {directory}: {error}") from None
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                raise UsageError(f"DBPathInUse: {directory} is another mongod's") from None
            time.sleep(0.05)
        else:
            return lock


async def serve(options: argparse.Namespace, lock: int) -> int:
    """Serve until a signal or the backend's death; the exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    backend = Backend(options.dbpath, lock)
    node = Node(options.set_name, options.port, options.dbpath, backend)
    await node.start()
    clients: set[Client] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: Client(node, clients), options.address, options.port, backlog=1024
    )
    await node.find_itself()
    print(f"Waiting for connections on {options.address}:{options.port}", flush=True)
    ends = [asyncio.create_task(event.wait()) for event in (stopping, backend.died)]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    for client in list(clients):
        client.transport.abort()
    if not stopping.is_set():
        print("the storage has died", file=sys.stderr, flush=True)
        return 14  # mongod's own, for an error that it can't recover from
    await backend.stop()
    print("shut down", flush=True)
    return 0


def main() -> int:
    """Run it; the exit code is mongod's."""
    try:
        options = parse_options(sys.argv[1:])
        check_key_file(options.key_file)
        return asyncio.run(serve(options, take_lock(options.dbpath)))
    except (UsageError, BackendError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
