"""What a request's headers ask for: spelling, conditions, key, preference; each as a value."""

from __future__ import annotations

from flask import request
from werkzeug.http import parse_list_header

from demijohn.documents.records import Key, make_key
from demijohn.documents.versions import Condition, parse_tags
from demijohn.edge.idempotency import key_in
from demijohn.edge.tellers import Asked
from demijohn.errors import BadParameter, IdempotencyUnsupported, NotAcceptable
from demijohn.formats import media_types
from demijohn.formats.spelling import Spelling
from demijohn.web.requests import best_accepted, check_collection, refuse_parameters
from demijohn.web.services import current_context

_OFFERS = {
    media_types.PLAIN: Spelling.PLAIN,
    media_types.EXTENDED: Spelling.RELAXED,
    **{spelling.media_type: spelling for spelling in Spelling},
}
_PREFERENCES = ("minimal", "representation")


def read_asked(*, has_body: bool = True) -> Asked:
    """What the headers say of this request, whose answer has a body or never has.

    Raises NotAcceptable, BadParameter.
    """
    condition = Condition(
        parse_tags("If-Match", request.headers.get("If-Match")),
        parse_tags("If-None-Match", request.headers.get("If-None-Match")),
    )
    return Asked(_accepted(has_body=has_body), condition, _preference())


def refuse_conditions() -> None:
    """Raise BadParameter for a condition where there is nothing that has a version."""
    for name in ("If-Match", "If-None-Match"):
        if name in request.headers:
            raise BadParameter(f"{name} is for one document; a collection has no version.")


def check_bare(collection: str) -> None:
    """Raise BadParameter where a request to a collection has a wrong name, or asks for more.

    It has no parameters and no conditions.
    """
    check_collection(collection)
    refuse_parameters()
    refuse_conditions()


def refuse_key(reason: str) -> None:
    """Raise IdempotencyUnsupported for a key where it cannot be honoured, and why."""
    if "Idempotency-Key" in request.headers:
        raise IdempotencyUnsupported(reason)


def read_key(body: bytes) -> Key | None:
    """The request's Idempotency-Key, None without one. Raises BadParameter.

    What makes a request the same is its method, address, media type and body (the IETF draft
    "The Idempotency-Key HTTP Header Field" calls it the fingerprint).
    """
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    found = key_in(text)
    if found is None:
        raise BadParameter(
            "Idempotency-Key is not 1 to 255 visible ASCII characters without a comma or a quote."
        )
    parts = (request.method, request.path, request.query_string, request.mimetype)
    made_of = tuple(each if isinstance(each, bytes) else each.encode() for each in parts)
    return make_key(current_context().caller.id, found, (*made_of, body))


def _accepted(*, has_body: bool) -> Spelling:
    best = best_accepted(_OFFERS)
    if best is None:
        if not has_body:
            return Spelling.PLAIN  # of the tag alone
        raise NotAcceptable(
            f"A document is {media_types.PLAIN} or {media_types.EXTENDED} (mode=canonical)."
        )
    return _OFFERS[best]


def _preference() -> str | None:
    """What the client prefers to have returned (RFC 7240, 4.2): the first wish counts (2)."""
    for wish in parse_list_header(",".join(request.headers.getlist("Prefer"))):
        name, _, value = wish.partition(";")[0].partition("=")
        if name.strip().lower() == "return":
            asked = value.strip().strip('"')
            return asked if asked in _PREFERENCES else None
    return None
