"""What the pages on documents show is run as it stands, and has to come out as they show it."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import product
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.conftest import Starter
from tests.support.api import EJSON, JSON, UPDATE, Api
from tests.support.checkout import readers_environ
from tests.support.database import Database
from tests.support.guide_reader import Reader
from tests.support.guide_script import MARKERS, SHELL, Part, commands, read
from tests.support.service import ROOT, Service

REFERENCE = ROOT / "docs" / "reference"
PAGES = (
    "documents.md",
    "lists.md",
    "queries.md",
    "bulk.md",
    "indexes.md",
    "collections.md",
    "aggregate.md",
    "versions.md",
    "idempotency.md",
    "keys.md",
)
NOTHING: Mapping[str, str] = MappingProxyType({})
LOST = 3
"""Answers that do not reach the client."""


def _reader(directory: Path, port: int, settings: Mapping[str, str] = NOTHING) -> Reader:
    """Somebody in an empty directory, with the service at this port of the machine.

    The command `demijohn` is there, and reads these settings.
    """
    place = directory / "reader"
    place.mkdir()
    # A key is asked for in the database after five seconds, however late one looks by oneself.
    here = {"127.0.0.1:5000": f"127.0.0.1:{port}", "sleep 2": "sleep 6"}
    environ = readers_environ(directory)
    path = f"{ROOT / '.venv' / 'bin'}:{environ['PATH']}"
    environ |= {"PATH": path, **settings}
    return Reader(place, environ, here=here, stand_ins={}, patience=60)


def _part_with(page: str, text: str) -> Part:
    (found,) = (part for part in read(REFERENCE / page) if text in part.body)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_example_says_what_it_is(page: str) -> None:
    """Each shell block of the pages is run; there are some, with answers under their commands."""
    blocks = [part for part in read(REFERENCE / page) if part.kind in SHELL]

    assert blocks
    assert [part.line for part in blocks if not MARKERS.fullmatch(part.marker)] == []
    silent = ("export ", "sleep ", "demijohn keys revoke ")
    assert all(
        command.shown or command.text.startswith(silent)
        for part in blocks
        for command in commands(part.body)[1:]
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_example_works_as_it_stands(
    page: str, database: Database, own_service: Starter, tmp_path: Path
) -> None:
    """Whoever types a page's commands in their order gets the answers that it shows."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": page.partition(".")[0]}
    if page == "keys.md":
        settings["DEMIJOHN_AUTH"] = "keys"
    service = own_service(settings)

    _reader(tmp_path, service.port, settings).follow_all(REFERENCE / page, read(REFERENCE / page))


def _kept_otherwise() -> list[tuple[str, str]]:
    """What the page on operations says is sent to the embedded database, and what is kept."""
    text = (REFERENCE / "operations.md").read_text(encoding="utf-8")
    rows = text.partition("\n| Sent, in Extended JSON |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(.*)` \| `(.*)` \|$", rows, re.MULTILINE)


def test_what_the_embedded_database_keeps_otherwise(service: Service) -> None:
    """Each value of the table is read as the table has it, under another tag than was answered."""
    path = f"/v1/collections/otherwise/documents/{uuid.uuid4()}"
    in_extended = {"Accept": EJSON}
    with closing(Api(service.url)) as api:
        for sent, kept in _kept_otherwise():
            written = api.put(path, f'{{"v":{sent}}}', Content_Type=EJSON, **in_extended)
            read = api.get(path, **in_extended)
            assert json.dumps(written.json()["v"]) == json.dumps(json.loads(sent))
            assert json.dumps(read.json()["v"]) == json.dumps(json.loads(kept))
            assert written.headers["ETag"] != read.headers["ETag"]
    assert _kept_otherwise()


def test_what_the_embedded_database_answers_otherwise(service: Service) -> None:
    """The statuses of the other table: what is said of MongoDB is not so there."""
    text = (REFERENCE / "operations.md").read_text(encoding="utf-8")
    rows = text.partition("\n| Request | Answer |")[2].partition("\n\n")[0]
    listed = re.findall(r"\| (\d{3})\b.*\|$", rows, re.MULTILINE)
    past = 253_402_300_800_000
    updates = (
        f'{{"$set":{{"d":{{"$date":{{"$numberLong":"{past}"}}}}}}}}',
        '{"$pull":{"a":{"$or":[{"x":1},{"x":2}]}}}',
        '{"$set":{"n.$[]":2}}',
        '{"$set":{"a.100001":1}}',
    )
    path = f"/v1/collections/otherwise/documents/{uuid.uuid4()}"
    with closing(Api(service.url)) as api:
        made = api.put(path, '{"n":1,"a":[{"x":1}]}')
        statuses = [api.patch(path, update, UPDATE).status for update in updates]
        statuses.append(_put_on_nan(api))
        assert statuses == [int(each) for each in listed]
        assert api.get(path).headers["ETag"] == made.headers["ETag"]


