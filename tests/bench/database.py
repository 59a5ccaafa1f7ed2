"""The one database server that all contenders work on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymongo
from bson import ObjectId
from pymongo.collection import Collection

from tests.support.database import Database

NAME = "SECANTUSD_RS"
"""The environment variable that names the Rust server, where it is not on the PATH."""
COLLECTION = "data"
"""The guide's collection, in its database."""
Documents = Collection[dict[str, object]]
_BATCH = 5_000
_LARGEST = 16_000_000
"""Bytes of padding in one batch."""
_SETTLED = 0.25
"""Seconds without a new document after which no more is expected."""


class RustDatabase(Database):
    """The Rust server, every commit flushed: without it acknowledged writes are lost in a crash."""

    def __init__(self, directory: Path, program: str) -> None:
        """Take a directory for its files and the path of its program."""
        super().__init__(directory)
        self._path = program

    def _program(self) -> list[str]:
        return [self._path, "--sync-on-commit", "--cache-size", "1G"]


def fastest(directory: Path) -> tuple[str, Database]:
    """What it is, for the report, and the server, not started: Rust if there, else Python."""
    program = shutil.which(os.environ.get(NAME) or "secantusd-rs")
    if program is not None:
        return "secantusd-rs --sync-on-commit", RustDatabase(directory, program)
    return "secantusd-py, journal=true", Database(directory)


@contextmanager
def documents(uri: str, collection: str = COLLECTION) -> Iterator[Documents]:
    """The guide's collection, or another beside it, past any service."""
    with pymongo.MongoClient[dict[str, object]](uri) as client:
        yield client["flask_db"][collection]


def durable(uri: str) -> str:
    """The URI that every contender is given: the same promise of every acknowledgement."""
    return f"{uri}&w=majority"


def fill(collection: Documents, number: int, first: int = 0, padding: int = 0) -> None:
    """Put small documents there: numbers `first` up to `first + number`, which are their ids too.

    Each has one `#` and no other, so that what comes out can be counted by it, and so many bytes
    of padding.
    """
    batch = _BATCH if not padding else max(min(_BATCH, _LARGEST // padding), 1)
    rest = {"fill": "x" * padding} if padding else {}
    for start in range(first, first + number, batch):
        end = min(start + batch, first + number)
        collection.insert_many([_small(each) | rest for each in range(start, end)], ordered=False)


def settled_count(collection: Documents, counted: int) -> int:
    """How many documents there are once no more come: what was in flight has landed.

    `counted` is how many there were just now.
    """
    time.sleep(_SETTLED)
    while counted != (now := collection.count_documents({})):
        counted = now
        time.sleep(_SETTLED)
    return counted


def _small(number: int) -> dict[str, object]:
    return {
        "_id": ObjectId(f"{number:024x}"),
        "n": number,
        "name": f"Ada #{number}",
        "born": 1815,
        "fields": ["mathematics", "engines"],
    }
