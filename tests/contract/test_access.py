"""Who may do what: every route and method of `/openapi.json`, by every kind of key and without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pymongo
import pytest
import urllib3
from bson import ObjectId
from bson.raw_bson import RawBSONDocument

from tests.contract.conftest import KEYED, Things, keep, lying_in
from tests.support.api import JSON, MERGE, UPDATE, Answer, Api
from tests.support.keys import Caller, new_key
from tests.support.openapi import Description
from tests.support.processes import wait_until

PUBLIC, ANY, EVERY = "public", "any key", "*:read"
READ, WRITE, ADMIN = "read", "write", "admin"
LEVELS = (READ, WRITE, ADMIN)
THINGS = "/v1/collections/things"
ONE = f"{THINGS}/documents/one"


@dataclass(frozen=True)
class Case:
    """A request that only the caller can be wrong with, and what its caller needs.

    `needs` is a level in `things` and `data`, or one of PUBLIC, ANY, EVERY.
    """

    needs: str
    path: str
    body: object = None
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    by_row: bool = False
    """Whether a key with a row filter is let in."""


def _of(kind: str) -> dict[str, str]:
    return {"Content-Type": kind}


MINE = {"owner": "eve"}
"""What a document of the filtered key's looks like."""
TABLE = {
    "greet": Case(PUBLIC, "/"),
    "describe": Case(PUBLIC, "/openapi.json"),
    "showDescription": Case(PUBLIC, "/docs"),
    "readDescriptionAsset": Case(PUBLIC, "/docs/start.js"),
    "listProblems": Case(PUBLIC, "/problems"),
    "readProblem": Case(PUBLIC, "/problems/not-found"),
    "isLive": Case(PUBLIC, "/livez"),
    "isReady": Case(PUBLIC, "/readyz"),
    "readMetrics": Case(EVERY, "/metrics"),
    "insertData": Case(WRITE, "/data", MINE, by_row=True),
    "listData": Case(READ, "/data", by_row=True),
    "listCollections": Case(ANY, "/v1/collections"),
    "readCollection": Case(READ, THINGS),
    "putCollection": Case(ADMIN, THINGS, {}),
    "dropCollection": Case(ADMIN, THINGS),
    "listIndexes": Case(READ, f"{THINGS}/indexes"),
    "createIndex": Case(ADMIN, f"{THINGS}/indexes", {"key": {"a": 1}}),
    "readIndex": Case(READ, f"{THINGS}/indexes/_id_"),
    "dropIndex": Case(ADMIN, f"{THINGS}/indexes/a_1"),
    "createDocument": Case(WRITE, f"{THINGS}/documents", MINE, by_row=True),
    "listDocuments": Case(READ, f"{THINGS}/documents", by_row=True),
    "searchDocuments": Case(READ, f"{THINGS}/search", {"filter": {}}, by_row=True),
    "aggregate": Case(READ, f"{THINGS}/aggregate", {"pipeline": []}, by_row=True),
    "distinctValues": Case(READ, f"{THINGS}/distinct/owner", by_row=True),
    # The stream has no end of its own; whom it lets in it tells what is wrong with this.
    "followChanges": Case(READ, f"{THINGS}/changes?filter=no"),
    "updateDocuments": Case(
        WRITE, f"{THINGS}/documents?x=nobody", {"$set": {"y": 1}}, _of(UPDATE), by_row=True
    ),
    "deleteDocuments": Case(WRITE, f"{THINGS}/documents?x=nobody", by_row=True),
    "readDocument": Case(READ, ONE, by_row=True),
    "putDocument": Case(WRITE, f"{THINGS}/documents/new", MINE, by_row=True),
    "patchDocument": Case(WRITE, f"{THINGS}/documents/new", {"x": 1}, _of(MERGE), by_row=True),
    "deleteDocument": Case(WRITE, f"{THINGS}/documents/new", by_row=True),
}
CHALLENGE = 'Bearer realm="demijohn"'
PROBES = ("/livez", "/readyz", "/metrics")


