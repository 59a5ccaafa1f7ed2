"""A store without a service, on a real server, and what lies in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import bson
import pymongo
import pytest

from demijohn.errors import DatabaseUnavailable, DeadlineExceeded
from demijohn.settings import Settings
from demijohn.store import connection
from demijohn.store.documents import Store
from demijohn.telemetry.metrics import Metrics
from tests.support.database import Database
from tests.support.processes import LONG, wait_until

THINGS = "things"
"""The collection that `fill` fills."""
DATABASE = "flask_db"
"""The database of a service whose settings say nothing else."""


@contextmanager
def own_store(server: Database, name: str) -> Iterator[Store]:
    """A store of a MongoDB database of its own on the server."""
    settings = Settings(mongodb_uri=server.uri, database=name)
    with closing(Store(server.uri, settings, Metrics())) as store:
        reach(store)
        yield store


@contextmanager
def store_behind(
    port: int, name: str, retries: str = "true", selection: float = LONG
) -> Iterator[Store]:
    """A store of a MongoDB database behind a proxy on this port, once it has answered.

    `retries` says whether the driver sends a write twice, and `selection` for how many seconds it
    looks for the database then: in a service so briefly that a slow machine may not find it.
    """
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites={retries}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "SELECTION_MS", int(selection * 1_000))
        made = Store(uri, Settings(mongodb_uri=uri, database=name), Metrics())
    with closing(made) as store:
        reach(store)
        yield store


def reach(store: Store) -> None:
    """Wait until the database is there, for longer than a request would.

    So also after a connection was broken: the driver has to make another before it goes on.
    """

    def answers() -> bool:
        with suppress(DatabaseUnavailable, DeadlineExceeded):
            store.ping()
        return store.status.up

    wait_until(answers, "the database answers")


@contextmanager
def locked(database: Database, id_: object) -> Iterator[None]:
    """A transaction has the document, as after a kill; here it is aborted at the end."""
    with pymongo.MongoClient[dict[str, Any]](database.uri) as client, client.start_session() as own:
        own.start_transaction()
        documents = client[DATABASE][THINGS]
        documents.update_one({"_id": id_}, {"$set": {"held": True}}, session=own)
        try:
            yield
        finally:
            own.abort_transaction()


def fill(store: Store, documents: Sequence[Mapping[str, Any]]) -> None:
    """Have the collection hold exactly these, with the ids 0, 1, 2 and so on."""
    store.bulk.delete_many(THINGS, bson.encode({}))
    encoded = [bson.encode({"_id": at, **each}) for at, each in enumerate(documents)]
    assert not encoded or store.single.insert_many(THINGS, encoded) == {}
