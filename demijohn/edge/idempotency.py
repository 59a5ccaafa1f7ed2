"""What an Idempotency-Key looks like, and how the answer to a request with one is told."""

from __future__ import annotations

import re

from demijohn.documents.records import Headers, Told
from demijohn.edge.tellers import minimal

_KEY = re.compile(r'"([\x21\x23-\x2b\x2d-\x7e]{1,255})"|([\x21\x23-\x2b\x2d-\x7e]{1,255})')


def key_in(value: str) -> str | None:
    """The key in the value of the header, with quotes (RFC 8941) or without; None for none."""
    found = _KEY.fullmatch(value.strip())
    return None if found is None else found[1] or found[2]


def as_told(answer: Told) -> Told:
    """The answer as it goes out, be it the first one or what was kept of that."""
    if answer.body is None:
        # It was too large to be kept beside its key.
        answer = minimal(answer)
    replayed: Headers = (("Idempotency-Replayed", "true"),) if answer.replayed else ()
    return answer._replace(headers=(*answer.headers, *replayed))
