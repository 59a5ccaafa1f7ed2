"""`demijohn import` and `export` against the real service: what goes in comes out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from vega_datasets import local_data

from tests.support.client import Command, as_multiset, demijohn, ndjson, read_ndjson
from tests.support.database import Database, free_port
from tests.support.service import Service, clean_environ
from tests.support.terminal import Terminal

Documents = Collection[dict[str, Any]]

WITHOUT_ID = ("--fields", "-_id")
UNEVEN: list[dict[str, Any]] = [
    {},
    {"": None, "a b": [], "dotted.name": {"deep": [[[{"x": [1, "1", 1.0]}]]]}},
    {"whole": [2**63 - 1, -(2**63), 0], "real": [1e308, 5e-324, 0.1, 1.0], "yes": True},
    {"text": '\u0000\t"\\\n\u2028é漢😀', "long": "x" * 1_500_000},
    {"_id": "of my own", "zebra": 1, "apple": 2},
    {f"key {number}": number for number in range(300)},
]


@pytest.fixture
def documents(database: Database) -> Iterator[Documents]:
    """The collection `data`, empty, past the service."""
    with MongoClient[dict[str, Any]](database.uri) as client:
        client["flask_db"]["data"].delete_many({})
        yield client["flask_db"]["data"]


def numbers(collection: Documents) -> set[int]:
    """The `n` of every document."""
    return {document["n"] for document in collection.find()}


@pytest.mark.parametrize("name", ["barley", "burtin", "cars", "driving", "iris", "wheat"])
def test_data_set_comes_back_as_it_was(
    name: str, service: Service, documents: Documents, tmp_path: Path
) -> None:
    """A published data set, an array in a file, is exported equal, record for record."""
    source = Path(getattr(local_data, name).filepath)
    given = json.loads(source.read_bytes())

    sent = demijohn(tmp_path, "import", str(source), "--url", service.url)
    fetched = demijohn(tmp_path, "export", "back.ndjson", *WITHOUT_ID, "--url", service.url)

    assert (sent.code, fetched.code) == (0, 0), sent.err + fetched.err
    assert sent.out == f"{len(given)} sent: {len(given)} inserted, 0 refused, 0 unknown.\n"
    assert documents.count_documents({}) == len(given)
    assert as_multiset(read_ndjson(tmp_path / "back.ndjson")) == as_multiset(given)


@pytest.mark.usefixtures("documents")
def test_uneven_records_survive_both_formats(service: Service, tmp_path: Path) -> None:
    """Empty, nested, huge and odd records come back equal, as lines and as an array."""
    expected = as_multiset([{k: v for k, v in d.items() if k != "_id"} for d in UNEVEN])
    to_array = ("a.json", "--format", "json")

    sent = demijohn(tmp_path, "import", "-", "--url", service.url, feed=ndjson(UNEVEN))
    lines = demijohn(tmp_path, "export", *WITHOUT_ID, "--url", service.url)
    array = demijohn(tmp_path, "export", *to_array, *WITHOUT_ID, "--url", service.url)

    assert (sent.code, lines.code, array.code) == (0, 0, 0), sent.err + lines.err + array.err
    assert as_multiset(map(json.loads, lines.out.split("\n")[:-1])) == expected
    assert as_multiset(json.loads((tmp_path / "a.json").read_bytes())) == expected
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


@pytest.mark.usefixtures("documents")
def test_export_of_nothing(service: Service, tmp_path: Path) -> None:
    """An empty collection is no line, and an empty array."""
    lines = demijohn(tmp_path, "export", "--url", service.url)
    array = demijohn(tmp_path, "export", "-", "--format", "json", "--url", service.url)

    assert (lines.code, lines.out) == (0, "")
    assert (array.code, json.loads(array.out)) == (0, [])


def test_refused_records_do_not_stop_the_others(
    service: Service, documents: Documents, tmp_path: Path
) -> None:
    """Each refused record is in the rejects file with number, code and its own text."""
    too_large = json.dumps({"text": "x" * 3_000_000}).encode()
    wrong = {
        2: (b"{nope", "malformed-json"),
        4: (b'{"a": {"$set": 1.50}}', "invalid-document"),
        5: (b'{"n": 18446744073709551616}', "invalid-document"),
        7: (too_large, "too-large"),
        8: (b"[1, 2]x", "malformed-json"),
    }
    lines = [wrong[n][0] if n in wrong else b'{"n": %d}' % n for n in range(1, 11)]
    (tmp_path / "in.ndjson").write_bytes(b"\n".join(lines))

    ended = demijohn(tmp_path, "import", "in.ndjson", "--url", service.url)

    rejected = (tmp_path / "in.ndjson.rejected.ndjson").read_bytes().splitlines()
    by_number = {json.loads(line)["record"]: line for line in rejected}
    assert (ended.code, ended.out) == (1, "10 sent: 5 inserted, 5 refused, 0 unknown.\n")
    assert "in.ndjson.rejected.ndjson" in ended.err
    assert {n: json.loads(line)["code"] for n, line in by_number.items()} == {
        n: code for n, (_, code) in wrong.items()
    }
    assert json.loads(by_number[2])["document"] == "{nope"
    assert json.loads(by_number[4])["pointer"] == "/a/$set"
    assert all(by_number[n].endswith(b',"document":' + wrong[n][0] + b"}") for n in (4, 5, 7))
    assert numbers(documents) == {1, 3, 6, 9, 10}


def test_records_are_numbered_from_the_start_of_the_input(
    service: Service, documents: Documents, tmp_path: Path
) -> None:
    """--skip passes over as many, numbers stay the file's own, and older rejects are kept."""
    lines = b'{"n": 1}\n{"$n": 2}\n{"n": 3}\n{"$n": 4}\n{"n": 5}\n'
    arguments = ("import", "-", "--url", service.url, "--rejects", "r.ndjson")

    demijohn(tmp_path, *arguments, feed=b"\n".join(lines.splitlines()[:2]))
    ended = demijohn(tmp_path, *arguments, "--skip", "2", feed=lines)

    assert (ended.code, ended.out) == (1, "3 sent: 2 inserted, 1 refused, 0 unknown.\n")
    assert [line["record"] for line in read_ndjson(tmp_path / "r.ndjson")] == [2, 4]
    assert numbers(documents) == {1, 3, 5}


