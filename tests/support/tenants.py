"""Two tenants in one collection, and what must be true after whatever one of them asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from tests.support.api import JSON, Answer
from tests.support.keys import Caller

HUSH = "hush"
"""What is in each document that is not ada's, and in none of hers."""
MINE = ("a1", "a2")
"""The ids of ada's documents."""
FOREIGN: dict[str, dict[str, object]] = {
    "b1": {"owner": "bob", "n": 1, "hush": "hush"},
    "b2": {"owner": "bob", "n": 5, "hush": "hush", "v": {"hush": 1}},
    "b3": {"owner": "ADA", "hush": "hush"},
    "b4": {"owner": ["ada"], "hush": "hush"},
    "b5": {"owner": ["ada", "bob"], "hush": "hush"},
    "b6": {"owner": {"owner": "ada"}, "hush": "hush"},
    "b7": {"owner": None, "hush": "hush"},
    "b8": {"hush": "hush"},
    "b9": {"owner": "ada\0", "hush": "hush"},
}
"""What is not ada's, by id: bob's, and what only looks like hers."""


EXPECTED = sorted(bson.encode({"_id": id_, **each}) for id_, each in FOREIGN.items())


FAILING: dict[str, object] = {
    "$expr": {"$eq": [{"$divide": [1, {"$cond": [{"$eq": ["$hush", "hush"]}, 0, 1]}]}, 7]}
}
"""Cannot be worked out for most of what is not ada's."""
FILTERS: list[tuple[dict[str, object], int]] = [
    ({}, 2),
    ({"owner": "bob"}, 0),
    ({"owner": {"$ne": "ada"}}, 0),
    ({"owner": {"$in": ["ada", "bob"]}}, 2),
    ({"owner": {"$nin": ["ada"]}}, 0),
    ({"owner": {"$exists": False}}, 0),
    ({"owner": {"$regex": "", "$options": "i"}}, 2),
    ({"owner": {"$not": {"$eq": "ada"}}}, 0),
    ({"owner": {"$elemMatch": {"$eq": "ada"}}}, 0),
    ({"$or": [{"owner": "bob"}, {"owner": "ada"}]}, 2),
    ({"$or": [{"hush": "hush"}, {"n": {"$exists": True}}]}, 2),
    ({"$nor": [{"owner": "ada"}]}, 0),
    ({"$and": [{"$nor": [{"x": 1}]}, {"$or": [{"n": 1}, {"hush": "hush"}]}]}, 1),
    ({"hush": "hush"}, 0),
    ({"hush": {"$regex": "^h"}}, 0),
    ({"$expr": {"$ne": ["$owner", "ada"]}}, 0),
    ({"$expr": {"$eq": ["$$ROOT.owner", "$owner"]}}, 2),
    ({"$expr": True}, 2),
    (FAILING, 0),
    ({"$or": [FAILING, {"$nor": [FAILING]}]}, 2),
    ({"_id": "b1"}, 0),
    ({"_id": {"$in": ["a1", "b1", "b4"]}}, 1),
]
"""Filters, and how many of ada's documents they meet."""


@dataclass(frozen=True)
class Tenants:
    """Both tenants' documents, and a client of ada's."""

    things: Collection[RawBSONDocument]
    ada: Caller

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask as ada; fails where the answer or the database shows that it went too far."""
        text = json.dumps(body) if isinstance(body, dict | list) else body
        assert text is None or isinstance(text, str)
        answer = self.ada.ask(method, path, text, {**JSON, **(headers or {})})
        assert HUSH.encode() not in answer.body, (method, path, body)
        assert self.foreign() == EXPECTED, (method, path, body)
        return answer

    def foreign(self) -> list[bytes]:
        """What lies there that is not ada's, byte for byte."""
        found = self.things.find({"_id": {"$regex": "^b"}})
        return sorted(bytes(each.raw) for each in found)

    def own(self) -> dict[str, dict[str, Any]]:
        """Ada's documents, by id."""
        found = [bson.decode(each.raw) for each in self.things.find({"owner": "ada"})]
        return {each["_id"]: each for each in found if each["owner"] == "ada"}
