"""A real database server for tests: SecantusDB on a directory of its own, without a login."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Self

import pymongo
from pymongo.collection import Collection

from demijohn.launcher.server import find_command
from tests.support.processes import TimedOutError, freeze, wait_until
from tests.support.service import clean_environ

Documents = Collection[dict[str, Any]]
PORTS = range(10_000, 30_000)
"""Where servers of tests listen: below what the kernel gives to those who connect. A client that
keeps trying a server that has gone may be given that very port, and is then connected to itself,
and the server does not get it back. Kubernetes' node ports lie between."""


def _own_ports() -> Iterator[int]:
    """Those of this process of pytest, one after another: of the others none is given the same.

    A port is not only to be free when it is looked for: whoever gets it listens a second later,
    and a server that is started again is gone for a while.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = PORTS[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    begin = random.randrange(len(own))
    return cycle([*own[begin:], *own[:begin]])


_PORTS = _own_ports()


class Database:
    """One database server; its port and its data stay the same over restarts."""

    def __init__(self, directory: Path) -> None:
        """Take a directory for its files; `start` starts it."""
        self.directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The connection string; writes are journaled, or a kill would lose them."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet=secantus&journal=true"

    @property
    def pid(self) -> int:
        """The server's process. Raises RuntimeError where it does not run."""
        return self._require().pid

    def start(self) -> Self:
        """Start it and wait until it accepts connections."""
        config = self.directory / "secantusd.toml"
        config.write_bytes(b"")
        with (self.directory / "database.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._program(),
                    *("--host", "127.0.0.1", "--port", str(self.port), "--log-level", "WARNING"),
                    *("--storage-path", str(self.directory / "data"), "--config", str(config)),
                    "--sync-on-commit",  # or a kill loses transactions, journaled or not
                ],
                cwd=self.directory,
                env=clean_environ({}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self._accepts() or not self._runs(), "the database starts or fails")
        if not self._runs():
            raise RuntimeError(f"the database does not start:\n{self.log()}")
        return self

    def _program(self) -> list[str]:
        """The server's command and what is peculiar to it."""
        return [find_command()]

    def stop(self) -> None:
        """End it properly; it can be started again."""
        if self._process is None:
            return
        self.resume()
        for _ in range(15):
            # A signal that another of its threads takes does not wake its main one: once more.
            self._process.terminate()
            with contextlib.suppress(TimedOutError):
                wait_until(self._has_ended, "the database ends", timeout=1)
                break
        else:
            self._process.kill()
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Have it accept connections but answer nothing: SIGSTOP."""
        freeze(self._require().pid)

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it and start it on the same port, with the same data."""
        self.stop()
        self.start()

    def log(self) -> str:
        """What it has printed."""
        return (self.directory / "database.log").read_text(encoding="utf-8", errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        if self._runs():
            self._require().send_signal(number)

    def _require(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the database does not run")
        return self._process

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _has_ended(self) -> bool:
        # It waits in accept() for two more seconds unless somebody connects.
        self._accepts()
        return not self._runs()

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False


@contextlib.contextmanager
def emptied(uri: str, name: str) -> Iterator[Documents]:
    """What lies in the service's collection, seen by another client; empty at first."""
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        collection = client["flask_db"][name]
        collection.delete_many({})
        yield collection


def free_port() -> int:
    """A port of this machine that nobody listens on, nor gets by connecting somewhere."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError  # they begin anew
