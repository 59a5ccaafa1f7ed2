"""`demijohn import` and `export` when something is stopped, killed or very large."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from demijohn.cli.sending import MOST_WEIGHT
from tests.support.client import Command, Ended, demijohn, ndjson, read_ndjson
from tests.support.database import Database, free_port
from tests.support.processes import LONG, wait_until
from tests.support.recorder import Recorder, pump
from tests.support.service import Service

Documents = Collection[dict[str, Any]]
Starter = Callable[..., Service]

MIB = 1024 * 1024
PADDING = "x" * 2_000
STOPPED = re.compile(
    r"Stopped after (\d+) records \((\d+) inserted, (\d+) refused(?:, (\d+) unknown)?\)\. "
    r"Go on with --skip \1\."
)


@pytest.fixture
def documents(database: Database) -> Iterator[Documents]:
    """The collection behind /data, empty, past the service."""
    with MongoClient[dict[str, Any]](database.uri) as client:
        client["flask_db"]["data"].delete_many({})
        yield client["flask_db"]["data"]


@pytest.fixture
def service_to_kill(own_service: Starter, database: Database) -> Service:
    """A service on the common database that a test may do away with."""
    return own_service({"MONGODB_URI": database.uri})


class Dam(Recorder):
    """A way to the service on which what goes up or down can be held up."""

    def __init__(self, target: int) -> None:
        """Take the port to pass to; all is passed on."""
        super().__init__(target)
        self.keeps_requests = False
        """Set it, and what is asked from then on never arrives, nor is it answered."""
        self.kept = 0
        """How often something was kept."""
        self.most = float("inf")
        """Bytes of answers after which they wait for `open`."""
        self._is_open = threading.Event()

    def open(self) -> None:
        """Let answers pass."""
        self._is_open.set()

    def __exit__(self, *_: object) -> None:
        """End, whatever is held."""
        self.open()
        super().__exit__()

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass both ways what may pass."""

        def up(data: bytes) -> None:
            self.kept += self.keeps_requests
            if not self.keeps_requests:
                server.sendall(data)

        def down(data: bytes) -> None:
            client.sendall(data)
            self.most -= len(data)
            if self.most < 0:
                self._is_open.wait(LONG)

        self.run(lambda: pump(client, server, up))
        self.run(lambda: pump(server, client, down))


@pytest.fixture
def dam(service: Service) -> Iterator[Dam]:
    """A way to the common service."""
    with Dam(service.port) as dam:
        yield dam


def endless() -> Iterator[bytes]:
    """More records than any test waits for: {"n": 1}, {"n": 2}, and so on.

    Not tiny ones, of which thousands are in a request: those under way get some seconds at Ctrl-C.
    """
    for start in count(1, 100):
        yield ndjson({"n": number, "padding": PADDING} for number in range(start, start + 100))


def numbers(collection: Documents) -> list[int]:
    """The `n` of every document, sorted: one that is in twice is there twice."""
    return sorted(document["n"] for document in collection.find())


def wait_for_some(collection: Documents) -> None:
    """Until a few hundred documents are in."""
    wait_until(lambda: collection.estimated_document_count() >= 300, "records are going in")


def stopped_after(ended: Ended) -> tuple[int, int, int, int]:
    """What the message says: all, inserted, refused, unknown."""
    found = STOPPED.search(ended.err)
    assert found, ended.err
    done, inserted, refused, unknown = (int(group or 0) for group in found.groups())
    return done, inserted, refused, unknown


def test_ctrl_c_says_how_to_go_on(service: Service, documents: Documents, tmp_path: Path) -> None:
    """After Ctrl-C the message, the collection and --skip agree: all goes in, nothing twice."""
    command = Command(tmp_path, "import", "-", "--url", service.url, feed=endless())
    wait_for_some(documents)

    command.process.send_signal(signal.SIGINT)
    ended = command.end()

    done, inserted, refused, unknown = stopped_after(ended)
    assert (ended.code, refused, unknown) == (130, 0, 0)
    assert inserted == done
    assert numbers(documents) == list(range(1, done + 1))

    total = done + 200
    whole = ndjson({"n": number} for number in range(1, total + 1))
    again = demijohn(tmp_path, "import", "-", "--url", service.url, "--skip", str(done), feed=whole)
    assert again.code == 0
    assert numbers(documents) == list(range(1, total + 1))


def test_ctrl_c_before_any_record(service: Service, documents: Documents, tmp_path: Path) -> None:
    """Ctrl-C also ends an import that waits for an input from which nothing comes."""
    release: list[bool] = []

    def silent() -> Iterator[bytes]:
        yield b'{"n": 1}\n'
        wait_until(lambda: release, "the test is over")

    command = Command(tmp_path, "import", "-", "--url", service.url, feed=silent())
    wait_until(lambda: documents.estimated_document_count() == 1, "the first record is in")

    command.process.send_signal(signal.SIGINT)
    command.process.wait(60)
    release.append(True)

    ended = command.end()
    assert ended.code == 130
    assert stopped_after(ended) == (1, 1, 0, 0)


def test_unanswered_records_are_unknown(dam: Dam, documents: Documents, tmp_path: Path) -> None:
    """Ctrl-C while the service hangs ends all the same; what was not answered is kept."""
    url = f"http://127.0.0.1:{dam.port}"
    command = Command(tmp_path, "import", "-", "--url", url, feed=endless())
    wait_for_some(documents)
    dam.keeps_requests = True
    wait_until(lambda: dam.kept, "something is asked that is not answered")

    command.process.send_signal(signal.SIGINT)
    ended = command.end()

    done, inserted, refused, unknown = stopped_after(ended)
    assert (ended.code, refused) == (130, 0)
    assert unknown > 0
    assert done == inserted + unknown
    kept = read_ndjson(tmp_path / "import.rejected.ndjson")
    assert [line["code"] for line in kept] == ["outcome-unknown"] * unknown
    assert all(line["document"]["n"] == line["record"] for line in kept)


