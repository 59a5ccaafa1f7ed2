"""`…/aggregate` and `…/distinct`: what the database makes of many documents."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from flask import Blueprint, Response, request

from demijohn.auth.caller import Level
from demijohn.documents import aggregation
from demijohn.documents.aggregation import aggregate, read_pipeline
from demijohn.edge.reply import Reply
from demijohn.edge.tellers import OK, chosen
from demijohn.formats import media_types
from demijohn.query.parameters import FILTER, parse_query, read_parameters
from demijohn.query.pipeline import Pipeline
from demijohn.web import aggregate_operations as about
from demijohn.web.lists import begun, read_manner, respond_lines
from demijohn.web.negotiation import check_bare, read_asked, refuse_conditions
from demijohn.web.openapi.operation import View
from demijohn.web.problems import to_response
from demijohn.web.requests import check_collection, read_body
from demijohn.web.services import Services, current_context

AGGREGATE = "/v1/collections/<collection>/aggregate"
DISTINCT = "/v1/collections/<collection>/distinct/<any_path:path>"


def blueprint(services: Services) -> Blueprint:
    """The routes of aggregation."""
    routes = Blueprint("aggregate", __name__)
    routes.post(AGGREGATE, endpoint="pipeline")(View(about.AGGREGATE, partial(run, services)))
    routes.get(DISTINCT, endpoint="distinct")(View(about.DISTINCT, partial(distinct, services)))
    return routes


def run(services: Services, collection: str) -> Response:
    """What a pipeline makes, as a stream."""
    check_bare(collection)
    body = read_body(*media_types.DOCUMENTS)
    manner = read_manner()
    is_extended = request.mimetype in media_types.READ_AS_EXTENDED
    pipeline = read_pipeline(body, extended=is_extended)
    _check_others(pipeline)
    batches = aggregate(services.store, collection, pipeline)
    if manner.are_lines:
        return respond_lines(services, batches, manner)
    chunks = begun(services, _member(manner.spelling.render_lines(batches)))
    return Response(chunks, OK, chosen(manner.media_type))


def distinct(services: Services, collection: str, path: str) -> Response:
    """The different values at a path."""
    check_collection(collection)
    refuse_conditions()
    spelling = read_asked().spelling
    asked = read_parameters(parse_query(request.query_string), (FILTER,))
    found = aggregation.distinct(services.store, collection, path, asked.filter)
    with services.room.holding(found):
        body = spelling.render(found)
    return to_response(Reply(OK, chosen(spelling.media_type), body))


def _check_others(pipeline: Pipeline) -> None:
    """Raise Forbidden where the caller may not read another collection that the pipeline does."""
    caller = current_context().caller
    for each in pipeline.collections:
        caller.check(Level.READ, each)
        # The filter is put before the first stage, and not into what other stages read.
        caller.check_whole()


def _member(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Documents in lines, in chunks of whole ones, as the array of an object."""
    lead = b'{"documents":['
    for chunk in lines:
        # A line break is in no text but at its end.
        yield lead + chunk[:-1].replace(b"\n", b",")
        lead = b","
    yield (b"" if lead == b"," else lead) + b"]}\n"
