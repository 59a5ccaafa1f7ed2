"""`/v1/collections/{collection}/documents`: one document's whole life."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import unquote_to_bytes

from flask import Blueprint, Response, request
from werkzeug.routing import BaseConverter

from demijohn.documents import patch, write
from demijohn.documents.change import Changed, Plan, Target, refused
from demijohn.documents.insert import insertion
from demijohn.documents.read import read_one
from demijohn.documents.remove import remove_one, removed
from demijohn.documents.replace import check_put, put_one, replaced
from demijohn.edge.routes import DOCUMENT, DOCUMENTS
from demijohn.edge.tellers import Teller
from demijohn.errors import BadParameter, PreconditionRequired
from demijohn.formats import media_types
from demijohn.formats.ids import from_segment
from demijohn.formats.json_array import is_array
from demijohn.formats.spelling import Draft, read_draft
from demijohn.web import bulk
from demijohn.web import document_operations as about
from demijohn.web.answers import keyed, respond
from demijohn.web.negotiation import check_bare, read_asked, read_key
from demijohn.web.openapi.operation import View
from demijohn.web.requests import check_collection, read_body, refuse_parameters
from demijohn.web.services import Services


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
    """Keep one object, 201 and where it is; or each of an array's, or of NDJSON."""
    check_bare(collection)
    if request.mimetype == media_types.NDJSON:
        return bulk.upload(services, collection)
    body = read_body(*bulk.POSTED)
    if is_array(body):
        return bulk.create_many(services, collection, body)
    return insert(services, _teller(services, collection), body)


def insert(services: Services, teller: Teller, body: bytes) -> Response:
    """Insert the document in a body, once where the request has a key."""
    request_ = keyed(services, read_key(body), teller)
    draft = _read_draft(body)
    check = services.configurations.of(teller.collection).check
    new = insertion(teller.collection, draft, services.new_id, check)
    told = write.insert(services.store, services.keyed_inserts, new, teller.tell, request_)
    return respond(services, told)


def read(services: Services, collection: str, segment: str) -> Response:
    """One document, or 304."""
    target = _target(collection, segment)
    refuse_parameters()
    teller = _teller(services, collection)
    return respond(services, teller.read(read_one(services.store, target)))


def put(services: Services, collection: str, segment: str) -> Response:
    """Replace a document, or create it under the id in the URL."""
    target = _target(collection, segment)
    refuse_parameters()
    body = read_body(*media_types.DOCUMENTS)
    teller = _teller(services, collection)
    draft = _read_draft(body)
    check_put(target, draft)
    check = services.configurations.of(collection).check
    plan = replaced(target, draft, teller.asked.condition, teller.asked.spelling, check)
    at_once = partial(put_one, services.store, target, draft, check)
    return _carry_out(services, teller, body, plan, at_once)


def patch_document(services: Services, collection: str, segment: str) -> Response:
    """Change a part of a document, by a patch of any of the media types."""
    target = _target(collection, segment)
    refuse_parameters()
    body = read_body(*patch.READERS)
    teller = _teller(services, collection)
    edit = patch.READERS[request.mimetype](body)
    configuration = services.configurations.of(collection)
    if request.mimetype == media_types.UPDATE:
        configuration.check_operators(services.store)
    checked = patch.Checked(configuration.check, services.room)
    plan = patch.patched(target, edit, teller.asked.condition, teller.asked.spelling, checked)
    return _carry_out(services, teller, body, plan)


def delete(services: Services, collection: str, segment: str) -> Response:
    """Delete a document."""
    target = _target(collection, segment)
    refuse_parameters()
    teller = Teller(collection, read_asked(has_body=False), services.room)
    plan = removed(target, teller.asked.condition, teller.asked.spelling)
    return _carry_out(services, teller, b"", plan, lambda: remove_one(services.store, target))


def _teller(services: Services, collection: str) -> Teller:
    return Teller(collection, read_asked(), services.room)


def _read_draft(body: bytes) -> Draft:
    return read_draft(body, extended=request.mimetype in media_types.READ_AS_EXTENDED)


def _carry_out(
    services: Services,
    teller: Teller,
    body: bytes,
    plan: Plan,
    at_once: Callable[[], Changed] | None = None,
) -> Response:
    """Carry a plan out; `at_once` does the same where there is no condition and no key."""
    request_ = keyed(services, read_key(body), teller)
    is_given = teller.asked.condition.is_given
    if is_given:
        at_once = None
    try:
        services.configurations.of(teller.collection).check_condition(is_given=is_given)
    except PreconditionRequired as problem:
        if request_ is None:
            raise
        plan = refused(problem)
    return respond(services, write.carry_out(services.store, plan, teller.tell, request_, at_once))


def _target(collection: str, segment: str) -> Target:
    check_collection(collection)
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