def test_skip_past_the_end_is_an_error(service: Service, tmp_path: Path) -> None:
    """A --skip larger than the input has not imported anything, and does not say that it has."""
    ended = demijohn(tmp_path, "import", "-", "--skip", "2", "--url", service.url, feed=b"{}")

    assert ended.code == 1
    assert "has 1 records, fewer than --skip 2" in ended.err


def test_pretty_printed_reject_is_one_line(service: Service, tmp_path: Path) -> None:
    """A record over many lines of an array is one line among the rejects, else unchanged."""
    array = b'[\n  {\n    "a\\n b": "c  d",\r\n    "$bad": 1.10\n  }\n]\n'

    ended = demijohn(tmp_path, "import", "-", "--url", service.url, feed=array)

    (line,) = (tmp_path / "import.rejected.ndjson").read_bytes().splitlines()
    assert ended.code == 1
    assert json.loads(line)["document"] == {"a\n b": "c  d", "$bad": 1.1}
    assert b'"$bad": 1.10' in line


def test_cut_array_is_sent_up_to_the_cut(
    service: Service, documents: Documents, tmp_path: Path
) -> None:
    """Of a file that ends in the middle all whole records are in, and the end is named."""
    (tmp_path / "cut.json").write_bytes(b'[{"n": 1}, {"n": 2}, {"n": 3')

    ended = demijohn(tmp_path, "import", "cut.json", "--url", service.url)

    assert (ended.code, ended.out) == (1, "2 sent: 2 inserted, 0 refused, 0 unknown.\n")
    assert "cut.json: record 3 is cut" in ended.err
    assert numbers(documents) == {1, 2}


