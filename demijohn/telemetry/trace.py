"""Request ids and W3C trace context: who asked, and in which trace this request is one span."""

from __future__ import annotations

import random
import re
from typing import NamedTuple

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Trace(NamedTuple):
    """The identity of one request.

    ``parent_id`` is the caller's span, or None where the trace starts here.
    """

    request_id: str
    trace_id: str
    span_id: str
    parent_id: str | None
    flags: str

    @property
    def response(self) -> str:
        """The value of a `traceresponse` header (W3C Trace Context Level 2, section 4)."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def begin(request_id: str | None, traceparent: str | None) -> Trace:
    """Join the caller's trace if `traceparent` is valid (W3C Trace Context), else start one.

    The caller's request id is kept if it is sane: 1 to 128 plain characters that can neither
    break a header nor a log line.
    """
    # Random, not secret; and seeded anew in a process that was forked.
    own = f"{random.getrandbits(192):048x}"
    span_id = own[:16]
    kept = request_id if request_id and _SANE_ID.fullmatch(request_id) else own[16:]
    joined = _parse(traceparent) if traceparent else None
    if joined is None:
        return Trace(kept, own[16:], span_id, None, "00")
    trace_id, parent_id, flags = joined
    return Trace(kept, trace_id, span_id, parent_id, flags)


def _parse(traceparent: str) -> tuple[str, str, str] | None:
    match = _TRACEPARENT.fullmatch(traceparent.strip())
    if match is None:
        return None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest):
        return None
    if trace_id == "0" * 32 or parent_id == "0" * 16:
        return None
    return trace_id, parent_id, flags
