"""Server-sent events: text of `text/event-stream` (WHATWG HTML, "Server-sent events").

What a client has read as `id` it sends as `Last-Event-ID` when it comes back. A block of an `id`
without data is no event, but is remembered too.
"""

from __future__ import annotations

MEDIA_TYPE = "text/event-stream"


def event(name: str, data: bytes, token: str | None = None) -> bytes:
    """One event. `data` is one line, as JSON without line breaks is."""
    head = b"" if token is None else b"id: %s\n" % token.encode()
    return b"%sevent: %s\ndata: %s\n\n" % (head, name.encode(), data)


def note(text: str, token: str | None = None) -> bytes:
    """A comment, which clients pass over; with it the position, where there is one."""
    head = b"" if token is None else b"id: %s\n" % token.encode()
    return b": %s\n%s\n" % (text.encode(), head)


def retry(milliseconds: int) -> bytes:
    """How long the client is to wait before it comes back."""
    return b"retry: %d\n\n" % milliseconds
