"""`/data`: collection `data` with the guide's answers."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response

from demijohn.auth.caller import Level
from demijohn.edge.routes import GUIDE
from demijohn.edge.tellers import DATA, PLAINLY, GuideTeller
from demijohn.formats import media_types
from demijohn.web import documents, lists
from demijohn.web.document_operations import IDEMPOTENCY_KEY
from demijohn.web.lists_operations import DATA_PARAMETERS, LISTING
from demijohn.web.negotiation import refuse_conditions
from demijohn.web.openapi.headers import LINK, LOCATION, REPLAYED
from demijohn.web.openapi.operation import Access, Answer, Body, Operation, View
from demijohn.web.openapi.problems import STORING
from demijohn.web.openapi.vocabulary import PLAIN_DOCUMENT, constant, ref
from demijohn.web.requests import read_body, refuse_parameters, require_acceptable
from demijohn.web.services import Services

INSERT = Operation(
    id="insertData",
    access=Access(Level.WRITE, DATA, by_row=True),
    tag="guide",
    summary="Keep a document",
    description=(
        "Inserts one JSON object into collection `data`. It has been written to the journals of "
        "a majority of the database's members when the answer comes."
    ),
    parameters=(IDEMPOTENCY_KEY,),
    body=Body("The document.", {media_types.PLAIN: PLAIN_DOCUMENT}),
    answers=(
        Answer(
            201,
            "It is kept; `Location` says where.",
            {media_types.PLAIN: constant("status", "Data inserted")},
            (LOCATION, REPLAYED),
        ),
    ),
    problems=STORING,
)
LIST = Operation(
    id="listData",
    access=Access(Level.READ, DATA, by_row=True),
    tag="guide",
    summary="Every document",
    description=(
        "All documents of collection `data` without their `_id`, keys in stored order. The array "
        "is streamed; one that breaks off is cut at the connection and is no valid JSON. With "
        "`limit` it is one page, and `Link` says where the next one is."
    ),
    parameters=DATA_PARAMETERS,
    answers=(
        Answer(
            200,
            "The documents.",
            {media_types.PLAIN: {"type": "array", "items": ref("Document")}},
            (LINK,),
        ),
    ),
    problems=LISTING,
)


def blueprint(services: Services) -> Blueprint:
    """The guide's two routes."""
    routes = Blueprint("data", __name__)
    routes.post(GUIDE, endpoint="insert")(View(INSERT, partial(insert, services)))
    routes.get(GUIDE, endpoint="list")(View(LIST, partial(list_documents, services)))
    return routes


def insert(services: Services) -> Response:
    """Keep one JSON object: 201 and where it is."""
    require_acceptable(media_types.PLAIN)
    refuse_parameters()
    refuse_conditions()
    body = read_body(media_types.PLAIN)
    teller = GuideTeller(DATA, PLAINLY, services.room)
    return documents.insert(services, teller, body)


def list_documents(services: Services) -> Response:
    """Every document without its `_id`, as a JSON array that streams, or some of them."""
    require_acceptable(media_types.PLAIN)
    return lists.list_data(services, DATA)
