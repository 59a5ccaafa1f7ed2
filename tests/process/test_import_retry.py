"""`demijohn import` over a network that loses what is said: all is in once, and counted so."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.support.client import demijohn, ndjson, read_ndjson
from tests.support.database import Database
from tests.support.recorder import Recorder, pump
from tests.support.service import Service

Documents = Collection[dict[str, Any]]
PADDING = "x" * 50_000
"""Twenty such records are about one request."""


class Lossy(Recorder):
    """Of every five connections one loses its answer, and one is cut on its way up."""

    def __init__(self, target: int) -> None:
        """Take the port to pass to."""
        super().__init__(target)
        self.lost = Counter[str]()
        self._turn = -1

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass both ways what this turn lets pass."""
        self._turn += 1
        left = [300_000]

        def up(data: bytes) -> None:
            server.sendall(data)
            left[0] -= len(data)
            if left[0] <= 0 and turn == 1:
                self.lost["request"] += 1
                raise OSError("cut on purpose")

        def deaf(data: bytes) -> None:
            self.lost["answer"] += bool(data)

        turn = self._turn % 5
        self.run(lambda: pump(client, server, up))
        self.run(lambda: pump(server, client, deaf if turn == 2 else client.sendall))


@pytest.fixture
def lossy(service: Service) -> Iterator[Lossy]:
    """A way to the service on which much is lost."""
    with Lossy(service.port) as proxy:
        yield proxy


@pytest.fixture
def things(database: Database) -> Iterator[Documents]:
    """An empty collection, past the service."""
    with MongoClient[dict[str, Any]](database.uri) as client:
        client["flask_db"]["things"].delete_many({})
        yield client["flask_db"]["things"]


def send(directory: Path, proxy: Lossy, lines: bytes, *options: str) -> tuple[int, str]:
    """Import these lines over the proxy; the exit code, and what it said."""
    url = f"http://127.0.0.1:{proxy.port}"
    arguments = ("import", "-", "--collection", "things", "--url", url, "--retry-for", "600")
    ended = demijohn(directory, *arguments, *options, feed=lines)
    assert min(proxy.lost["answer"], proxy.lost["request"]) > 0, "nothing was lost"
    return ended.code, ended.out


def test_nothing_is_doubled_or_missing(lossy: Lossy, things: Documents, tmp_path: Path) -> None:
    """Records without ids, which nothing but the import itself can tell apart, are in once."""
    lines = ndjson({"n": number, "padding": PADDING} for number in range(400))

    code, out = send(tmp_path, lossy, lines)

    assert out == "400 sent: 400 inserted, 0 refused, 0 unknown.\n"
    assert code == 0
    assert sorted(each["n"] for each in things.find()) == list(range(400))
    assert [each["n"] for each in things.find().sort("_id")] == list(range(400))


@pytest.mark.parametrize("extended", [False, True])
def test_ids_of_the_records_own(
    extended: bool,  # noqa: FBT001 (a case)
    lossy: Lossy,
    things: Documents,
    tmp_path: Path,
) -> None:
    """Each record is inserted or refused as it would be if nothing were lost.

    Some ids are taken before, some twice in the input, some are of other types.
    """
    things.insert_many([{"_id": number, "n": "older"} for number in range(0, 300, 7)])
    ids: list[object] = [number % 280 for number in range(300)]
    ids[41], ids[42] = {"a": [1.5]}, "65f0c0ffee65f0c0ffee65f0"
    records = [{"_id": id_, "n": number, "padding": PADDING} for number, id_ in enumerate(ids)]

    code, out = send(tmp_path, lossy, ndjson(records), *(["--extended"] if extended else []))

    rejected = [line["record"] - 1 for line in read_ndjson(tmp_path / "import.rejected.ndjson")]
    expected = [number for number in range(300) if number >= 280 or number % 7 == 0]
    expected.remove(42)
    assert sorted(rejected) == expected
    assert out == f"300 sent: {300 - len(expected)} inserted, {len(expected)} refused, 0 unknown.\n"
    assert code == 1
    stored = [each["n"] for each in things.find() if each["n"] != "older"]
    assert sorted(stored) == sorted(set(range(300)) - set(expected))


def test_refusals_come_through(lossy: Lossy, things: Documents, tmp_path: Path) -> None:
    """What is wrong with a record is told once, under its number, whatever else was lost."""
    good = json.dumps({"padding": PADDING})
    lines = [good if number % 10 else '{"$n": 1}' for number in range(1, 301)]

    code, out = send(tmp_path, lossy, "\n".join(lines).encode())

    rejected = read_ndjson(tmp_path / "import.rejected.ndjson")
    assert sorted(line["record"] for line in rejected) == list(range(10, 301, 10))
    assert {line["code"] for line in rejected} == {"invalid-document"}
    assert (code, out) == (1, "300 sent: 270 inserted, 30 refused, 0 unknown.\n")
    assert things.count_documents({}) == 270
