"""Reading a request: what it sends, what it accepts, what it must not ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flask import request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.http import parse_accept_header

from demijohn.errors import (
    BadParameter,
    IncompleteBody,
    NotAcceptable,
    TooLarge,
    UnsupportedMediaType,
)
from demijohn.query.names import REACHABLE, is_reachable

_CHARSET = re.compile(r';\s*charset="?utf-?8"?', re.IGNORECASE)


def check_collection(name: str) -> None:
    """Raise BadParameter for what is no name of a collection that clients can reach."""
    if not is_reachable(name):
        raise BadParameter(REACHABLE)


def read_body(*media_types: str) -> bytes:
    """The whole body of a request that says it is of one of these kinds of JSON.

    Raises UnsupportedMediaType, TooLarge, IncompleteBody. Under the shell the body has already
    been read, under its own deadline; under another WSGI server it is read here.
    """
    require_media(*media_types)
    try:
        body = request.get_data(cache=False)
        is_longer = request.content_length is None and _goes_on_past(len(body))
    except RequestEntityTooLarge:
        raise TooLarge("The body is larger than this service takes.") from None
    except (ClientDisconnected, OSError):
        raise IncompleteBody("The body ended before it was whole.") from None
    if is_longer:
        raise TooLarge("The body is larger than this service takes.")
    if request.content_length not in (None, len(body)):
        # Some servers say nothing of a client that has left in the middle of its body.
        raise IncompleteBody("The body is shorter than its Content-Length.")
    return body


def _goes_on_past(length: int) -> bool:
    """Whether a chunked body is longer than what was read: Werkzeug stops at the limit quietly."""
    return length == request.max_content_length and bool(request.environ["wsgi.input"].read(1))


def require_media(*media_types: str) -> None:
    """Raise UnsupportedMediaType where the body is of none of these kinds of JSON, or encoded."""
    if request.mimetype not in media_types:
        given = f"not {request.mimetype[:100]}" if request.mimetype else "and says nothing"
        # Accept-Patch (RFC 5789) and Accept-Post say it to programs; this one says it to both.
        raise UnsupportedMediaType(
            f"Content-Type must be {' or '.join(media_types)}, {given}.",
            headers=(("Accept", ", ".join(media_types)),),
        )
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("JSON is read in UTF-8 only (RFC 8259, section 8.1).")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType(
            "Content-Encoding is not read here.", headers=(("Accept-Encoding", "identity"),)
        )


def require_acceptable(media_type: str) -> None:
    """Raise NotAcceptable where the caller's `Accept` excludes the only type there is."""
    if best_accepted((media_type,)) is None:
        raise NotAcceptable(f"This route answers with {media_type} only.")


def best_accepted(offers: Iterable[str]) -> str | None:
    """Which of the media types the caller's `Accept` wants most; the first for no wish at all.

    The character set of JSON is no choice, and many clients name it all the same.
    """
    text = request.headers.get("Accept", "*/*")
    offered = list(offers)
    if text in ("*/*", "", offered[0]):
        return offered[0]
    accepted = parse_accept_header(_CHARSET.sub("", text), MIMEAccept)
    best: str | None = accepted.best_match(offered)
    return best


def refuse_parameters() -> None:
    """Raise BadParameter for any query parameter: passing over a filter would be a lie."""
    if request.query_string:
        names = ", ".join(sorted(set(request.args))) or request.query_string.decode("latin-1")
        raise BadParameter(f"This route takes no query parameters: {names[:200]}")
