"""Contract tests run under each kind of server: ours, Flask's own, and gunicorn.

What only depends on a body that has been read, as what a patch makes, runs under ours alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import bson
import pymongo
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from demijohn.store.documents import Store
from tests.support.api import Api
from tests.support.breaker import Breaker
from tests.support.database import Database, Documents, emptied
from tests.support.keys import Caller, keys_of_every_kind
from tests.support.keys import settings as keyed_settings
from tests.support.openapi import Description
from tests.support.service import Service, serving
from tests.support.stores import DATABASE, own_store
from tests.support.tenants import FOREIGN, MINE, Tenants
from tests.support.wsgi import flask_run, gunicorn

Things = Collection[RawBSONDocument]
KEYED = "keyed"


def keep(things: Things, document: Mapping[str, object]) -> bytes:
    """Store a document past the service; its bytes."""
    raw = bson.encode(document)
    things.insert_one(RawBSONDocument(raw))
    return raw


def lying_in(things: Things) -> list[bytes]:
    """Every document's bytes, in order."""
    return sorted(bytes(each.raw) for each in things.find())


def _settings(database: Database) -> dict[str, str]:
    # A stream of changes holds a thread there, until it next says something to who has left.
    return {"MONGODB_URI": database.uri, "DEMIJOHN_FEED_HEARTBEAT": "0.5"}


@pytest.fixture(scope="session")
def flask_url(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application under `flask run`, on the same database."""
    with flask_run(tmp_path_factory.mktemp("flask"), _settings(database)) as url:
        yield url


@pytest.fixture(scope="session")
def gunicorn_url(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application under gunicorn, on the same database."""
    with gunicorn(tmp_path_factory.mktemp("gunicorn"), _settings(database)) as url:
        yield url


@pytest.fixture(scope="session")
def description(service: Service) -> Description:
    """What the service says of itself; every answer of every contract test is held to it."""
    return Description(Api(service.url).get("/openapi.json").json())


@pytest.fixture(params=["serve", "flask run", "gunicorn"])
def api(request: pytest.FixtureRequest, description: Description) -> Iterator[Api]:
    """A client of each way to start the service, one after the other."""
    if request.param == "serve":
        service = request.getfixturevalue("service")
        assert isinstance(service, Service)
        client = Api(service.url, description.check)
    else:
        name = "flask_url" if request.param == "flask run" else "gunicorn_url"
        client = Api(request.getfixturevalue(name), description.check)
    yield client
    client.close()


@pytest.fixture(scope="session")
def keys(database: Database) -> dict[str, str]:
    """Keys of every kind for those services, by name; there before a service looks for them."""
    return keys_of_every_kind(database, KEYED)


@pytest.fixture(scope="session")
def keyed_url(
    database: Database, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The service, asking for keys, with its documents in the database KEYED."""
    assert keys
    settings = {"DEMIJOHN_WORKERS": "1", **keyed_settings(database, KEYED)}
    with serving(tmp_path_factory.mktemp("keyed"), settings) as service:
        yield service.url


@pytest.fixture(scope="session")
def keyed_flask_url(
    database: Database, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same under `flask run`."""
    assert keys
    with flask_run(tmp_path_factory.mktemp("keyed"), keyed_settings(database, KEYED)) as url:
        yield url


@pytest.fixture
def keyed_things(raw_client: pymongo.MongoClient[RawBSONDocument]) -> Things:
    """What lies in their collection `things`, as raw BSON; empty at first."""
    collection = raw_client[KEYED]["things"]
    collection.delete_many({})
    return collection


@pytest.fixture
def tenants(
    keyed_url: str, keys: dict[str, str], description: Description, keyed_things: Things
) -> Iterator[Tenants]:
    """Two documents of ada's among the others."""
    for at, id_ in enumerate(MINE):
        keep(keyed_things, {"_id": id_, "owner": "ada", "n": at, "v": {"x": [1]}})
    for id_, each in FOREIGN.items():
        keep(keyed_things, {"_id": id_, **each})
    ada = Caller(keyed_url, keys["ada"], description.check)
    yield Tenants(keyed_things, ada)
    ada.close()


@pytest.fixture
def bob(keyed_url: str, keys: dict[str, str], description: Description) -> Iterator[Caller]:
    """A client of bob's."""
    client = Caller(keyed_url, keys["bob"], description.check)
    yield client
    client.close()


@pytest.fixture
def shell_api(service: Service, description: Description) -> Iterator[Api]:
    """A client of the shell alone."""
    client = Api(service.url, description.check)
    yield client
    client.close()


@pytest.fixture
def stored(database: Database) -> Iterator[Documents]:
    """What lies in `flask_db.data`, seen by another client; empty at first."""
    with emptied(database.uri, "data") as collection:
        yield collection


@pytest.fixture(scope="session")
def raw_client(database: Database) -> Iterator[pymongo.MongoClient[RawBSONDocument]]:
    """Another client of the database, to which documents are bytes."""
    client: pymongo.MongoClient[RawBSONDocument]
    with pymongo.MongoClient(database.uri, document_class=RawBSONDocument) as client:
        yield client


@pytest.fixture(scope="module")
def store(database: Database) -> Iterator[Store]:
    """A store of the database that `things` is in."""
    with own_store(database, DATABASE) as store:
        yield store


@pytest.fixture(scope="module")
def breaker(database: Database) -> Iterator[Breaker]:
    """A proxy before the database."""
    with Breaker(database.port) as breaker:
        yield breaker


@pytest.fixture
def things(raw_client: pymongo.MongoClient[RawBSONDocument]) -> Things:
    """What lies in `flask_db.things`, as raw BSON; empty at first."""
    collection = raw_client["flask_db"]["things"]
    collection.delete_many({})
    return collection
