"""The express path under schemas, and for keys that are held to some rows, says what the full does.

As in `test_express.py`, with keys in front of the services and a schema on every collection that
can have one.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings

from demijohn.documents.collections import FRESH, STALE, Configuration, Configurations
from demijohn.edge.routes import DOCUMENT, DOCUMENTS, GUIDE
from demijohn.schemas.schema import compile_schema
from tests.support.database import Database
from tests.support.express_faults import KEYED_FAULTS, environ
from tests.support.express_pair import ON, TRIES, Pair, keyed_pair, tells_apart
from tests.support.express_requests import HOT, REQUESTS, Request, shown
from tests.support.express_seeds import ABSENT_ID, HELD, LARGE_ID, SLOW, SMALL_ID
from tests.support.express_side import Answer, Line
from tests.support.keys import Caller
from tests.support.stores import own_store
from tests.support.together import at_once

Keyed = tuple[Pair, dict[str, str]]
JSON = b"Content-Type: application/json"
READ = f"/v1/collections/{HELD}/documents"
PLAINEST: dict[str, tuple[str, str, str | None, int, str]] = {
    "what fits, of one's own": ("one", READ, '{"n":1}', 201, DOCUMENTS),
    "what fits": ("whole", READ, '{"n":3}', 201, DOCUMENTS),
    "what a thread finds fit": (
        *("one", f"/v1/collections/{SLOW}/documents", '{"n":1,"w":"a"}', 201, DOCUMENTS),
    ),
    "what fits in data": ("two", "/data", '{"n":2}', 201, GUIDE),
    "another's, to be inserted": ("two", READ, '{"n":1}', 403, DOCUMENTS),
    "one's own": ("one", f"{READ}/{SMALL_ID}", None, 200, DOCUMENT),
    "one's own, a large one": ("two", f"{READ}/{LARGE_ID}", None, 200, DOCUMENT),
    "another's": ("two", f"{READ}/{SMALL_ID}", None, 404, DOCUMENT),
    "nobody's": ("two", f"{READ}/{ABSENT_ID}", None, 404, DOCUMENT),
}
"""Of each kind of request: whose key, what for, its body, its answer, and the route."""
LEFT = {
    "what does not fit": ("whole", READ, '{"n":"1"}', 422),
    "what a thread finds unfit": ("one", f"/v1/collections/{SLOW}/documents", '{"w":1}', 422),
    "the list": ("one", "/data", None, 200),
}
"""What the full path says."""


@pytest.fixture(scope="module")
def keyed(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A service with the express path and one without, and keys that both know."""
    with keyed_pair(tmp_path_factory.mktemp("keyed"), database) as found:
        yield found


def _request(path: str, body: str | None, key: str) -> Request:
    shown_key = f"Authorization: Bearer {key}".encode()
    if body is None:
        return Request(b"GET", path.encode(), (shown_key,))
    return Request(b"POST", path.encode(), (JSON, shown_key), body.encode())


