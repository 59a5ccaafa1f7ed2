"""The stand-in for mongod as a local process, and `demijohn configure-database` beside it."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pymongo
import pytest
from pymongo import errors as driver

from demijohn.cli.secrets import secret
from tests.support.database import free_port
from tests.support.processes import freeze, wait_until
from tests.support.service import ROOT, clean_environ

SET = "rs0"
Client = pymongo.MongoClient[dict[str, Any]]


class Mongod:
    """One server; its port and its data stay the same over restarts."""

    def __init__(self, directory: Path) -> None:
        """Make a key file and an empty data directory."""
        self.port = free_port()
        self.data = directory / "db"
        self.data.mkdir(parents=True)
        self._log = directory / "mongod.log"
        self._key = directory / "keyfile"
        self._key.write_bytes(base64.b64encode(os.urandom(756)))
        self._key.chmod(0o400)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> Self:
        """Start it and wait until it accepts connections or ends."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.support.standin.mongod", f"--replSet={SET}"),
                    *("--bind_ip_all", f"--port={self.port}", f"--dbpath={self.data}"),
                    *(f"--keyFile={self._key}", "--wiredTigerCacheSizeGB=0.25", *options),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self._accepts() or self.code is not None, "mongod starts or ends")
        return self

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll() if self._process else None

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process
        self.resume()
        self._process.terminate()
        return self._process.wait(timeout=60)

    def kill(self) -> None:
        """SIGKILL, which takes its storage with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Have it accept connections but answer nothing."""
        assert self._process
        freeze(self._process.pid)

    def resume(self) -> None:
        """Undo `pause`."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def state(self) -> dict[str, Any]:
        """What it has kept of the set and of whether there are users."""
        path = self.data / "standin.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def rename_member(self, host: str) -> None:
        """Have its volume know the set's member by another name; while it does not run."""
        state = self.state()
        state["config"]["members"][0]["host"] = host
        (self.data / "standin.json").write_text(json.dumps(state))

    def anyone(self) -> Client:
        """A client that has not logged in."""
        return _client(f"mongodb://127.0.0.1:{self.port}/?directConnection=true")

    def login(self, user: str, password: str) -> Client:
        """A client with a login, connected to this server alone."""
        where = f"mongodb://127.0.0.1:{self.port}/?directConnection=true&authSource=admin"
        return _client(where, username=user, password=password)

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class Secret:
    """The deployment's Secret, mounted as a directory of files."""

    def __init__(self, directory: Path, host: str, **changes: str) -> None:
        """Make a new one for a database at `host`; `changes` replace values (`_` for `-`)."""
        self.path = directory
        made = secret(host, SET)["stringData"]
        assert isinstance(made, dict)
        self.values: dict[str, str] = made
        self.values |= {name.replace("_", "-"): value for name, value in changes.items()}
        directory.mkdir(parents=True, exist_ok=True)
        for name, value in self.values.items():
            (directory / name).write_text(value, encoding="utf-8")

    @property
    def uri(self) -> str:
        """What the service connects to."""
        return self.values["uri"]

    def passwords(self) -> list[str]:
        """All that nobody may read in a log."""
        app = self.uri.partition("://")[2].rpartition("@")[0].partition(":")[2]
        return [app, self.values["root-password"], self.values["drill-password"]]


class Configurator:
    """One `python -m demijohn configure-database`, on a mongod and a Secret."""

    def __init__(
        self, mongod: Mongod, secret: Secret, *options: str, settings: Mapping[str, str] = {}
    ) -> None:
        """Start it; do not wait for it."""
        directory = secret.path.parent
        member = secret.uri.rpartition("@")[2].partition("/")[0]
        self.ready_file = directory / f"ready-{os.urandom(4).hex()}"
        self._log = directory / f"configurator-{os.urandom(4).hex()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "demijohn", "configure-database"),
                    *(f"--secrets={secret.path}", f"--member={member}", f"--set={SET}"),
                    *(f"--port={mongod.port}", f"--ready-file={self.ready_file}", *options),
                ],
                cwd=directory,
                env=clean_environ(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def is_ready(self) -> bool:
        """Whether it says that the database is configured and takes writes."""
        return self.ready_file.exists()

    def wait_ready(self) -> Self:
        """Wait until it says so."""
        wait_until(lambda: self.is_ready() or self.process.poll() is not None, "it is ready")
        assert self.is_ready(), self.log()
        return self

    def wait(self) -> int:
        """Wait until it ends; its exit code."""
        return self.process.wait(timeout=120)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")


def _client(uri: str, **options: Any) -> Client:
    return pymongo.MongoClient(
        uri, serverSelectionTimeoutMS=10_000, socketTimeoutMS=30_000, **options
    )


def as_service(secret: Secret) -> Client:
    """A client with the very URI that the service gets."""
    return pymongo.MongoClient(secret.uri, serverSelectionTimeoutMS=10_000)


def as_drill(mongod: Mongod, secret: Secret) -> Client:
    """A client with the drills' login."""
    return mongod.login("demijohnDrill", secret.values["drill-password"])


def refused(action: Callable[[], object]) -> int | None:
    """The code with which the server refuses this. Fails where it does not."""
    with pytest.raises(driver.OperationFailure) as failure:
        action()
    return failure.value.code
