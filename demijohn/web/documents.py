"""`/v1/collections/{collection}/documents`: one document's whole life."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote_to_bytes

from flask import Blueprint, Response, request
from werkzeug.routing import BaseConverter

from demijohn.documents import patch
from demijohn.documents.change import Changed, Plan, Target, change
from demijohn.documents.idempotency import once
from demijohn.documents.ids import id_of
from demijohn.documents.insert import identify, insert_one, inserted
from demijohn.documents.read import read_one
from demijohn.documents.remove import remove_one, removed
from demijohn.documents.replace import put_one, replaced
from demijohn.documents.standalone import insert_once
from demijohn.errors import BadParameter, NeedsReplicaSet
from demijohn.formats.ids import from_segment
from demijohn.formats.spelling import EXTENDED_TYPE, PLAIN_TYPE, Draft, read_draft
from demijohn.web import document_operations as about
from demijohn.web.answers import Teller, keyed, respond
from demijohn.web.negotiation import Asked, read_asked, refuse_conditions
from demijohn.web.openapi.operation import View
from demijohn.web.requests import read_body, refuse_parameters
from demijohn.web.services import Services

DOCUMENTS = "/v1/collections/<collection>/documents"
DOCUMENT = f"{DOCUMENTS}/<any_path:segment>"
NAME = re.compile(r"(?!_|\.|system\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,120}(?<!\.)")
DOCUMENT_TYPES = (PLAIN_TYPE, EXTENDED_TYPE)


class AnyPath(BaseConverter):
    """The rest of the path, whatever it is: slashes may be inside an id."""

    part_isolating = False
    regex = "(?s:.*)"


def blueprint(services: Services) -> Blueprint:
    """The routes of single documents."""
    routes = Blueprint("documents", __name__)
    routes.post(DOCUMENTS, endpoint="create")(View(about.CREATE, partial(create, services)))
    routes.get(DOCUMENT, endpoint="read")(View(about.READ, partial(read, services)))
    routes.put(DOCUMENT, endpoint="put")(View(about.PUT, partial(put, services)))
    routes.patch(DOCUMENT, endpoint="patch")(View(about.PATCH, partial(patch_document, services)))
    routes.delete(DOCUMENT, endpoint="delete")(View(about.DELETE, partial(delete, services)))
    return routes


def create(services: Services, collection: str) -> Response:
    """Keep one object: 201 and where it is."""
    _check_name(collection)
    refuse_parameters()
    body = read_body(*DOCUMENT_TYPES)
    refuse_conditions()
    asked = read_asked(body)
    draft = read_draft(body, extended=request.mimetype == EXTENDED_TYPE)
    return insert(services, Teller(collection, asked, services.room), draft)


def insert(services: Services, teller: Teller, draft: Draft) -> Response:
    """Insert a document, once where the request has a key."""
    document = identify(draft, services.new_id)
    key = teller.asked.key
    if key is None:
        return respond(
            services, teller.tell(insert_one(services.store, teller.collection, document, draft))
        )
    request_ = keyed(services, key, teller)
    if services.store.has_transactions:
        return respond(
            services, once(services.store, request_, inserted(teller.collection, document))
        )
    return respond(
        services, insert_once(services.store, request_, teller.collection, draft, id_of(document))
    )


def read(services: Services, collection: str, segment: str) -> Response:
    """One document, or 304."""
    target = _target(collection, segment)
    refuse_parameters()
    asked = read_asked()
    return respond(
        services, Teller(collection, asked, services.room).read(read_one(services.store, target))
    )


def put(services: Services, collection: str, segment: str) -> Response:
    """Replace a document, or create it under the id in the URL."""
    target = _target(collection, segment)
    refuse_parameters()
    body = read_body(*DOCUMENT_TYPES)
    asked = read_asked(body)
    draft = read_draft(body, extended=request.mimetype == EXTENDED_TYPE)
    plan = replaced(target, draft, asked.condition, asked.spelling)
    return _carry_out(
        services,
        Teller(collection, asked, services.room),
        plan,
        lambda: put_one(services.store, target, draft),
    )


def patch_document(services: Services, collection: str, segment: str) -> Response:
    """Change a part of a document, by a patch of any of the media types."""
    target = _target(collection, segment)
    refuse_parameters()
    body = read_body(*patch.READERS)
    asked = read_asked(body)
    apply = patch.READERS[request.mimetype](body)
    plan = patch.patched(target, apply, asked.condition, asked.spelling, services.room)
    return _carry_out(services, Teller(collection, asked, services.room), plan)


def delete(services: Services, collection: str, segment: str) -> Response:
    """Delete a document."""
    target = _target(collection, segment)
    refuse_parameters()
    asked = read_asked()
    plan = removed(target, asked.condition, asked.spelling)
    return _carry_out(
        services,
        Teller(collection, asked, services.room),
        plan,
        lambda: remove_one(services.store, target),
    )


def _carry_out(
    services: Services, teller: Teller, plan: Plan, at_once: Callable[[], Changed] | None = None
) -> Response:
    """Carry a plan out; `at_once` does the same in one command, where nothing is to be checked."""
    asked: Asked = teller.asked
    if asked.key is not None:
        if not services.store.has_transactions:
            raise NeedsReplicaSet("Here an Idempotency-Key needs transactions, but for inserts.")
        return respond(services, once(services.store, keyed(services, asked.key, teller), plan))
    if at_once is not None and not asked.condition.is_there:
        return respond(services, teller.tell(at_once()))
    return respond(services, teller.tell(change(services.store, plan)))


def _target(collection: str, segment: str) -> Target:
    _check_name(collection)
    try:
        _raw_path().decode()
    except UnicodeDecodeError:
        raise BadParameter("The path is not UTF-8.") from None
    return Target(collection, from_segment(segment))


def _raw_path() -> bytes:
    """The path as it was sent: the server of `flask run` has replaced what is no UTF-8."""
    sent: str | None = request.environ.get("RAW_URI")
    if sent is None:
        return bytes(request.environ["PATH_INFO"], "latin-1")
    return unquote_to_bytes(sent.partition("?")[0])


def _check_name(collection: str) -> None:
    if NAME.fullmatch(collection) is None:
        raise BadParameter(
            "A collection's name is 1 to 120 letters, digits, _, - and single dots; it does not "
            "start with _ or system. and has no dot at either end."
        )
