"""What the route of live changes says of itself."""

from __future__ import annotations

from demijohn.errors import BadCursor, NeedsReplicaSet
from demijohn.formats.event_stream import MEDIA_TYPE
from demijohn.query.parameters import AFTER, FIELDS, FILTER
from demijohn.web.document_operations import COLLECTION
from demijohn.web.lists_operations import ASKING, FIELDS_PARAMETER, FILTER_PARAMETER
from demijohn.web.openapi.headers import NO_STORE, VARY
from demijohn.web.openapi.operation import LOOKS, Answer, Header, Operation, Parameter, Schema

NAMES = (FILTER, FIELDS, AFTER)
RELAXED, CANONICAL = f"{MEDIA_TYPE}; mode=relaxed", f"{MEDIA_TYPE}; mode=canonical"
_EVENTS: Schema = {"type": "string", "examples": ["id: AXw\nevent: ready\ndata: {}\n\n"]}
_ID: Schema = {"type": "string", "maxLength": 8192}

FOLLOW = Operation(
    id="followChanges",
    access=LOOKS,
    tag="documents",
    summary="Live changes",
    description=(
        "Server-sent events, one for each change, in the order in which they happened: `insert`, "
        "`update`, `replace`, `delete` and `drop`, with `data` "
        '`{"operation", "id", "document"}`. The first is `ready`: all that happens from there on '
        "is told. Whoever comes back with the last `id` misses nothing and gets nothing twice. "
        "`error`, `overflow` and `shutdown` tell of a problem and are the last."
    ),
    parameters=(
        COLLECTION,
        FILTER_PARAMETER,
        FIELDS_PARAMETER,
        Parameter(AFTER, "query", "As `Last-Event-ID`, which counts where both are sent.", _ID),
        Parameter(
            "Last-Event-ID",
            "header",
            "The `id` of the last event read: the stream goes on after it.",
            _ID,
        ),
    ),
    answers=(
        Answer(
            200,
            "The stream, which has no end of its own.",
            {MEDIA_TYPE: _EVENTS, RELAXED: _EVENTS, CANONICAL: _EVENTS},
            (
                NO_STORE,
                VARY,
                Header("X-Accel-Buffering", "For proxies: pass each on at once.", {"const": "no"}),
            ),
        ),
    ),
    problems=(*ASKING, BadCursor, NeedsReplicaSet),
)