def test_no_service_is_said_in_one_line(tmp_path: Path) -> None:
    """Where nobody listens both commands fail at once, leave no file, and say what to do."""
    url = f"http://127.0.0.1:{free_port()}"

    sent = demijohn(tmp_path, "import", "-", "--url", url, feed=b"{}\n{}\n")
    fetched = demijohn(tmp_path, "export", "x.json", "--url", url)

    assert (sent.code, sent.err) == (
        1,
        f"No service at {url}. Is one running? `demijohn serve` starts one.\n",
    )
    assert (fetched.code, len(fetched.err.splitlines())) == (1, 1)
    assert f"No service at {url}. Is one running? `demijohn serve` starts one." in fetched.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_the_address_stops_at_once(
    service: Service, documents: Documents, tmp_path: Path
) -> None:
    """A 404 is about the address: one request is tried, none kept, and the problem is printed."""
    url = f"{service.url}/nowhere"

    sent = demijohn(tmp_path, "import", "-", "--url", url, feed=b"{}\n" * 1000)
    fetched = demijohn(tmp_path, "export", "x.json", "--url", url)

    assert (sent.code, fetched.code) == (1, 1)
    assert "404 not-found: There is nothing at this address." in sent.err
    assert "404 not-found: There is nothing at this address." in fetched.err
    assert list(tmp_path.iterdir()) == []
    assert documents.count_documents({}) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "missing.json"),
        ("import", "."),
        ("import", "here.json", "--url", "ftp://localhost"),
        ("import", "here.json", "--url", "http://"),
        ("import", "here.json", "--url", "http://me:secret@localhost"),
        ("import", "here.json", "--rejects", "here.json"),
        ("import", "here.json", "--skip", "-1"),
        ("export", "."),
        ("export", "--format", "csv"),
        ("import", "here.json", "--concurrency", "0"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """What the command line has wrong is said before anything is sent or written."""
    (tmp_path / "here.json").write_bytes(b"{}")

    ended = demijohn(tmp_path, *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert "Error: " in ended.err
    assert "secret" not in ended.err
    assert (tmp_path / "here.json").read_bytes() == b"{}"


@pytest.mark.parametrize("command", ["import", "export"])
def test_help_has_an_example(command: str, tmp_path: Path) -> None:
    """--help of each command shows it in use."""
    ended = demijohn(tmp_path, command, "--help")

    assert ended.code == 0
    assert re.search(rf"Examples?:\n +demijohn {command} ", ended.out)


def test_export_stops_quietly_with_its_reader(
    service: Service, documents: Documents, tmp_path: Path
) -> None:
    """`demijohn export | head -1` gives a line and no complaint; it does not count as whole."""
    documents.insert_many({"text": "x" * 1_000_000} for _ in range(20))
    command = Command(tmp_path, "export", "--url", service.url)
    assert command.process.stdout is not None

    first = command.process.stdout.readline()
    command.process.stdout.close()
    command.process.stdout = None
    ended = command.end()

    assert json.loads(first)["text"] == "x" * 1_000_000
    assert (ended.code, ended.err) == (1, "")


def test_progress_is_shown_on_a_terminal_only(
    service: Service, documents: Documents, tmp_path: Path
) -> None:
    """On a terminal bytes and rate are shown while it runs; elsewhere the summary alone."""
    (tmp_path / "in.ndjson").write_bytes(ndjson({"n": n} for n in range(500)))
    line = f"import in.ndjson --url {service.url}"
    terminal = Terminal(
        f"{sys.executable} -m demijohn {line}", cwd=tmp_path, environ=clean_environ({})
    )

    code, left = terminal.finish(60)
    seen = bytes(terminal._output).decode()
    quiet = demijohn(tmp_path, *line.split())

    summary = "500 sent: 500 inserted, 0 refused, 0 unknown.\n"
    assert code == 0
    assert left.endswith(summary)
    assert re.search(r"\d+(\.\d+)?(/\d+(\.\d+)?)? (bytes|kB)", seen)
    assert (quiet.out, quiet.err) == (summary, "")
    assert documents.count_documents({}) == 1000
