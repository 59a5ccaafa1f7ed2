"""What a key with a row filter sees: its own documents, on every path that reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pymongo
import pytest
from bson import ObjectId
from bson.raw_bson import RawBSONDocument

from tests.contract.conftest import KEYED, Things, keep
from tests.support.api import CANONICAL, EJSON, THINGS, Answer
from tests.support.keys import Caller
from tests.support.openapi import Description
from tests.support.processes import wait_until
from tests.support.tenants import FAILING, FILTERS, HUSH, MINE, Tenants

AGGREGATE, DISTINCT = "/v1/collections/things/aggregate", "/v1/collections/things/distinct"
SEARCH = "/v1/collections/things/search"
NDJSON = "application/x-ndjson"


def ids(answer: Answer) -> list[str]:
    """The ids on a page."""
    assert answer.status == 200, answer
    return [each["_id"] for each in answer.json()["documents"]]


@pytest.mark.parametrize(("where", "count"), FILTERS)
def test_no_filter_finds_another_s_document(
    where: dict[str, object], count: int, tenants: Tenants
) -> None:
    """In no list, stream, search, count or pipeline, and in no distinct values."""
    query = urlencode({"filter": json.dumps(where)})
    for kind in ("*/*", EJSON, CANONICAL):
        for more in ("", "&sort=-hush", "&sort=hush,n&fields=n", "&fields=-owner"):
            page = tenants.ask("GET", f"{THINGS}?{query}{more}", headers={"Accept": kind})
            assert len(page.json()["documents"]) == count
    lines = tenants.ask("GET", f"{THINGS}?{query}", headers={"Accept": NDJSON})
    assert lines.body.count(b"\n") == count
    # Not by `ask`: the next page's address has the filter in it.
    counted = tenants.ada.get(f"{THINGS}?{query}&count=exact&limit=1").json()
    assert (counted["count"], len(counted["documents"])) == (count, min(count, 1))
    assert len(ids(tenants.ask("POST", SEARCH, {"filter": where}))) == count
    stages = [{"$match": where}, {"$sort": {"hush": 1}}]
    made = tenants.ask("POST", AGGREGATE, {"pipeline": stages})
    assert len(made.json()["documents"]) == count
    values = tenants.ask("GET", f"{DISTINCT}/owner?{query}").json()["values"]
    assert values == (["ada"] if count else [])
    assert tenants.ask("GET", f"{DISTINCT}/hush?{query}").json() == {"values": []}


def test_parameters_and_pages_are_of_one_s_own_documents(tenants: Tenants, bob: Caller) -> None:
    """So is a count from statistics; another's cursor leads to nothing of the other's."""
    assert ids(tenants.ask("GET", f"{THINGS}?owner=bob")) == []
    assert ids(tenants.ask("GET", f"{THINGS}?owner[ne]=ada")) == []
    assert ids(tenants.ask("GET", f"{THINGS}?hush[exists]=true")) == []
    assert tenants.ask("GET", f"{THINGS}?count=estimated&limit=1").json()["count"] == len(MINE)
    first = bob.get(f"{THINGS}?limit=1&sort=_id").json()
    assert [each["_id"] for each in first["documents"]] == ["b1"]
    after = urlencode({"after": first["after"], "limit": "5", "sort": "_id"})
    assert ids(tenants.ask("GET", f"{THINGS}?{after}")) == []
    own = tenants.ask("GET", f"{THINGS}?limit=1&sort=-_id").json()
    following = tenants.ask("GET", own["next"]).json()
    assert [each["_id"] for each in own["documents"] + following["documents"]] == ["a2", "a1"]


@pytest.mark.parametrize(
    ("stages", "made"),
    [
        ([], 2),
        ([{"$project": {"x": "$$ROOT", "_id": 0}}], 2),
        ([{"$group": {"_id": "$owner", "all": {"$push": "$$ROOT"}}}], 1),
        ([{"$sortByCount": "$owner"}], 1),
        ([{"$facet": {"a": [{"$match": {"owner": "bob"}}], "b": [{"$sort": {"hush": 1}}]}}], 1),
        ([{"$set": {"owner": "bob"}}, {"$match": {"owner": "bob"}}], 2),
        ([{"$unset": "owner"}, {"$match": {"owner": {"$exists": False}}}], 2),
        ([{"$replaceWith": {"owner": "bob"}}, {"$match": {"$expr": {"$ne": ["$owner", 1]}}}], 2),
        ([{"$set": {"z": 1}}, {"$match": {"$or": [FAILING, {"z": 1}]}}], 2),
        ([{"$match": FAILING}, {"$project": {"n": 1}}], 0),
        ([{"$sample": {"size": 100}}], 2),
        ([{"$unwind": "$v.x"}], 2),
        ([{"$sort": {"hush": -1}}, {"$limit": 100}], 2),
        ([{"$redact": {"$cond": [{"$eq": ["$owner", "bob"]}, "$$KEEP", "$$PRUNE"]}}], 0),
    ],
)
def test_a_pipeline_begins_with_one_s_own_documents(
    stages: list[dict[str, object]], made: int, tenants: Tenants
) -> None:
    """Whatever its stages do, and even where they make the owner another."""
    answer = tenants.ask("POST", AGGREGATE, {"pipeline": stages})
    assert len(answer.json()["documents"]) == made
    lines = tenants.ask("POST", AGGREGATE, {"pipeline": stages}, {"Accept": NDJSON})
    assert lines.body.count(b"\n") == made


@pytest.mark.parametrize(
    "stage",
    [
        {"$lookup": {"from": "things", "pipeline": [], "as": "all"}},
        {"$lookup": {"from": "things", "localField": "x", "foreignField": "x", "as": "all"}},
        {"$unionWith": "things"},
        {"$unionWith": {"coll": "things", "pipeline": []}},
        {
            "$graphLookup": {
                "from": "things",
                "startWith": "$x",
                "connectFromField": "x",
                "connectToField": "x",
                "as": "all",
            }
        },
        {"$facet": {"a": [{"$unionWith": "things"}]}},
        {"$facet": {"a": [{"$lookup": {"from": "data", "pipeline": [], "as": "all"}}]}},
    ],
)
def test_a_stage_that_reads_a_collection_anew_is_refused(
    stage: dict[str, object], tenants: Tenants
) -> None:
    """The filter is put before a pipeline, and not into what its stages read: 403."""
    answer = tenants.ask("POST", AGGREGATE, {"pipeline": [{"$match": {}}, stage]})
    assert answer.problem() == "forbidden"


def test_it_is_the_same_under_flask_run(
    tenants: Tenants, keyed_flask_url: str, keys: dict[str, str], description: Description
) -> None:
    """The filter is the store's, and asks for no server of ours."""
    held = Tenants(tenants.things, Caller(keyed_flask_url, keys["ada"], description.check))
    assert ids(held.ask("GET", THINGS)) == list(MINE)
    assert len(held.ask("POST", AGGREGATE, {"pipeline": []}).json()["documents"]) == len(MINE)
    assert held.ask("GET", f"{THINGS}/b1").problem() == "not-found"
    assert held.ask("DELETE", f"{THINGS}/b1").problem() == "not-found"
    assert held.ask("PUT", f"{THINGS}/a1", {"owner": "bob"}).problem() == "forbidden"
    assert held.ask("POST", THINGS, {"owner": "bob"}).problem() == "forbidden"
    assert held.ask("DELETE", f"{THINGS}?all=true").json() == {"deleted": len(MINE)}


