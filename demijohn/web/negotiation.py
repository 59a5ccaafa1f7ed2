"""What a request's headers ask for: spelling, conditions, key, preference; each as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from demijohn.documents.records import Key, make_key
from demijohn.documents.versions import Condition, parse_tags
from demijohn.errors import BadParameter, NotAcceptable
from demijohn.formats.spelling import EXTENDED_TYPE, PLAIN_TYPE, Spelling

ANONYMOUS = ""
"""The caller, until there are keys to tell callers apart."""
_OFFERS = {
    PLAIN_TYPE: Spelling.PLAIN,
    EXTENDED_TYPE: Spelling.RELAXED,
    f"{EXTENDED_TYPE}; mode=relaxed": Spelling.RELAXED,
    f"{EXTENDED_TYPE}; mode=canonical": Spelling.CANONICAL,
}
_CHARSET = re.compile(r';\s*charset="?utf-?8"?', re.IGNORECASE)
_KEY = re.compile(r'"([\x21\x23-\x2b\x2d-\x7e]{1,255})"|([\x21\x23-\x2b\x2d-\x7e]{1,255})')
_RETURN = re.compile(r'(?:^|[,;])\s*(?i:return)\s*=\s*"?(minimal|representation)"?\s*(?=[,;]|$)')


@dataclass(frozen=True, slots=True)
class Asked:
    """How a request wants to be answered, and under which conditions it is to be carried out."""

    spelling: Spelling
    condition: Condition
    preference: str | None = None
    """`minimal` or `representation`, where the client has said one of them (RFC 7240, 4.2)."""
    key: Key | None = None


def read_asked(body: bytes = b"") -> Asked:
    """What the headers say of this request, whose body is given.

    Raises NotAcceptable, BadParameter.
    """
    condition = Condition(
        parse_tags("If-Match", request.headers.get("If-Match")),
        parse_tags("If-None-Match", request.headers.get("If-None-Match")),
    )
    preference = _RETURN.search(",".join(request.headers.getlist("Prefer")))
    return Asked(
        spelling=_accepted(),
        condition=condition,
        preference=preference[1] if preference else None,
        key=read_key(body),
    )


def refuse_conditions() -> None:
    """Raise BadParameter for a condition where there is nothing that has a version."""
    for name in ("If-Match", "If-None-Match"):
        if name in request.headers:
            raise BadParameter(f"{name} is for one document; a collection has no version.")


def read_key(body: bytes) -> Key | None:
    """The request's Idempotency-Key, None without one. Raises BadParameter.

    What makes a request the same is its method, address, media type and body (the IETF draft
    "The Idempotency-Key HTTP Header Field" calls it the fingerprint).
    """
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    found = _KEY.fullmatch(text.strip())
    if found is None:
        raise BadParameter(
            "Idempotency-Key is not 1 to 255 visible ASCII characters without a comma or a quote."
        )
    parts = (request.method, request.path, request.query_string, request.mimetype)
    made_of = tuple(each if isinstance(each, bytes) else each.encode() for each in parts)
    return make_key(ANONYMOUS, found[1] or found[2], (*made_of, body))


def _accepted() -> Spelling:
    text = request.headers.get("Accept", "*/*")
    if text in ("*/*", ""):
        return Spelling.PLAIN
    accepted = parse_accept_header(_CHARSET.sub("", text), MIMEAccept)
    best = accepted.best_match(_OFFERS)
    if best is None:
        raise NotAcceptable(f"A document is {PLAIN_TYPE} or {EXTENDED_TYPE} (mode=canonical).")
    return _OFFERS[best]
