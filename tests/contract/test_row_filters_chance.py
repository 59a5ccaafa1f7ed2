"""Requests made by chance, by a key with a row filter of several paths, some of them in others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demijohn.query.rows import read_rows
from tests.contract.conftest import Things, keep
from tests.support.api import EJSON, JSON, JSON_PATCH, MERGE, THINGS, UPDATE
from tests.support.keys import DEEP_ROWS, Caller

ROWS = read_rows(DEEP_ROWS.encode())
SEEDS: dict[str, dict[str, object]] = {
    "own": {"meta": {"team": {"id": 7}, "open": True}, "n": 1, "v": [1, {"open": True}]},
    "owned": {"meta": {"open": True, "team": {"id": 7.0}}, "x": {"meta": 1}},
    "other": {"meta": {"team": {"id": 8}, "open": True}, "n": 1},
    "listed": {"meta": {"team": [{"id": 7}], "open": True}},
    "closed": {"meta": {"team": {"id": 7}, "open": 1}},
    "bare": {"n": 1},
}
VALUES = st.sampled_from(
    [
        *(7, 7.0, 8, True, False, 1, None, "7", [], {}, [7], {"id": 7}, [{"id": 7}]),
        *({"team": {"id": 7}, "open": True}, {"team": {"id": 7}}, {"open": True}),
        *({"$numberLong": "7"}, {"$numberDecimal": "7.0"}, {"$numberDecimal": "sNaN"}),
    ]
)
PATHS = st.sampled_from(
    [
        *("meta", "meta.team", "meta.team.id", "meta.open", "meta.team.id.x", "meta.x"),
        *("n", "v", "v.0", "v.1.open", "x", "x.meta", "meta.team.$[]", "meta.team.0.id"),
    ]
)
OPERATORS = st.sampled_from(
    """
    $set $unset $inc $mul $min $max $push $pull $addToSet $pop $currentDate $bit $setOnInsert
    """.split()  # noqa: SIM905 — as one reads them in the manual
)
UPDATES = st.one_of(
    st.dictionaries(OPERATORS, st.dictionaries(PATHS, VALUES, min_size=1, max_size=2), min_size=1),
    st.fixed_dictionaries({"$rename": st.dictionaries(PATHS, PATHS, min_size=1, max_size=2)}),
)
NAMES = st.sampled_from(["meta", "team", "id", "open", "n"])
MERGES = st.recursive(
    VALUES, lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=2), max_leaves=4
).filter(lambda value: isinstance(value, dict))
POINTERS = st.sampled_from(
    [
        "",
        "/meta",
        "/meta/team",
        "/meta/team/id",
        "/meta/open",
        "/n",
        "/v/0",
        "/v/-",
        "/x",
        "/x/meta",
    ]
)
STEPS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy"]),
        "path": POINTERS,
        "from": POINTERS,
        "value": VALUES,
    }
)
WHERE = st.sampled_from(
    [
        {"n": 1},
        {"meta.open": {"$ne": True}},
        {"$nor": [{"meta.team.id": 7}]},
        {"$or": [{"n": 1}, {"$expr": {"$divide": [1, "$n"]}}]},
        {"$expr": {"$ne": ["$meta.team.id", 7]}},
    ]
).map(lambda where: f"{THINGS}?{urlencode({'filter': json.dumps(where)})}")
ONE = st.sampled_from([*SEEDS, "new"]).map(lambda id_: f"{THINGS}/{id_}")
MORE = st.sampled_from([{}, {}, {"If-Match": "*"}, {"If-None-Match": "*"}])


def _request(method: str, path: st.SearchStrategy[str], body: Any, kind: str) -> Any:
    headers = MORE if path is ONE else st.just({})
    return st.tuples(
        st.just(method), path, body, headers.map(lambda more: {"Content-Type": kind, **more})
    )


REQUESTS = st.one_of(
    _request("PUT", ONE, MERGES, JSON["Content-Type"]),
    _request("PATCH", ONE, UPDATES, UPDATE),
    _request("PATCH", ONE, MERGES, MERGE),
    _request("PATCH", ONE, MERGES, EJSON),
    _request("PATCH", ONE, st.lists(STEPS, min_size=1, max_size=3), JSON_PATCH),
    _request("POST", st.just(THINGS), MERGES | st.lists(MERGES, max_size=3), EJSON),
    _request("PATCH", WHERE, UPDATES, UPDATE),
    _request("DELETE", ONE | WHERE, st.none(), MERGE),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUESTS, min_size=1, max_size=5))
def test_whatever_is_asked_others_documents_stay(
    keyed_url: str,
    keys: dict[str, str],
    keyed_things: Things,
    requests: list[tuple[str, str, object, Mapping[str, str]]],
) -> None:
    """Byte for byte, none more and none fewer; and all else is what the key sees."""
    keyed_things.delete_many({})
    for id_, each in SEEDS.items():
        keep(keyed_things, {"_id": id_, **each})
    before = _stored(keyed_things, own=False)
    client = Caller(keyed_url, keys["deep"])
    for method, path, body, headers in requests:
        text = None if body is None else json.dumps(body)
        answer = client.ask(method, path, text, dict(headers))
        assert answer.status < 500, answer
        assert _stored(keyed_things, own=False) == before, (answer, method, path, body)
    seen = {json.dumps(each["_id"]) for each in client.get(THINGS).json()["documents"]}
    assert len(seen) == len(_stored(keyed_things, own=True))
    client.close()


def _stored(things: Things, *, own: bool) -> list[bytes]:
    """The documents that are the key's own, or those that are not."""
    return sorted(bytes(each.raw) for each in things.find() if ROWS.holds(bytes(each.raw)) == own)
