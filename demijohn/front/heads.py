"""Request heads, where HTTP has more forms than one (RFC 9112); pure."""

from __future__ import annotations

import httptools

Headers = list[tuple[bytes, bytes]]
BRIEF = 64 * 1024
"""Bytes of a body that is rather read than refused."""


def framing(headers: Headers) -> bytes:
    """The header line that says how a request's body is framed; empty where it has no body."""
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and int(value)):
            return name + b": " + value + b"\r\n"
    return b""


def is_brief(method: bytes, headers: Headers) -> bool:
    """Whether a request is answered in full by a body, and sends a short one, if any, unasked."""
    for name, value in headers:
        if name == b"content-length" and int(value) > BRIEF:
            return False
        if name in (b"transfer-encoding", b"expect"):
            return False
    return method != b"HEAD"


def origin_form(target: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """A request target and its headers as if the target had been `/path?query`.

    Where it is `http://host/path`, that host counts and not the header Host (section 3.2.2).
    Raises what the parser raises for a target that is none.
    """
    url = httptools.parse_url(target)
    if not url.host:
        return target, headers
    host = b"[%b]" % url.host if b":" in url.host else url.host
    port = b":%d" % url.port if url.port else b""
    query = b"?" + url.query if url.query else b""
    others = [each for each in headers if each[0] != b"host"]
    return (url.path or b"/") + query, [*others, (b"host", host + port)]
