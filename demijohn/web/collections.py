"""`/v1/collections`: which there are, how they are configured, and dropping them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import orjson
from flask import Blueprint, Response, request

from demijohn.auth.caller import Level
from demijohn.documents import indexes
from demijohn.documents.collections import UNCONFIGURED, Configuration, Configurations
from demijohn.documents.offenders import Looked, look
from demijohn.edge.reply import Reply, json_reply
from demijohn.edge.tellers import CREATED, NO_CONTENT, NO_STORE, OK
from demijohn.errors import (
    BadParameter,
    DatabaseUnavailable,
    DeadlineExceeded,
    NotFound,
    OutcomeUnknown,
)
from demijohn.formats import media_types
from demijohn.formats.extended_out import render
from demijohn.formats.plain_in import parse_value
from demijohn.formats.plain_out import plain_value
from demijohn.query.names import is_reachable
from demijohn.web import collections_operations as about
from demijohn.web.negotiation import check_bare, refuse_conditions, refuse_key
from demijohn.web.openapi.operation import View
from demijohn.web.problems import to_response
from demijohn.web.requests import (
    read_body,
    refuse_parameters,
    require_acceptable,
)
from demijohn.web.services import Services, current_context

COLLECTIONS = "/v1/collections"
COLLECTION = f"{COLLECTIONS}/<collection>"
_NO_KEY = "A collection configured or dropped twice is as it was after the first time."
_MEMBERS = ("require_if_match", "schema")
_LOOKING = 5.0
"""Seconds for which existing documents are held to a new schema."""


def blueprint(services: Services) -> Blueprint:
    """The routes of collections."""
    routes = Blueprint("collections", __name__)
    routes.get(COLLECTIONS, endpoint="list")(View(about.LIST, partial(list_all, services)))
    routes.get(COLLECTION, endpoint="read")(View(about.READ, partial(read, services)))
    routes.put(COLLECTION, endpoint="put")(View(about.PUT, partial(put, services)))
    routes.delete(COLLECTION, endpoint="drop")(View(about.DROP, partial(drop, services)))
    return routes


def list_all(services: Services) -> Response:
    """Every collection that the caller can reach."""
    require_acceptable(media_types.PLAIN)
    refuse_parameters()
    refuse_conditions()
    with_schema = services.configurations.with_schema()
    caller = current_context().caller
    names = {*services.store.catalog.collections(), *services.configurations.versions()}
    found = [
        {
            "name": name,
            "count": services.store.reading.estimate(name),
            "schema": name in with_schema,
        }
        for name in sorted(names)
        if is_reachable(name) and caller.may(Level.READ, name)
    ]
    return to_response(json_reply(OK, {"collections": found}))


def read(services: Services, collection: str) -> Response:
    """One collection: about how many documents, its configuration and indexes."""
    check_bare(collection)
    require_acceptable(media_types.PLAIN)
    configuration = services.configurations.of(collection)
    if configuration == UNCONFIGURED and not services.store.catalog.exists(collection):
        raise NotFound("There is no collection of that name.")
    return _described(services, collection, configuration, OK)


def put(services: Services, collection: str) -> Response:
    """Configure a collection, and make it if there is none."""
    check_bare(collection)
    refuse_key(_NO_KEY)
    require_acceptable(media_types.PLAIN)
    wanted = _read_configuration(services.configurations, read_body(media_types.PLAIN))
    is_new = not services.store.catalog.exists(collection)
    # In this order there never is a new collection that is not configured yet, and what is looked
    # at is what lay there before.
    services.configurations.put(collection, wanted)
    looked = None
    with _begun():
        services.store.catalog.create(collection)
        if wanted.schema is not None:
            looked = look(services.store, collection, wanted, _LOOKING)
        return _described(services, collection, wanted, CREATED if is_new else OK, looked)


def drop(services: Services, collection: str) -> Response:
    """Drop a collection with its documents, indexes and configuration."""
    check_bare(collection)
    refuse_key(_NO_KEY)
    is_there = services.store.catalog.exists(collection)
    if not is_there and not services.configurations.has(collection):
        raise NotFound("There is no collection of that name.")
    # In this order: documents are never left without the configuration that they are under.
    services.store.catalog.drop(collection)
    with _begun():
        services.configurations.drop(collection)
    return to_response(Reply(NO_CONTENT, (), b""))


@contextmanager
def _begun() -> Iterator[None]:
    """Say of a failure that a part has been done before it."""
    try:
        yield
    except (DatabaseUnavailable, DeadlineExceeded) as problem:
        said = "It is done, or a part of it is; the same can be sent again."
        raise OutcomeUnknown(said) from problem


def _read_configuration(configurations: Configurations, body: bytes) -> Configuration:
    given = parse_value(body, any_keys=True)
    if not isinstance(given, dict):
        raise BadParameter("A configuration is an object.")
    for name in given:
        if name not in _MEMBERS:
            raise BadParameter(f"{name[:100]} is not known; there are {', '.join(_MEMBERS)}.")
    require_if_match = given.get("require_if_match", False)
    if not isinstance(require_if_match, bool):
        raise BadParameter("require_if_match is true or false.")
    schema = given.get("schema")
    compiled = None if schema is None else configurations.schema(schema, ("schema",))
    return Configuration(compiled, require_if_match)


def _described(
    services: Services,
    collection: str,
    configuration: Configuration,
    status: int,
    looked: Looked | None = None,
) -> Response:
    schema = configuration.schema
    described = {
        "name": collection,
        "count": services.store.reading.estimate(collection),
        "schema": None if schema is None else orjson.Fragment(schema.text),
        "require_if_match": configuration.require_if_match,
        "indexes": [
            orjson.Fragment(render(each, canonical=False).rstrip())
            for each in indexes.list_indexes(services.store, collection)
        ],
    }
    if looked is not None:
        described["existing"] = _told(looked)
    headers = [("Content-Type", media_types.PLAIN), NO_STORE]
    if status == CREATED:
        headers.append(("Location", request.path))
    return to_response(Reply(status, tuple(headers), orjson.dumps(described) + b"\n"))


def _told(looked: Looked) -> dict[str, object]:
    return {
        "checked": looked.checked,
        "complete": looked.is_complete,
        "refused": looked.refused,
        "examples": [
            {
                "id": plain_value(each.id),
                "pointer": each.fault.pointer,
                "detail": each.fault.detail,
            }
            for each in looked.examples
        ],
    }
