"""Lists of documents: pages, streams, and searches by a body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

import orjson
from flask import Blueprint, Response, request

from demijohn.documents.listing import count, listing, page, stream
from demijohn.edge.reply import Reply
from demijohn.edge.routes import DOCUMENTS
from demijohn.edge.tellers import OK, chosen
from demijohn.errors import BadParameter, NotAcceptable, Problem
from demijohn.formats import media_types
from demijohn.formats.plain_out import render_array
from demijohn.formats.spelling import Spelling
from demijohn.query.parameters import AFTER, Asked, parse_query, read_body, read_parameters
from demijohn.web import lists_operations as about
from demijohn.web import requests
from demijohn.web.negotiation import check_bare, refuse_conditions
from demijohn.web.openapi.operation import View
from demijohn.web.problems import to_response
from demijohn.web.requests import best_accepted, check_collection
from demijohn.web.services import Services, current_context

SEARCH = "/v1/collections/<collection>/search"
_LINES = f"{media_types.NDJSON}; mode="


@dataclass(frozen=True, slots=True)
class Manner:
    """How documents are to be answered: as JSON, or as lines of it."""

    spelling: Spelling
    are_lines: bool

    @property
    def media_type(self) -> str:
        """The Content-Type of the answer."""
        if not self.are_lines:
            return self.spelling.media_type
        if self.spelling is Spelling.PLAIN:
            return media_types.NDJSON
        return f"{_LINES}{self.spelling.name.lower()}"


_OFFERS = {
    media_types.PLAIN: Manner(Spelling.PLAIN, are_lines=False),
    media_types.EXTENDED: Manner(Spelling.RELAXED, are_lines=False),
    **{each.media_type: Manner(each, are_lines=False) for each in Spelling},
    media_types.NDJSON: Manner(Spelling.PLAIN, are_lines=True),
    f"{_LINES}relaxed": Manner(Spelling.RELAXED, are_lines=True),
    f"{_LINES}canonical": Manner(Spelling.CANONICAL, are_lines=True),
}
"""By media type; the first is that of a client with no wish."""


def blueprint(services: Services) -> Blueprint:
    """The routes of lists."""
    routes = Blueprint("lists", __name__)
    routes.get(DOCUMENTS, endpoint="list")(View(about.LIST, partial(list_documents, services)))
    routes.post(SEARCH, endpoint="search")(View(about.SEARCH, partial(search, services)))
    return routes


def list_documents(services: Services, collection: str) -> Response:
    """A page of a collection, or all of it as a stream."""
    check_collection(collection)
    refuse_conditions()
    manner = read_manner()
    asked = read_parameters(parse_query(request.query_string))
    return _respond(services, collection, asked, manner, _following)


def search(services: Services, collection: str) -> Response:
    """The same, asked for in a body; for the next page it is sent again with the cursor."""
    check_bare(collection)
    body = requests.read_body(*media_types.DOCUMENTS)
    manner = read_manner()
    asked = read_body(body, extended=request.mimetype in media_types.READ_AS_EXTENDED)
    return _respond(services, collection, asked, manner, lambda _: request.path)


def list_data(services: Services, collection: str) -> Response:
    """The guide's list: an array without `_id`; all of it as a stream, or a page of it."""
    asked = read_parameters(parse_query(request.query_string), about.OF_DATA)
    wanted = listing(collection, asked)
    if asked.limit is None:
        chunks = render_array(stream(services.store, wanted), without_id=True)
        return Response(begun(services, chunks), OK, content_type=media_types.PLAIN)
    found = page(services.store, wanted)
    body = b"".join(render_array(iter([b"".join(found.documents)]), without_id=True))
    following = None if found.after is None else _following(found.after)
    headers = (("Content-Type", media_types.PLAIN), *_link(following))
    return to_response(Reply(OK, headers, body))


def read_manner() -> Manner:
    """How the caller wants documents. Raises NotAcceptable."""
    best = best_accepted(_OFFERS)
    if best is None:
        raise NotAcceptable(
            f"Documents are {media_types.PLAIN}, {media_types.EXTENDED} or {media_types.NDJSON}."
        )
    return _OFFERS[best]


def respond_lines(services: Services, batches: Iterator[bytes], manner: Manner) -> Response:
    """Documents as they come, one a line; what fails half-way cuts the answer."""
    chunks = begun(services, manner.spelling.render_lines(batches))
    return Response(chunks, OK, chosen(manner.media_type))


def begun(services: Services, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks; what is wrong with the first is raised now, while it can be answered.

    They end where the caller's key is no longer a valid one: the answer is then cut.
    """
    refused = partial(services.entrance.refusal, current_context().caller)
    return _resume(next(chunks, b""), chunks, refused)


def _resume(
    first: bytes, rest: Iterator[bytes], refused: Callable[[], Problem | None]
) -> Iterator[bytes]:
    yield first
    for chunk in rest:
        problem = refused()
        if problem is not None:
            raise problem
        yield chunk


def _respond(
    services: Services,
    collection: str,
    asked: Asked,
    manner: Manner,
    follow: Callable[[str], str],
) -> Response:
    wanted = listing(collection, asked)
    if manner.are_lines:
        if asked.count is not None:
            raise BadParameter("count: a stream of lines has no place for it.")
        return respond_lines(services, stream(services.store, wanted), manner)
    rest: dict[str, object] = {}
    if asked.count is not None:
        rest["count"] = count(services.store, wanted, asked.count)
    found = page(services.store, wanted)
    following = None if found.after is None else follow(found.after)
    rest = {"next": following, "after": found.after, **rest}
    documents = manner.spelling.render_array(found.documents)
    body = b'{"documents":' + documents + b"," + orjson.dumps(rest)[1:] + b"\n"
    link = () if request.method == "POST" else _link(following)
    return to_response(Reply(OK, (*chosen(manner.media_type), *link), body))


def _following(cursor: str) -> str:
    """The address of the next page: the present one's, but for the cursor."""
    pairs = [each for each in parse_query(request.query_string) if each[0] != AFTER]
    return f"{request.path}?{urlencode([*pairs, (AFTER, cursor)])}"


def _link(following: str | None) -> tuple[tuple[str, str], ...]:
    """RFC 8288."""
    return () if following is None else (("Link", f'<{following}>; rel="next"'),)
