"""What is kept of a request that had an Idempotency-Key: which it was, and what it was told.

Records lie in the service's own collection of the same database, beside the documents, since
only there can they be one transaction with them. Their `_id` is a digest, so that a key, which
may be a secret of the caller's, can't be read from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

import bson

COLLECTION = "_idempotency"
KEPT = 25 * 3600
"""Seconds. A day is promised; clocks of service and database may differ by an hour."""
LARGEST_BODY = 64 * 1024
"""Bytes of an answer that are kept; of a larger one only its status and headers are."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Key:
    """An Idempotency-Key and its request, both as digests."""

    id: bytes
    request: bytes

    @property
    def where(self) -> bytes:
        """The record's `_id`, as a document of its own."""
        return bson.encode({"_id": self.id})


class Told(NamedTuple):
    """What a request was told. `body` is None where it was too large to be kept."""

    status: int
    headers: Headers
    body: bytes | None
    problem: str | None = None
    """The code, where the answer is a problem."""
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A request that was begun; `answer` is None while it is not known to be done.

    `intended` is the `_id` that it is to insert, as a document of its own: on a standalone mongod a
    second attempt finishes the first.
    """

    request: bytes
    answer: Told | None
    intended: bytes | None = None


def make_key(caller: str, key: str, request: tuple[bytes, ...]) -> Key:
    """The digests of a caller's key and of what makes up the request."""
    return Key(_digest(caller.encode(), key.encode("latin-1")), _digest(*request))


def encode(key: Key, answer: Told | None, now: float, intended: bytes | None = None) -> bytes:
    """The record as it is stored; `now` is seconds since 1970, from which it is kept a day."""
    return bson.encode(
        {
            "_id": key.id,
            "request": key.request,
            "at": datetime.fromtimestamp(now, UTC),
            **({} if intended is None else {"intended": intended}),
            **({} if answer is None else _answer(answer)),
        }
    )


def decode(stored: bytes) -> Record:
    """A stored record."""
    found = bson.decode(stored)
    answer = None
    if "status" in found:
        headers = tuple((name, value) for name, value in found["headers"])
        answer = Told(
            found["status"], headers, found.get("body"), found.get("problem"), replayed=True
        )
    return Record(found["request"], answer, found.get("intended"))


def _answer(answer: Told) -> dict[str, object]:
    fits = answer.body is not None and len(answer.body) <= LARGEST_BODY
    return {
        "status": answer.status,
        "headers": [list(header) for header in answer.headers],
        **({"body": answer.body} if fits else {}),
        **({"problem": answer.problem} if answer.problem else {}),
    }


def _digest(*parts: bytes) -> bytes:
    """A digest of the parts, each with its length before it, so that none runs into the next."""
    total = sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.digest()
