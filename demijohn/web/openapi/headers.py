"""Headers of requests and answers that the description names."""

from __future__ import annotations

from dataclasses import replace

from demijohn.web.openapi.operation import Header

REQUEST_ID = Header(
    "X-Request-Id",
    "The request's id: the caller's `X-Request-Id`, if it is sane, or a new one.",
    {"type": "string", "minLength": 1, "maxLength": 128},
)
TRACE_RESPONSE = Header(
    "traceresponse",
    "The request's place in its trace (W3C Trace Context).",
    {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
)
NO_SNIFFING = Header(
    "X-Content-Type-Options", "The media type is to be believed.", {"const": "nosniff"}
)
COMMON = (REQUEST_ID, TRACE_RESPONSE, NO_SNIFFING)
"""What every answer has."""

NO_STORE = Header("Cache-Control", "Not to be kept by any cache.", {"const": "no-store"})
CACHED_ANEW = Header("Cache-Control", "To be asked for anew each time.", {"const": "no-cache"})
CACHED = Header("Cache-Control", "Good for an hour.", {"const": "max-age=3600"})
NO_SCRIPTS = Header(
    "Content-Security-Policy",
    "The page loads and runs nothing.",
    {"type": "string", "pattern": "^default-src 'none'"},
)
RETRY_AFTER = Header(
    "Retry-After", "Seconds to wait before another try.", {"type": "integer", "minimum": 1}
)
ALLOW = Header("Allow", "The methods that the address has.", {"type": "string", "minLength": 3})
CHALLENGE = Header(
    "WWW-Authenticate",
    "How to show a key (RFC 6750).",
    {"type": "string", "pattern": '^Bearer realm="demijohn"'},
)
ACCEPT_ENCODING = Header(
    "Accept-Encoding",
    "What a body may be encoded with, where that was the trouble.",
    {"const": "identity"},
)
ETAG = Header("ETag", "A strong entity tag.", {"type": "string", "pattern": '^"[0-9a-f]{32}"$'})
ACCEPT = Header(
    "Accept",
    "Which media types a body may have (RFC 9110, section 15.5.16).",
    {"type": "string", "minLength": 1},
)
VERSION = Header(
    "ETag",
    (
        "The document's version: a digest of its stored bytes, and a letter for the spelling. "
        "Conditions compare the digest alone."
    ),
    {"type": "string", "pattern": r'^"[A-Za-z0-9_-]{32}\.[prc]"$'},
)
VARY = Header("Vary", "The spelling is chosen by `Accept`.", {"const": "Accept"})
PRIVATE = Header(
    "Cache-Control",
    "For the client's own cache alone, and to be asked for anew each time.",
    {"const": "private, no-cache"},
)
APPLIED = Header(
    "Preference-Applied",
    "What was done of the request's `Prefer` (RFC 7240).",
    {"enum": ["return=minimal", "return=representation"]},
    is_required=False,
)
REPLAYED = Header(
    "Idempotency-Replayed",
    "This is the answer that the first request with the same `Idempotency-Key` got.",
    {"const": "true"},
    is_required=False,
)
LOCATION = Header(
    "Location",
    "The path of the document that was written, its id percent-encoded.",
    {"type": "string", "pattern": r"^/v1/collections/[A-Za-z0-9_.-]+/documents/[^/?#]+$"},
)
LINK = Header(
    "Link",
    "The next page, where there is one (RFC 8288).",
    {"type": "string", "pattern": '^<[^<>]+>; rel="next"$'},
    is_required=False,
)


def optional(header: Header) -> Header:
    """The same header, where it comes with some of the answers only."""
    return replace(header, is_required=False)
