"""`/v1/collections/{collection}/indexes`: which there are, making and dropping them."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from flask import Blueprint, Response

from demijohn.documents import indexes
from demijohn.edge.reply import Reply
from demijohn.edge.tellers import CREATED, NO_CONTENT, NO_STORE, OK
from demijohn.formats import media_types
from demijohn.formats.bson_values import DOCUMENT, Node, Value, encode
from demijohn.formats.spelling import Spelling
from demijohn.web import indexes_operations as about
from demijohn.web.negotiation import check_bare, refuse_key
from demijohn.web.openapi.operation import View
from demijohn.web.problems import to_response
from demijohn.web.requests import (
    read_body,
    require_acceptable,
)
from demijohn.web.services import Services

INDEXES = "/v1/collections/<collection>/indexes"
INDEX = f"{INDEXES}/<any_path:index>"
_NO_KEY = "Indexes need no key: made or dropped twice they are as they were after the first time."


def blueprint(services: Services) -> Blueprint:
    """The routes of indexes."""
    routes = Blueprint("indexes", __name__)
    routes.get(INDEXES, endpoint="list")(View(about.LIST, partial(list_all, services)))
    routes.post(INDEXES, endpoint="create")(View(about.CREATE, partial(create, services)))
    routes.get(INDEX, endpoint="read")(View(about.READ, partial(read, services)))
    routes.delete(INDEX, endpoint="drop")(View(about.DROP, partial(drop, services)))
    return routes


def list_all(services: Services, collection: str) -> Response:
    """Every index of a collection."""
    check_bare(collection)
    require_acceptable(media_types.PLAIN)
    found = indexes.list_indexes(services.store, collection)
    listed: list[Node] = [Value(DOCUMENT, each) for each in found]
    return _answer(OK, encode({"indexes": listed}))


def create(services: Services, collection: str) -> Response:
    """Make an index: 201, or 200 where it is there already."""
    check_bare(collection)
    require_acceptable(media_types.PLAIN)
    refuse_key(_NO_KEY)
    index = indexes.read_index(read_body(media_types.PLAIN))
    is_new = indexes.create_index(services.store, collection, index)
    place = f"/v1/collections/{collection}/indexes/{quote(index.name, safe='')}"
    return _answer(CREATED if is_new else OK, index.description, ("Location", place))


def read(services: Services, collection: str, index: str) -> Response:
    """One index by its name."""
    check_bare(collection)
    require_acceptable(media_types.PLAIN)
    return _answer(OK, indexes.find_index(services.store, collection, index))


def drop(services: Services, collection: str, index: str) -> Response:
    """Drop an index by its name."""
    check_bare(collection)
    refuse_key(_NO_KEY)
    indexes.drop_index(services.store, collection, index)
    return to_response(Reply(NO_CONTENT, (), b""))


def _answer(status: int, document: bytes, *headers: tuple[str, str]) -> Response:
    """A description's values are spelt as a request has them: those of a filter, in any JSON."""
    body = Spelling.RELAXED.render(document)
    shown = (("Content-Type", media_types.PLAIN), NO_STORE, *headers)
    return to_response(Reply(status, shown, body))
