"""The service and its database, and the parts of them that can be killed at any instant."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pymongo
from bson import ObjectId
from pymongo.errors import PyMongoError

from tests.support.chaos.clients import COLLECTION
from tests.support.chaos.history import Document, Sighting
from tests.support.database import Database, free_port
from tests.support.processes import wait_until
from tests.support.service import Service

DATABASE = "flask_db"
SECRET_FILE = "password"
Note = Callable[[str], None]


class Stage(Protocol):
    """What a run plays on."""

    port: int

    def start(self) -> None:
        """Start all of it; `close` is for after a failure here, too."""

    def kill(self, what: str, note: Note) -> None:
        """Kill or harm it, call `note` at that instant, and see to it that it comes back."""

    def recent(self) -> list[Sighting]:
        """Documents with an id of the service's making; nothing while the database is away."""

    def documents(self) -> list[Document]:
        """All documents, from the database itself."""

    def close(self) -> None:
        """End all that it has started."""


class Reader:
    """Reads the documents past the service."""

    def __init__(self, uri: str) -> None:
        """Take the database's address; connect at the first use."""
        client = pymongo.MongoClient[dict[str, Any]](
            uri, serverSelectionTimeoutMS=300, heartbeatFrequencyMS=500, connect=False
        )
        self._client = client
        self._documents = client[DATABASE]["data"]

    def recent(self) -> list[Sighting]:
        """The last few documents with an id of the service's making."""
        try:
            found = list(self._documents.find().sort("_id", -1).limit(8))
        except PyMongoError:
            return []
        return [
            Sighting(each["log"][0], f"{COLLECTION}/{each['_id']}")
            for each in found
            if isinstance(each["_id"], ObjectId)
        ]

    def documents(self) -> list[Document]:
        """All documents, once the database is there."""
        wait_until(self._answers, "the database answers")
        return [_document(each) for each in self._documents.find()]

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _answers(self) -> bool:
        try:
            self._documents.find_one()
        except PyMongoError:
            return False
        return True


def _document(stored: Mapping[str, Any]) -> Document:
    return Document(
        f"{COLLECTION}/{stored['_id']}", tuple(stored["log"]), tuple(stored["marks"]), stored["n"]
    )


class Separate:
    """The service with two workers on a database beside it; all of it can be killed."""

    def __init__(self, directory: Path, settings: Mapping[str, str], seed: int) -> None:
        """Start nothing yet; `settings` go to the service."""
        self.port = free_port()
        self._directory = directory
        self._random = random.Random(seed)
        self._database = Database(directory)
        self._settings = {
            # This server forgets when it is killed which writes the driver has sent before, so
            # that one sent again meets its own document; mongod has those records on disk.
            "MONGODB_URI": f"{self._database.uri}&retryWrites=false",
            "DEMIJOHN_WORKERS": "2",
            "DEMIJOHN_DATABASE_TIMEOUT": "5",
            **settings,
        }
        self._reader = Reader(self._database.uri)
        self._service: Service | None = None

    def start(self) -> None:
        """Start both."""
        self._database.start()
        self._start()

    def kill(self, what: str, note: Note) -> None:
        """`worker`, `service`, `database` or `both`; all but a worker are started again here."""
        if what == "worker":
            wait_until(self._running().workers, "a worker runs")
            workers = self._running().workers()
            note(what)
            kill_one(workers, self._random)
            return
        note(what)
        if what in ("database", "both"):
            self._database.kill()
        if what in ("service", "both"):
            self._running().kill()
        time.sleep(self._random.uniform(0, 0.2))
        if what in ("database", "both"):
            self._database.start()
        if what in ("service", "both"):
            self._start()

    def recent(self) -> list[Sighting]:
        """Documents of inserts, as they are at this instant."""
        return self._reader.recent()

    def documents(self) -> list[Document]:
        """All documents."""
        return self._reader.documents()

    def close(self) -> None:
        """End both, as far as they were started."""
        self._reader.close()
        if self._service is not None:
            self._service.kill()
        # Killed workers may have left transactions open, and a proper end would wait for them.
        self._database.kill()

    def _start(self) -> None:
        self._service = Service(self._directory, self._settings, ("--port", str(self.port)))
        self._service.started()

    def _running(self) -> Service:
        if self._service is None:
            raise RuntimeError("the service was never started")
        return self._service


class Embedded:
    """The service with the database that it embeds, and starts again by itself."""

    def __init__(self, directory: Path, seed: int) -> None:
        """Start nothing yet."""
        self.port = free_port()
        self._directory = directory
        self._data = directory / "data"
        self._random = random.Random(seed)
        self._service: Service | None = None
        self._reader: Reader | None = None

    def start(self) -> None:
        """Start it."""
        settings = {"DEMIJOHN_DATA_DIR": str(self._data), "DEMIJOHN_WORKERS": "2"}
        self._service = Service(self._directory, settings, ("--port", str(self.port)))
        self._reader = Reader(self._uri(self._service.started()))

    def kill(self, what: str, note: Note) -> None:
        """`worker` or `database`; the service itself starts another."""
        service = self._running()[0]
        targets = service.workers if what == "worker" else lambda: _some(service.database_pid())
        wait_until(targets, f"a {what} runs")
        processes = targets()
        note(what)
        kill_one(processes, self._random)

    def recent(self) -> list[Sighting]:
        """Documents of inserts, as they are at this instant."""
        return self._running()[1].recent()

    def documents(self) -> list[Document]:
        """All documents."""
        return self._running()[1].documents()

    def close(self) -> None:
        """End it, as far as it was started."""
        if self._reader is not None:
            self._reader.close()
        if self._service is not None:
            self._service.kill()

    def _running(self) -> tuple[Service, Reader]:
        if self._service is None or self._reader is None:
            raise RuntimeError("the service was never started")
        return self._service, self._reader

    def _uri(self, service: Service) -> str:
        """The embedded database's address, from its command line and its password's file."""
        pid = service.database_pid()
        (process,) = (each for each in service.everything() if each.pid == pid)
        words = process.cmdline()
        port = words[words.index("--port") + 1]
        password = (self._data / SECRET_FILE).read_text(encoding="utf-8").strip()
        options = "authSource=admin&replicaSet=secantus"
        return f"mongodb://demijohn:{password}@127.0.0.1:{port}/?{options}"


def _some(pid: int | None) -> list[int]:
    return [] if pid is None else [pid]


def kill_one(processes: Sequence[int], chooser: random.Random) -> None:
    """SIGKILL to one of them; none may be left when others were killed just before."""
    if processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chooser.choice(processes), signal.SIGKILL)
