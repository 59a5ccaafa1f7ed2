"""SecantusDB as a child, on a port of the loopback address that nobody is told."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

STOP_TIMEOUT = 20.0
START_TIMEOUT = 60.0
PAUSE = 0.02
NOTICE = 5.0
"""Seconds in which a server that was told to end has stopped accepting connections, also where it
stands still for a while; the kernel accepts them for it then."""
CACHE = "128M"
PORTS = range(2_000, 4_900)
"""Where the storage listens: what nobody else is given here."""
_PR_SET_PDEATHSIG = 1


class BackendError(Exception):
    """It does not start, or does not stop as it should."""


class Backend:
    """The server that holds the documents; its files lie in `directory`."""

    def __init__(self, directory: Path, lock: int) -> None:
        """Take the directory and the descriptor of a lock that must be held while it lives."""
        self.port = 0
        self.died = asyncio.Event()
        """Set when it ends without having been told to."""
        self._directory = directory
        self._lock = lock
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, *, auth: bool) -> None:
        """Start it and wait until it accepts connections. Raises BackendError."""
        self.port = _free_port()
        config = self._directory / "secantusd.toml"
        config.write_bytes(b"")
        self._process = await asyncio.create_subprocess_exec(
            *(_command(), "--host", "127.0.0.1", "--port", str(self.port)),
            *("--storage-path", str(self._directory / "secantus"), "--config", str(config)),
            # It leaves users and roles in memory otherwise, where mongod journals them.
            *("--cache-size", CACHE, "--sync-on-commit", "--log-level", "WARNING"),
            *(["--auth"] if auth else []),
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=_dying_with(os.getpid()),
            pass_fds=(self._lock,),
            start_new_session=True,
        )
        await self._wait_until_it_accepts(self._process)
        self._watch = asyncio.create_task(self._note_death(self._process))

    async def stop(self) -> None:
        """End it properly, so that all it was given is on the disk. Raises BackendError."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._watch is not None:
            self._watch.cancel()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                while process.returncode is None:
                    await self._ask_to_end(process)
        except TimeoutError:
            process.kill()
            await process.wait()
        if process.returncode != 0:
            raise BackendError(f"the storage ended with {process.returncode}")

    async def _ask_to_end(self, process: asyncio.subprocess.Process) -> None:
        """Send the signal, and give it time to be noticed.

        Rarely it passes the server by, which then goes on as if nothing were; one that has
        noticed accepts nothing more, and must not be told twice. It waits in accept(), two
        seconds long unless somebody connects.
        """
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        for _ in range(round(NOTICE / PAUSE)):
            await asyncio.sleep(PAUSE)
            if process.returncode is not None or not await _accepts(self.port):
                await process.wait()
                return

    async def _wait_until_it_accepts(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(START_TIMEOUT):
            while not await _accepts(self.port):
                if process.returncode is not None:
                    raise BackendError(f"the storage ended with {process.returncode}")
                await asyncio.sleep(PAUSE)

    async def _note_death(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        self.died.set()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _command() -> str:
    beside = Path(sys.executable).with_name("secantusd-py")
    return str(beside) if beside.exists() else shutil.which("secantusd-py") or str(beside)


def _dying_with(parent: int) -> Callable[[], None]:
    """What a child does before it is the server, for a killed mongod leaves nothing running."""
    prctl = ctypes.CDLL(None).prctl

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent was killed before the call above

    return in_child


def _free_port() -> int:
    """The first that nobody listens on; each process begins to look elsewhere.

    The storage listens a second later. Of its own accord the kernel would meanwhile give the port
    to another server, or to one who connects somewhere.
    """
    begin = os.getpid() % len(PORTS)
    for port in chain(PORTS[begin:], PORTS[:begin]):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise BackendError("there is no port for the storage")