@pytest.mark.parametrize(
    "count", [150, pytest.param(20_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_the_paths_cannot_be_told_apart(keyed: Keyed, count: int) -> None:
    """Whatever is asked with whichever key: the same answer, log, counts and stored documents."""
    pair, keys = keyed
    asked = 0

    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(request=shown(HOT | REQUESTS, keys.values()))
    def run(request: Request) -> None:
        nonlocal asked
        asked += 1
        pair.compare(request)

    before = pair.served()
    with pair.counting_alike():
        run()
    served = pair.served() - before
    # Of few requests none may fit on some route: that each is served is for the test below.
    assert served.total() > asked / 30
    assert pair.sides[1].served() == {}


@pytest.mark.parametrize("name", PLAINEST)
def test_the_plainest_requests_are_served(keyed: Keyed, name: str) -> None:
    """What fits and what is read goes through it, whoever's key it is, and is counted once."""
    pair, keys = keyed
    key, path, body, status, route = PLAINEST[name]
    (told,), served = pair.served_of(_request(path, body, keys[key]))
    assert told.answers[0].status == status
    assert served == {route: 1}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_the_full_path(keyed: Keyed, name: str) -> None:
    """What does not fit is told so there; a list for a key lasts longer than the key may."""
    pair, keys = keyed
    key, path, body, status = LEFT[name]
    request = _request(path, body, keys[key])
    before = pair.served()
    for _ in range(2):
        assert pair.compare(request).answers[0].status == status
    assert pair.served() == before


def test_another_s_document_is_as_if_it_were_not_there(keyed: Keyed) -> None:
    """Byte for byte but for its address, and the same to both: nothing of it shows."""
    pair, keys = keyed
    for path in (READ, "/v1/collections/things/documents"):
        foreign, absent = (
            pair.compare(_request(f"{path}/{each}", None, keys["two"])).answers[0]
            for each in (SMALL_ID, ABSENT_ID)
        )
        assert foreign.body.replace(SMALL_ID.encode(), ABSENT_ID.encode()) == absent.body
        assert foreign.headers == absent.headers


@pytest.mark.parametrize("fault", KEYED_FAULTS)
def test_a_path_that_differs_is_found(fault: str, database: Database, tmp_path: Path) -> None:
    """The control: some hundred hot requests tell a path apart that is wrong in one thing."""
    broken = {**ON, **environ(tmp_path / "fault", fault)}
    with keyed_pair(tmp_path, database, broken) as (pair, keys):
        assert tells_apart(pair, shown(HOT, keys.values()), 1_000)


CALLERS, EACH = 24, 40
"""At one time, and documents that each of them reads, with an insert behind each."""
OWNERS = {"one": (1,), "two": (2,), "whole": (1, 2)}
"""Whose documents each key is for."""


def test_callers_at_one_time_get_their_own(keyed: Keyed) -> None:
    """Reads and inserts of several keys in the same moment: to each what is that key's alone."""
    pair, keys = keyed
    ids = [ObjectId() for _ in range(EACH)]
    documents = [bson.encode({"_id": each, "n": 1 + at % 2}) for at, each in enumerate(ids)]
    names = [*OWNERS] * (CALLERS // len(OWNERS))
    with pair.laid({HELD: documents}):
        before = pair.served()
        port = pair.sides[0].service.port
        wrong = at_once(
            CALLERS, lambda number: _read_and_write(port, names[number], keys, number, ids)
        )
        pair.sides[0].lines(2 * CALLERS * EACH)
        served = pair.served() - before
    assert [each for one in wrong for each in one] == []
    assert served.total() > CALLERS * EACH


def _read_and_write(
    port: int, name: str, keys: dict[str, str], number: int, ids: list[ObjectId]
) -> list[object]:
    """Ask all in one breath; what was answered otherwise than it has to be."""
    # Each begins elsewhere, or all would ask for the same at the same time.
    turns = [(number * 5 + step) % len(ids) for step in range(len(ids))]
    asked = [
        request
        for at in turns
        for request in (
            _request(f"{READ}/{ids[at]}", None, keys[name]),
            _request(READ, f'{{"n":{1 + at % 2},"by":{number}}}', keys[name]),
        )
    ]
    line = Line(port)
    line.send([b"".join(piece for each in asked for piece in each.raw(b""))])
    told = [answer for _ in asked for answer in line.read()]
    line.close()
    expected = [
        each
        for at in turns
        for each in _expected(str(ids[at]), 1 + at % 2, number, is_own=1 + at % 2 in OWNERS[name])
    ]
    return [two for two in zip(map(_seen, told), expected, strict=True) if two[0] != two[1]]


def _expected(id_: str, owner: int, number: int, *, is_own: bool) -> list[object]:
    """What a read and an insert are answered."""
    if not is_own:
        return [(404, None), (403, None)]
    return [(200, {"_id": id_, "n": owner}), (201, {"n": owner, "by": number})]


def _seen(answer: Answer) -> object:
    """An answer's status and document, without an id that the service has made."""
    if answer.status not in (200, 201):
        return answer.status, None
    document = json.loads(answer.body)
    if answer.status == 201:
        del document["_id"]
    return answer.status, document


PATTERNS: dict[str, dict[str, Any]] = {
    "quick": {},
    "slow": {"additionalProperties": {"pattern": "^[a-z]*$"}},
}
"""More of the schemas of two collections, one that is looked at on the loop and one in a thread."""


def _requiring(field: str, more: dict[str, Any]) -> Configuration:
    schema = {"required": [field], **more}
    return Configuration(compile_schema(json.dumps(schema).encode()))


def test_schemas_that_change(keyed: Keyed, database: Database) -> None:
    """They hold within two seconds for whoever keeps inserting, changed by another process."""
    pair, keys = keyed
    caller = Caller(pair.sides[0].service.url, keys["whole"])

    def insert() -> list[int]:
        paths = [f"/v1/collections/{name}/documents" for name in PATTERNS]
        return [caller.post('{"a":"x"}', path).status for path in paths]

    with own_store(database, "keyed-tested") as store:
        configurations = Configurations(store, STALE)

        def require(field: str) -> None:
            for name, more in PATTERNS.items():
                configurations.put(name, _requiring(field, more))

        require("a")
        time.sleep(STALE)
        for _ in range(TRIES):  # what was known by the first may be old by the last
            began = time.monotonic()
            assert [insert() for _ in range(2)] == [[201, 201]] * 2
            before = pair.served()
            assert insert() == [201, 201]
            served = pair.served() - before
            if time.monotonic() - began < FRESH:
                break
        assert served == {DOCUMENTS: 2}
        require("b")
        until = time.monotonic() + STALE
        while time.monotonic() < until:
            insert()
        assert insert() == [422, 422]
        for name in PATTERNS:
            store.bulk.delete_many(name, bson.encode({}))
    caller.close()


WISHED = {"Prefer": "respond-async"}
"""A wish that changes nothing, but takes a request to the full path."""
OF_ONE_KEY = {
    "what fits": ('{"n":1}', 201),
    "what does not fit": ('{"n":"1"}', 422),
    "another's": ('{"n":2}', 403),
    "what is there": (f'{{"n":1,"_id":"{SMALL_ID}"}}', 409),
}
"""A body, and what its first request is told."""


@pytest.mark.parametrize("name", OF_ONE_KEY)
@pytest.mark.parametrize("first", ["express", "full"])
@pytest.mark.parametrize("key", ["whole", "one"])
def test_what_is_done_once_is_done_once_on_both_paths(
    keyed: Keyed, key: str, first: str, name: str
) -> None:
    """The second request with an Idempotency-Key is told what the first was, whichever way it came.

    So it is with a third, and with another body neither way takes it.
    """
    pair, keys = keyed
    side = pair.sides[0]
    body, status = OF_ONE_KEY[name]
    status = 201 if key == "whole" and status == 403 else status
    caller = Caller(side.service.url, keys[key])
    own = {"Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/json"}
    ways = {"express": own, "full": {**own, **WISHED}}
    before = pair.served()
    other = "full" if first == "express" else "express"
    told = [caller.ask("POST", READ, body, ways[way]) for way in (first, other, first)]
    assert pair.served() - before == {DOCUMENTS: 2 if first == "express" else 1}
    assert [each.status for each in told] == [status] * 3
    replays = [each.headers.get("Idempotency-Replayed") for each in told]
    assert replays == [None, "true", "true"]
    assert [each.body for each in told] == [told[0].body] * 3
    if status == 201:
        assert len({each.headers["Location"] for each in told}) == 1
        assert side.stored[HELD].count_documents({"_id": ObjectId(told[0].json()["_id"])}) == 1
        side.stored[HELD].delete_one({"_id": ObjectId(told[0].json()["_id"])})
    for way in ways.values():
        assert caller.ask("POST", READ, '{"n":1,"m":1}', way).problem() == "idempotency-key-reused"
    side.lines(5)
    caller.close()
