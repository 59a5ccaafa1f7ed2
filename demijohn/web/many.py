"""`PATCH` and `DELETE` of `/v1/collections/{collection}/documents`: all that a filter meets."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, request

from demijohn.documents import many
from demijohn.edge.reply import json_reply
from demijohn.edge.routes import DOCUMENTS
from demijohn.edge.tellers import OK
from demijohn.formats import media_types
from demijohn.query.parameters import parse_query, read_parameters
from demijohn.web import many_operations as about
from demijohn.web.negotiation import refuse_conditions, refuse_key
from demijohn.web.openapi.operation import View
from demijohn.web.problems import to_response
from demijohn.web.requests import check_collection, read_body, require_acceptable
from demijohn.web.services import Services

_NO_KEY = "A change of all that a filter meets is not one write, and cannot be had just once."


def blueprint(services: Services) -> Blueprint:
    """The routes of filter-wide writes."""
    routes = Blueprint("many", __name__)
    routes.patch(DOCUMENTS, endpoint="update")(View(about.UPDATE, partial(update, services)))
    routes.delete(DOCUMENTS, endpoint="delete")(View(about.DELETE, partial(delete, services)))
    return routes


def update(services: Services, collection: str) -> Response:
    """Apply update operators to each document; how many were met and changed."""
    where = _meant(collection)
    configuration = services.configurations.of(collection)
    configuration.check_condition(is_given=False)
    configuration.check_update_many()
    operators = many.read_update(read_body(media_types.UPDATE))
    matched, modified = many.update_many(services.store, collection, where, operators)
    return to_response(json_reply(OK, {"matched": matched, "modified": modified}))


def delete(services: Services, collection: str) -> Response:
    """Delete each document; how many."""
    where = _meant(collection)
    services.configurations.of(collection).check_condition(is_given=False)
    deleted = many.delete_many(services.store, collection, where)
    return to_response(json_reply(OK, {"deleted": deleted}))


def _meant(collection: str) -> bytes:
    """The filter in the parameters of a request that has nothing else wrong with it."""
    check_collection(collection)
    require_acceptable(media_types.PLAIN)
    refuse_conditions()
    refuse_key(_NO_KEY)
    return many.meant(read_parameters(parse_query(request.query_string), many.PARAMETERS))
