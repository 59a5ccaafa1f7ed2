"""Out of one collection by `demijohn export` and into another by `import`: nothing is changed."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.bench.usage import peak, reset_peak
from tests.support.client import PATIENCE, Command, demijohn
from tests.support.database import Database
from tests.support.service import Service, clean_environ

Raw = RawBSONDocument
MIB = 1024 * 1024
TELLING_ITS_PEAK = """
import atexit, os, runpy, sys
from tests.bench.usage import peak
atexit.register(lambda: print(peak(os.getpid()), file=sys.stderr))
runpy.run_module("demijohn", run_name="__main__", alter_sys=True)
"""
"""`python -c …` with the arguments of a command: nobody outside is sure to look at its last."""
VALUES: list[Any] = [
    *(None, True, False, 0, -(2**31), 2**31 - 1, Int64(0), Int64(2**63 - 1), Int64(-(2**63))),
    *(0.0, -0.0, 1.0, 0.1, 5e-324, 1.7976931348623157e308),
    *(float("nan"), float("inf"), float("-inf")),
    *("", "\0\x1f\x7f\u2028é漢😀", "65f0c0ffee65f0c0ffee65f0", "x" * 100_000),
    *(ObjectId("65f0c0ffee65f0c0ffee65f0"), MinKey(), MaxKey(), [Timestamp(0, 0)]),
    *(Timestamp(2**32 - 1, 2**32 - 1), datetime(1970, 1, 1, tzinfo=UTC), DatetimeMS(-1)),
    *(Decimal128(each) for each in ("1.10", "-0", "NaN", "Infinity", "1E+6144", "0E-6176")),
    *(Binary(b"", kind) for kind in (0, 1, 5, 128, 255)),
    *(Binary(bytes(16), kind) for kind in (3, 4)),
    *(Regex(""), Regex("a/b", "imsx"), Code(""), Code("f()", {}), Code("f()", {"x": 1})),
    *({}, {"": {"": {}}}, {"a.b": 1, "c": {"d": [1, [2, [{}]]]}}, [], [None, [], {}]),
]
IDS: list[Any] = [
    *(1, Int64(2**40), 1.5, "one", ObjectId(), datetime(2000, 1, 1, tzinfo=UTC)),
    *(Binary(b"\x01"), Decimal128("2.5"), {"a": 1, "b": [1]}, Timestamp(1, 2)),
]


class Pair:
    """Two empty collections, as they are past the service, and commands from and to them."""

    def __init__(self, client: MongoClient[Raw], service: Service, directory: Path) -> None:
        """Take names that nobody has: to empty a collection takes the database a while."""
        tag = ObjectId()
        self.here: Collection[Raw] = client["flask_db"][f"here-{tag}"]
        self.there: Collection[Raw] = client["flask_db"][f"there-{tag}"]
        self._service = service
        self._directory = directory

    def fill(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Insert documents into `here`."""
        self.here.insert_many(map(Raw, map(bson.encode, documents)))

    def are_equal(self) -> bool:
        """Whether the same documents are in both, byte for byte."""
        here, there = (
            sorted(bytes(each.raw) for each in it.find()) for it in (self.here, self.there)
        )
        return here == there

    def export(self, *arguments: str) -> Command:
        """Export from `here`."""
        return self._run("export", self.here, *arguments)

    def load(self, *arguments: str, feed: bytes | None = None) -> Command:
        """Import into `there`."""
        return self._run("import", self.there, *arguments, feed=feed)

    def peak_of(self, command: str, *arguments: str) -> int:
        """The most memory that a command has had, as it says itself at its end."""
        goal = self.there if command == "import" else self.here
        common = (command, "--collection", goal.name, "--url", self._service.url)
        ended = subprocess.run(
            [sys.executable, "-c", TELLING_ITS_PEAK, *common, *arguments],
            cwd=self._directory,
            env=clean_environ({}),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return int(ended.stderr.splitlines()[-1])

    def _run(
        self, command: str, goal: Collection[Raw], *arguments: str, feed: bytes | None = None
    ) -> Command:
        common = (command, "--collection", goal.name, "--url", self._service.url)
        return Command(self._directory, *common, *arguments, feed=None if feed is None else [feed])


@pytest.fixture
def pairs(service: Service, database: Database, tmp_path: Path) -> Iterator[Callable[[], Pair]]:
    """Makes pairs of collections."""
    with MongoClient(database.uri, document_class=Raw) as client:
        yield lambda: Pair(client, service, tmp_path)


@pytest.fixture
def pair(pairs: Callable[[], Pair]) -> Pair:
    """Two collections."""
    return pairs()


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("all.ndjson", ()),
        ("all.ndjson.gz", ()),
        ("all", ("--gzip",)),
        ("all.json", ("--format", "json")),
        ("all.json.gz", ("--format", "json")),
    ],
)
def test_every_type_survives(
    file: str,
    options: tuple[str, ...],
    pair: Pair,
    tmp_path: Path,
) -> None:
    """In Extended JSON, as lines or an array, packed or not, each document is the same in BSON."""
    given: list[Any] = [{"n": n, "value": value} for n, value in enumerate(VALUES)]
    given += [{"_id": each, "of": "ids"} for each in IDS]
    pair.fill(given)

    out = pair.export(file, "--extended", *options).end()
    back = pair.load(file, "--extended").end()

    assert (out.code, back.code) == (0, 0), out.err + back.err
    assert back.out == f"{len(given)} sent: {len(given)} inserted, 0 refused, 0 unknown.\n"
    assert pair.are_equal()
    is_packed = (tmp_path / file).read_bytes().startswith(b"\x1f\x8b")
    assert is_packed == (file.endswith(".gz") or "--gzip" in options)


