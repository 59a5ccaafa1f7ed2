"""`/data`: collection `data` with the guide's answers."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response

from demijohn.documents.insert import insert_one
from demijohn.documents.listing import read_all
from demijohn.errors import NotAcceptable
from demijohn.formats.ids import to_segment
from demijohn.formats.plain_in import parse_document
from demijohn.web.openapi.headers import LOCATION
from demijohn.web.openapi.operation import Answer, Body, Operation, View
from demijohn.web.openapi.problems import INSERTING, READING
from demijohn.web.openapi.schemas import constant, ref
from demijohn.web.requests import (
    read_json_body,
    refuse_idempotency_key,
    refuse_parameters,
    require_acceptable,
)
from demijohn.web.services import Services

COLLECTION = "data"
INSERTED = b'{"status":"Data inserted"}\n'
JSON = "application/json"

INSERT = Operation(
    id="insertData",
    tag="guide",
    summary="Keep a document",
    description=(
        "Inserts one JSON object into collection `data`. It has been written to the journals of "
        "a majority of the database's members when the answer comes."
    ),
    body=Body("The document.", {JSON: ref("PlainDocument")}),
    answers=(
        Answer(
            201,
            "It is kept; `Location` says where.",
            {JSON: constant("status", "Data inserted")},
            (LOCATION,),
        ),
    ),
    problems=(*INSERTING, NotAcceptable),
)
LIST = Operation(
    id="listData",
    tag="guide",
    summary="Every document",
    description=(
        "All documents of collection `data` without their `_id`, keys in stored order. The array "
        "is streamed; one that breaks off is cut at the connection and is no valid JSON."
    ),
    answers=(Answer(200, "The documents.", {JSON: {"type": "array", "items": ref("Document")}}),),
    problems=(*READING, NotAcceptable),
)


def blueprint(services: Services) -> Blueprint:
    """The guide's two routes."""
    routes = Blueprint("data", __name__)
    routes.post("/data", endpoint="insert")(View(INSERT, partial(insert, services)))
    routes.get("/data", endpoint="list")(View(LIST, partial(list_documents, services)))
    return routes


def insert(services: Services) -> Response:
    """Keep one JSON object: 201 and where it is."""
    require_acceptable(JSON)
    refuse_parameters()
    refuse_idempotency_key()
    document = parse_document(read_json_body())
    inserted = insert_one(services.store, COLLECTION, document, services.new_id)
    location = f"/v1/collections/{COLLECTION}/documents/{to_segment(inserted.id)}"
    response = Response(INSERTED, 201, {"Location": location}, content_type=JSON)
    response.autocorrect_location_header = False
    return response


def list_documents(services: Services) -> Response:
    """Every document without its `_id`, as a JSON array that streams."""
    require_acceptable(JSON)
    refuse_parameters()
    chunks = read_all(services.store, COLLECTION)
    return Response(chunks, 200, content_type=JSON)