@dataclass(frozen=True)
class Asked:
    """One operation of the description, its method, and the table's case of it."""

    name: str
    method: str
    case: Case

    def send(self, client: Api, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for it."""
        body = None if self.case.body is None else json.dumps(self.case.body)
        return client.ask(
            self.method, self.case.path, body, {**self.case.headers, **(headers or {})}
        )


@pytest.fixture(params=["keyed_url", "keyed_flask_url"])
def url(request: pytest.FixtureRequest) -> str:
    """The service that asks for keys, under the shell and under `flask run`."""
    return str(request.getfixturevalue(request.param))


def named(operation: str) -> str:
    """The operation's name in the table: that of the GET, where it is the HEAD of one."""
    rest = operation.removeprefix("head")
    return operation if rest == operation else rest[0].lower() + rest[1:]


@pytest.fixture
def asked(description: Description) -> list[Asked]:
    """Every operation of the description; one that the table lacks fails."""
    names = [(named(each["operationId"]), method) for _, method, each in description.operations()]
    return [Asked(name, method, TABLE[name]) for name, method in names]


def is_let(name: str, case: Case) -> bool:
    """Whether a key that is let in at all may do it."""
    if case.needs in (PUBLIC, ANY):
        return case.needs == PUBLIC or name != "eve"
    if name == "eve":
        return case.by_row
    level = {"reader": READ, "writer": WRITE, "admin": ADMIN, "every": READ, "all": ADMIN}.get(name)
    if case.needs == EVERY:
        return name in ("every", "all")
    return level is not None and LEVELS.index(level) >= LEVELS.index(case.needs)


def check_unauthenticated(answer: Answer, told: str) -> None:
    """A 401 that says how to be let in, and shows nothing."""
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == told
    if answer.body:  # HEAD has none
        assert answer.problem() == "unauthenticated"
        assert b"secret" not in answer.body


def test_every_operation_is_in_the_table(description: Description) -> None:
    """A new route has to say here who may use it, and none is left over."""
    names = {named(operation["operationId"]) for _, _, operation in description.operations()}
    assert set(TABLE) == names


def test_without_a_key_there_is_what_is_public(
    url: str, asked: list[Asked], description: Description, keyed_things: Things
) -> None:
    """401 with a challenge for all else, and nothing is changed or shown."""
    kept = [keep(keyed_things, {"_id": "one", "owner": "eve", "x": "secret"})]
    client = Api(url, description.check)
    for each in asked:
        answer = each.send(client)
        if each.case.needs == PUBLIC:
            assert answer.status == 200, each
        else:
            check_unauthenticated(answer, CHALLENGE)
    assert lying_in(keyed_things) == kept


def test_with_a_wrong_key_there_is_nothing(
    url: str,
    asked: list[Asked],
    description: Description,
    keyed_things: Things,
    keys: dict[str, str],
) -> None:
    """Unknown, wrong, malformed, expired, revoked or two at once: 401, what is public too.

    The probes answer all the same, as to nobody: no client can make a pod look dead.
    """
    kept = [keep(keyed_things, {"_id": "one", "owner": "eve", "x": "secret"})]
    client = Api(url, description.check)
    for each in asked:
        for header in wrong_headers(keys):
            answer = each.send(client, {"Authorization": header})
            if each.case.path in PROBES and each.case.needs == PUBLIC:
                assert answer.status == 200, (each, header)
            else:
                is_probe = each.case.path in PROBES
                told = CHALLENGE if is_probe else f'{CHALLENGE}, error="invalid_token"'
                check_unauthenticated(answer, told)
    assert lying_in(keyed_things) == kept


def wrong_headers(keys: dict[str, str]) -> list[str]:
    """Values of Authorization that let nobody in."""
    right = keys["all"]
    last = "1" if right.endswith("0") else "0"
    return [
        f"Bearer {new_key('*:admin')[1]}",
        f"Bearer {right[:-1]}{last}",
        f"Bearer {right[:20]}{keys['admin'][20:]}",
        f"Bearer {keys['expired']}",
        f"Bearer {keys['revoked']}",
        f"Bearer {right}, Bearer {right}",
        "Bearer dj_",
        "Bearer",
        "Basic YWRhOnNlY3JldA==",
        right,
        "\xff\xfe",
    ]


def test_two_headers_of_a_key_are_none(
    keyed_url: str, keyed_flask_url: str, keys: dict[str, str]
) -> None:
    """Not the first, and not the last: a proxy and the service may see another one of them."""
    for url in (keyed_url, keyed_flask_url):
        for other in (keys["all"], keys["reader"], "x"):
            headers = urllib3.HTTPHeaderDict()
            headers.add("Authorization", f"Bearer {keys['all']}")
            headers.add("Authorization", f"Bearer {other}")
            answer = urllib3.request("GET", f"{url}/data", headers=headers, retries=False)
            assert answer.status == 401, (url, other)


@pytest.fixture(params=["reader", "writer", "admin", "every", "other", "all", "eve"])
def caller(
    request: pytest.FixtureRequest, url: str, description: Description, keys: dict[str, str]
) -> tuple[str, Caller]:
    """A client with a key that is let in, and the key's name."""
    return request.param, Caller(url, keys[request.param], description.check)


def test_a_key_may_what_its_scopes_say(
    caller: tuple[str, Caller], asked: list[Asked], keyed_things: Things
) -> None:
    """And nothing beyond: 403, whether or not there is such a collection, with nothing changed."""
    name, client = caller
    for each in asked:
        keyed_things.replace_one({"_id": "one"}, {"owner": "eve", "x": "secret"}, upsert=True)
        before = lying_in(keyed_things)
        answer = each.send(client)
        if is_let(name, each.case):
            assert answer.status not in (401, 403), (each, answer)
            continue
        assert answer.status == 403, (each, answer)
        assert not answer.body or answer.problem() == "forbidden"
        assert b"secret" not in answer.body
        assert lying_in(keyed_things) == before, each


def test_what_is_no_route_is_told_to_whom_is_let_in(
    url: str, description: Description, keys: dict[str, str]
) -> None:
    """A method that a route lacks is 405 and an unknown path 404; a body of nobody's is 401."""
    nobody, admin = Api(url, description.check), Caller(url, keys["all"], description.check)
    assert nobody.get("/no/such").status == 404
    assert nobody.post("{}", "/no/such").problem() == "unauthenticated"
    assert nobody.ask("OPTIONS", "/data").problem() == "unauthenticated"
    assert admin.post("{}", "/no/such").problem() == "not-found"
    assert admin.ask("OPTIONS", "/data").problem() == "method-not-allowed"


@pytest.mark.parametrize("name", ["_keys", "_idempotency", "system.users", "_collections"])
def test_no_key_reaches_the_service_s_own_collections(
    name: str, url: str, description: Description, keys: dict[str, str]
) -> None:
    """Not by the path, not in a pipeline, and no list shows them."""
    admin = Caller(url, keys["all"], description.check)
    for suffix in ("/documents", "/documents/x", "/indexes", "/distinct/a", ""):
        assert admin.get(f"/v1/collections/{name}{suffix}").problem() == "bad-parameter"
    stages = [{"$unionWith": name}, {"$lookup": {"from": name, "pipeline": [], "as": "a"}}]
    for stage in stages:
        answer = admin.post(json.dumps({"pipeline": [stage]}), f"{THINGS}/aggregate")
        assert answer.problem() == "invalid-pipeline"
    listed = {each["name"] for each in admin.get("/v1/collections").json()["collections"]}
    assert not any(each.startswith("_") for each in listed)


def test_a_pipeline_needs_to_read_all_that_it_reads(
    url: str,
    description: Description,
    keys: dict[str, str],
    raw_client: pymongo.MongoClient[RawBSONDocument],
) -> None:
    """A collection that the key may not read is 403 wherever a stage names it, however deep."""
    keep(raw_client[KEYED]["others"], {"_id": ObjectId(), "x": "secret"})
    client = Caller(url, keys["admin"], description.check)
    look = {"$lookup": {"from": "others", "pipeline": [], "as": "a"}}
    graph = {"from": "others", "startWith": "$a", "connectFromField": "a", "connectToField": "b"}
    for stage in (
        {"$unionWith": "others"},
        {"$unionWith": {"coll": "others"}},
        look,
        {"$graphLookup": {**graph, "as": "c"}},
        {"$facet": {"a": [look]}},
        {"$lookup": {"from": "data", "pipeline": [look], "as": "a"}},
        {"$unionWith": {"coll": "data", "pipeline": [{"$unionWith": "others"}]}},
    ):
        answer = client.post(json.dumps({"pipeline": [stage]}), f"{THINGS}/aggregate")
        assert answer.problem() == "forbidden", stage
    joined = [{"$unionWith": "data"}, {"$unionWith": "things"}]
    assert client.post(json.dumps({"pipeline": joined}), f"{THINGS}/aggregate").status == 200


def test_what_a_key_may_not_read_is_not_listed_or_described(
    url: str, description: Description, keys: dict[str, str]
) -> None:
    """Names of collections and their schemas are for whom may read there."""
    schema = json.dumps({"schema": {"type": "object", "title": "SecretSchema"}})
    admin = Caller(url, keys["all"], description.check)
    assert admin.put("/v1/collections/hidden", schema).status in (200, 201)
    try:
        listed = Caller(url, keys["reader"]).get("/v1/collections")
        assert "hidden" not in {each["name"] for each in listed.json()["collections"]}
        for key in (None, keys["reader"], keys["other"]):
            assert b"SecretSchema" not in Caller(url, key).get("/openapi.json").body
        wait_until(
            lambda: b"SecretSchema" in admin.ask("GET", "/openapi.json").body, "it is described"
        )
        tag = admin.get("/openapi.json").headers["ETag"]
        assert Caller(url, keys["reader"]).get("/openapi.json", If_None_Match=tag).status == 200
    finally:
        admin.delete("/v1/collections/hidden")


def test_details_of_the_probes_are_for_who_may_read_all(url: str, keys: dict[str, str]) -> None:
    """Anybody is told whether it is ready; the rest needs `*:read`, without a row filter."""
    for name in (None, "reader", "other", "eve", "expired"):
        client = Caller(url, None if name is None else keys[name])
        assert client.get("/readyz").json() == {"status": "ready"}
    assert Caller(url, keys["every"]).get("/readyz").json() == {"status": "ready", "database": "up"}