def test_the_guide_s_routes_are_held_too(
    keyed_url: str,
    keys: dict[str, str],
    description: Description,
    raw_client: pymongo.MongoClient[RawBSONDocument],
) -> None:
    """`/data` has one's own documents and takes no others."""
    data = raw_client[KEYED]["data"]
    data.delete_many({})
    keep(data, {"_id": 1, "owner": "bob", "hush": "hush"})
    keep(data, {"_id": 2, "owner": "ada"})
    ada = Caller(keyed_url, keys["ada"], description.check)
    for path in (
        "/data",
        "/data?limit=1",
        "/data?sort=-hush&limit=5",
        '/data?filter={"hush":"hush"}',
    ):
        assert HUSH.encode() not in ada.get(path).body
    assert ada.get("/data").json() == [{"owner": "ada"}]
    assert ada.insert({"owner": "bob"}).problem() == "forbidden"
    assert ada.insert({"owner": "ada"}).status == 201
    assert data.count_documents({}) == 3


def test_the_express_path_is_held_too(
    keyed_url: str, keys: dict[str, str], keyed_things: Things
) -> None:
    """It serves each key as far as its scopes and its row filter go; no list, and nobody else."""
    id_ = str(ObjectId())
    keep(keyed_things, {"_id": ObjectId(id_), "owner": "bob", "hush": "hush"})
    path = f"{THINGS}/{id_}"
    body = '{"owner":"ada"}'
    ada, bob = Caller(keyed_url, keys["ada"]), Caller(keyed_url, keys["bob"])
    admin, reader = Caller(keyed_url, keys["all"]), Caller(keyed_url, keys["reader"])
    # Once each, after which the collection's configuration is known.
    assert admin.get(path).status == admin.post(body, THINGS).status - 1 == 200
    before = expressed(admin)
    assert ada.get("/data").status == 200
    assert reader.post(body, THINGS).problem() == "forbidden"
    assert Caller(keyed_url, keys["other"]).get(path).problem() == "forbidden"
    assert Caller(keyed_url, None).get(path).problem() == "unauthenticated"
    assert expressed(admin) == before
    assert by_express(admin, lambda: ada.get(path)).problem() == "not-found"
    assert by_express(admin, lambda: bob.get(path)).json()["hush"] == "hush"
    assert by_express(admin, lambda: ada.post(body, THINGS)).status == 201
    bobs = by_express(admin, lambda: ada.post('{"owner":"bob"}', THINGS))
    assert bobs.problem() == "forbidden"
    assert by_express(admin, lambda: reader.get(path)).status == 200
    assert by_express(admin, lambda: admin.post(body, THINGS)).status == 201


def by_express(counting: Caller, ask: Callable[[], Answer]) -> Answer:
    """The express path's answer; the full path's before, where what it goes by is too old."""
    answers: list[Answer] = []

    def is_served() -> bool:
        before = expressed(counting)
        answers.append(ask())
        return expressed(counting) == before + 1

    wait_until(is_served, "the express path serves it")
    return answers[-1]


def expressed(client: Caller) -> float:
    """How many requests the express path has answered."""
    lines = client.get("/metrics").body.decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("demijohn_express_requests_total")
    )