def test_unknown_records_can_be_sent_again(
    service_to_kill: Service, service: Service, documents: Documents, tmp_path: Path
) -> None:
    """The rejects have the ids that they were sent with: imported, none of them is doubled."""
    command = Command(
        tmp_path,
        *("import", "-", "--url", service_to_kill.url, "--retry-for", "1"),
        feed=endless(),
    )
    wait_for_some(documents)

    service_to_kill.kill()
    done, inserted, refused, unknown = stopped_after(command.end())
    kept = read_ndjson(tmp_path / "import.rejected.ndjson") if unknown else []
    again = ndjson(line["document"] for line in kept)
    ended = demijohn(tmp_path, "import", "-", "--url", service.url, feed=again)

    assert refused == 0
    assert len(kept) == unknown == done - inserted
    # What the killed service had begun may still come while they are sent again.
    assert f"{unknown} sent: " in ended.out
    assert ", 0 unknown." in ended.out
    assert numbers(documents) == list(range(1, done + 1))


def test_import_lives_through_a_kill_of_the_service(
    own_service: Starter, database: Database, documents: Documents, tmp_path: Path
) -> None:
    """Over SIGKILL and a new start every record is in, once, and counted: none is unknown."""
    port = str(free_port())
    settings = {"MONGODB_URI": database.uri}
    first = own_service(settings, "--port", port)
    is_back = threading.Event()

    def records() -> Iterator[bytes]:
        for start in count(1, 500):
            yield ndjson({"n": number} for number in range(start, start + 500))
            if is_back.is_set():
                total.append(start + 499)
                return

    total: list[int] = []
    command = Command(tmp_path, "import", "-", "--url", first.url, feed=records())
    wait_for_some(documents)

    first.kill()
    own_service(settings, "--port", port)
    is_back.set()
    ended = command.end()

    assert ended.out == f"{total[0]} sent: {total[0]} inserted, 0 refused, 0 unknown.\n", ended.err
    assert ended.code == 0
    assert numbers(documents) == list(range(1, total[0] + 1))


@pytest.fixture
def large(documents: Documents) -> Documents:
    """A collection whose export is far larger than all buffers on its way: 96 MiB."""
    for _ in range(12):
        documents.insert_many({"text": "x" * 16_384} for _ in range(512))
    return documents


def export_under_way(directory: Path, dam: Dam) -> Command:
    """An export to all.json that has its first bytes, and gets no more until the dam is opened."""
    dam.most = MIB
    command = Command(directory, "export", "all.json", "--url", f"http://127.0.0.1:{dam.port}")
    wait_until(lambda: any(part.stat().st_size for part in directory.glob(".*.part")), "bytes")
    return command


@pytest.mark.usefixtures("large")
def test_cut_export_is_no_file(service_to_kill: Service, tmp_path: Path) -> None:
    """A service killed in the middle leaves the older file alone and no part beside it."""
    directory = tmp_path / "exports"
    directory.mkdir()
    (directory / "all.json").write_text("older")
    with Dam(service_to_kill.port) as dam:
        command = export_under_way(directory, dam)
        service_to_kill.kill()
        dam.open()
        ended = command.end()

    assert ended.code == 1
    assert re.match(r"Cut after \d+ documents, .+ all\.json was not written\.\n$", ended.err)
    assert [path.name for path in directory.iterdir()] == ["all.json"]
    assert (directory / "all.json").read_text() == "older"


@pytest.mark.usefixtures("large")
def test_ctrl_c_leaves_no_part_of_an_export(dam: Dam, tmp_path: Path) -> None:
    """Ctrl-C ends an export with its own exit code and no file at all."""
    command = export_under_way(tmp_path, dam)

    command.process.send_signal(signal.SIGINT)
    ended = command.end()

    assert ended.code == 130
    assert re.match(r"Stopped after \d+ documents, .+ all\.json was not written\.\n$", ended.err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("large")
def test_cut_export_to_standard_output_fails(service_to_kill: Service, tmp_path: Path) -> None:
    """What was written before the service was killed does not end with exit code 0."""
    command = Command(tmp_path, "export", "--url", service_to_kill.url)
    assert command.process.stdout is not None
    command.process.stdout.read(1)

    service_to_kill.kill()
    ended = command.end()

    assert ended.code == 1
    assert "The output is not whole." in ended.err


@pytest.mark.parametrize("mebibytes", [48, pytest.param(200, marks=pytest.mark.soak)])
def test_memory_of_an_import_does_not_grow(
    mebibytes: int, service: Service, documents: Documents, tmp_path: Path
) -> None:
    """An import needs no more memory for a large input than for its first few megabytes."""
    record = json.dumps({"text": "x" * (32 * 1024)}).encode() + b"\n"
    total = mebibytes * 32
    at_start: list[int] = []

    def measured() -> Iterator[bytes]:
        for number in range(total):
            if number == total // 6:
                at_start.append(psutil.Process(command.process.pid).memory_info().rss)
            yield record
        at_end.append(psutil.Process(command.process.pid).memory_info().rss)

    at_end: list[int] = []
    command = Command(tmp_path, "import", "-", "--url", service.url, feed=measured())
    ended = command.end()

    assert ended.code == 0, ended.err
    assert documents.count_documents({}) == total
    print(f"{(at_end[0] - at_start[0]) / MIB:.1f} MiB")
    # A service that stands still has it hold more than one that was quick at the beginning: what
    # is read ahead, and as much again on its way. Far less than what is sent in between.
    assert at_end[0] - at_start[0] < 2 * MOST_WEIGHT + 4 * MIB
