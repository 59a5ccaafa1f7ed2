"""`/v1/collections/{collection}/changes`: what happens to documents, as it happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

from flask import Blueprint, Response, request

from demijohn.documents.change_events import Shape
from demijohn.documents.changes import Asked
from demijohn.edge.handover import CATCH_UP_PAUSE, FEED, Feed, Slot
from demijohn.edge.reply import problem_reply
from demijohn.edge.tellers import NO_STORE, VARY
from demijohn.errors import NotAcceptable, Problem
from demijohn.formats.event_stream import MEDIA_TYPE
from demijohn.formats.spelling import Spelling
from demijohn.query.beneath import beneath
from demijohn.query.parameters import parse_query, read_parameters
from demijohn.web import changes_operations as about
from demijohn.web.negotiation import refuse_conditions
from demijohn.web.openapi.operation import View
from demijohn.web.requests import best_accepted, check_collection
from demijohn.web.services import Services, current_context

_OFFERS = {
    MEDIA_TYPE: Spelling.PLAIN,
    about.RELAXED: Spelling.RELAXED,
    about.CANONICAL: Spelling.CANONICAL,
}


def blueprint(services: Services) -> Blueprint:
    """The route of live changes."""
    routes = Blueprint("changes", __name__)
    path = "/v1/collections/<collection>/changes"
    routes.get(path, endpoint="follow")(View(about.FOLLOW, partial(follow, services)))
    return routes


def follow(services: Services, collection: str) -> Response:
    """The changes of a collection from now, or from the last event read, until somebody leaves."""
    check_collection(collection)
    refuse_conditions()
    media_type = best_accepted(_OFFERS)
    if media_type is None:
        raise NotAcceptable(f"Changes are {MEDIA_TYPE}, of documents in one mode or another.")
    asked = _read(collection, _OFFERS[media_type])
    # A proxy may hold back what it has not been told to pass on at once.
    unheld = ("X-Accel-Buffering", "no")
    headers = (("Content-Type", media_type), NO_STORE, VARY, unheld)
    if request.method == "HEAD":
        return Response(headers=headers)
    context = current_context()

    def say(problem: Problem) -> bytes:
        return problem_reply(problem, context).body.rstrip(b"\n")

    feed = services.hub.follow(asked, say, partial(services.entrance.refusal, context.caller))
    slot: Slot[Feed] | None = request.environ.get(FEED)
    if slot is None:
        response = Response(_drive(feed, services.settings.feed_heartbeat), headers=headers)
        response.call_on_close(feed.close)  # a generator that was never begun has no end
        return response
    slot.taken = feed
    return Response(headers=headers)


def _read(collection: str, spelling: Spelling) -> Asked:
    asked = read_parameters(parse_query(request.query_string), about.NAMES)
    where = None if asked.filter.is_empty else beneath("fullDocument", asked.filter)
    # A browser that comes back sends the header, and the same address as at first.
    last_id = request.headers.get("Last-Event-ID") or asked.after
    return Asked(collection, where, Shape(spelling, asked.fields), last_id)


def _drive(feed: Feed, heartbeat: float) -> Iterator[bytes]:
    """What a feed says, under a server that gives each answer a thread."""
    bell = threading.Event()
    feed.listen(bell.set)
    while (text := feed.take()) is not None:
        if not text and feed.is_behind:
            text = feed.catch_up()
            if not text and feed.is_behind:
                bell.wait(CATCH_UP_PAUSE)
        elif not text and not bell.wait(heartbeat):
            text = feed.beat()
        bell.clear()
        if text:
            yield text