def test_ids_of_plain_json_survive(pair: Pair) -> None:
    """What JSON can say comes back the same in plain JSON too, ObjectIds for ids included."""
    given: list[Any] = [{"_id": each} for each in (1, 1.5, "one", ObjectId(), {"a": [1]})]
    pair.fill(given)

    out = pair.export("plain.ndjson").end()
    back = pair.load("plain.ndjson").end()

    assert (out.code, back.code) == (0, 0), out.err + back.err
    assert pair.are_equal()


def test_packed_output_of_a_pipe(pair: Pair) -> None:
    """`export --gzip` on standard output is what gzip makes, and `import -` takes it."""
    pair.fill({"n": n} for n in range(100))
    command = pair.export("--gzip")
    assert command.process.stdout is not None

    packed = command.process.stdout.read()
    assert command.end().code == 0
    back = pair.load("-", feed=packed).end()

    assert len(gzip.decompress(packed).splitlines()) == 100
    assert back.code == 0, back.err
    assert pair.are_equal()


def test_cut_gzip_is_sent_up_to_the_cut(pair: Pair, tmp_path: Path) -> None:
    """Of a packed file that ends too early whole records are in, and the fault is named."""
    packed = gzip.compress(b'{"n": 1}\n' * 20_000)
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])

    back = pair.load("cut.gz").end()

    assert back.code == 1
    assert "cut.gz: the gzip is cut" in back.err
    assert 0 < pair.there.count_documents({}) < 20_000


def test_what_is_exported_can_be_chosen(pair: Pair, tmp_path: Path) -> None:
    """--filter, --sort and --fields are those of the HTTP interface."""
    pair.fill({"_id": n, "n": n % 5, "x": 0} for n in range(20))
    chosen = ("--filter", '{"n": {"$gte": 3}}', "--sort", "-n,_id", "--fields", "n")

    out = pair.export(*chosen).end()
    wrong = pair.export("wrong.json", "--filter", '{"$where": "1"}').end()

    expected = [{"_id": n, "n": n % 5} for n in (4, 9, 14, 19, 3, 8, 13, 18)]
    assert [json.loads(line) for line in out.out.splitlines()] == expected
    assert wrong.code == 1
    assert "422 " in wrong.err
    assert list(tmp_path.iterdir()) == []


def test_names_of_collections_are_held_to_the_rules(service: Service, tmp_path: Path) -> None:
    """A name that no collection may have ends both commands, with what the service says."""
    for name in ("system.users", "_collections", "a$b"):
        arguments = ("--collection", name, "--url", service.url)
        sent = demijohn(tmp_path, "import", "-", *arguments, feed=b"{}\n")
        fetched = demijohn(tmp_path, "export", *arguments)

        assert (sent.code, fetched.code) == (1, 1), name
        assert "Stopped after" not in sent.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
def test_memory_of_a_trip_does_not_grow(service: Service, pairs: Callable[[], Pair]) -> None:
    """Ten times the documents need no more memory, of the commands or of the worker."""
    (worker,) = service.workers()
    peaks = []
    for count in (2_000, 20_000):
        pair = pairs()
        pair.fill({"n": n, "text": "x" * 1_000} for n in range(count))
        reset_peak(worker)
        commands = [pair.peak_of(each, "all.ndjson", "--extended") for each in ("export", "import")]
        assert pair.are_equal()
        peaks.append((peak(worker), *commands))

    growth = [large - small for small, large in zip(*peaks, strict=True)]
    print([each // MIB for each in growth])
    assert max(growth) < 16 * MIB, growth