def _put_on_nan(api: Api) -> int:
    place = "/v1/collections/nan/documents"
    made = api.post('{"_id":{"$numberDouble":"NaN"}}', place, Content_Type=EJSON)
    where = made.headers["Location"]
    status = api.put(where, '{"n":1}').status
    assert api.get(where).headers["ETag"] == made.headers["ETag"]
    assert api.delete(where).status == 204
    return status


def _conditions() -> list[tuple[str, str, str]]:
    """Method, condition and what the page says of the two, cell by cell."""
    text = (REFERENCE / "versions.md").read_text(encoding="utf-8")
    lines = text.partition("\n| Method |")[2].partition("\n\n")[0].splitlines()
    heads, *rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return [
        (method, condition, cell)
        for methods, *cells in rows[1:]
        for method in re.findall(r"[A-Z]+", methods)
        for condition, cell in zip(heads, cells, strict=True)
    ]


def _refusals(api: Api, method: str, condition: str, path: str) -> Iterator[int]:
    """The statuses of 300 and more that the condition brings, by a fresh tag and by a stale one."""
    name, _, value = condition.partition(": ")
    for is_fresh, is_there in product((True, False), repeat=2):
        tag = api.put(path, '{"n": 1}').headers["ETag"] if is_there else '"gone.p"'
        value = value if value == "*" else (tag if is_fresh else '"stale.p"')
        place = path.rpartition("/")[0] if method == "POST" else path
        body = None if method in ("GET", "HEAD", "DELETE") else '{"n": 2}'
        status = api.ask(method, place, body, {**JSON, name: value}).status
        assert is_there or method in ("POST", "PUT") or status == 404
        api.delete(path)
        if status >= 300 and status != 404:
            yield status


@pytest.mark.parametrize(("method", "condition", "cell"), _conditions())
def test_conditions_do_what_the_table_says(
    service: Service, method: str, condition: str, cell: str
) -> None:
    """A cell names the statuses that the condition can bring to the method, and no other."""
    with closing(Api(service.url)) as api:
        path = f"/v1/collections/conditions/documents/{uuid.uuid4()}"
        met = set(_refusals(api, method, condition, path))

    assert met == set(map(int, re.findall(r"\b[34]\d\d\b", cell)))


class Losing:
    """A way to the service on which the first answers get lost: they have been sent by then."""

    def __init__(self, target: int) -> None:
        """Take the service's port."""
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.requests: list[bytes] = []

    def run(self) -> None:
        """Pass requests on, one connection after the other, until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, socket.create_connection(("127.0.0.1", self.target)) as service:
                    self._pass(client, service)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass(self, client: socket.socket, service: socket.socket) -> None:
        request = b""
        while not request.endswith(b"}"):
            request += client.recv(65_536)
        self.requests.append(request)
        service.sendall(request)
        # The program asks for the connection to be closed after the answer, so that this ends.
        answer = b"".join(iter(lambda: service.recv(65_536), b""))
        if len(self.requests) > LOST:
            client.sendall(answer)


@pytest.fixture
def losing(database: Database, own_service: Starter) -> Iterator[Losing]:
    """The way to a service with a database of its own."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "losing"}
    way = Losing(own_service(settings).port)
    thread = threading.Thread(target=way.run)
    thread.start()
    yield way
    way.close()
    thread.join(30)


def test_the_loop_writes_once_however_many_answers_are_lost(losing: Losing, tmp_path: Path) -> None:
    """The program of the page sends the same bytes and key until it is told, and writes once."""
    reader = _reader(tmp_path, losing.port)

    reader.follow(_part_with("idempotency.md", "def send_once"))
    reader.follow(_part_with("idempotency.md", "$ python3 send_once.py"))

    assert len(losing.requests) == LOST + 1
    assert len(set(losing.requests)) == 1
    with closing(Api(f"http://127.0.0.1:{losing.target}")) as api:
        assert api.get("/data").json() == [{"item": "tea"}]
