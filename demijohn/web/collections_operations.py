"""What the routes of collections say of themselves."""

from __future__ import annotations

from demijohn.errors import (
    IdempotencyUnsupported,
    InvalidDocument,
    InvalidSchema,
    MalformedJson,
    NotFound,
    OutcomeUnknown,
)
from demijohn.formats import media_types
from demijohn.web.document_operations import COLLECTION
from demijohn.web.openapi.headers import NO_STORE
from demijohn.web.openapi.operation import LOOKS, MANAGES, Access, Answer, Body, Header, Operation
from demijohn.web.openapi.problems import READING
from demijohn.web.openapi.vocabulary import closed, ref

_LOCATION = Header(
    "Location",
    "The path of the collection.",
    {"type": "string", "pattern": r"^/v1/collections/[A-Za-z0-9_.-]+$"},
)
_ONE = {media_types.PLAIN: ref("Collection")}

LIST = Operation(
    id="listCollections",
    access=Access(None),
    tag="collections",
    summary="Every collection",
    description="Names, estimated counts, and whether each has a schema.",
    answers=(
        Answer(
            200,
            "The collections.",
            {
                media_types.PLAIN: closed(
                    collections={
                        "type": "array",
                        "items": closed(
                            name={"type": "string"},
                            count={"type": "integer", "minimum": 0},
                            schema={"type": "boolean"},
                        ),
                    }
                )
            },
            (NO_STORE,),
        ),
    ),
    problems=READING,
)
READ = Operation(
    id="readCollection",
    access=LOOKS,
    tag="collections",
    summary="One collection",
    description="About how many documents it has, how it is configured, and its indexes.",
    parameters=(COLLECTION,),
    answers=(Answer(200, "The collection.", _ONE, (NO_STORE,)),),
    problems=(*READING, NotFound),
)
PUT = Operation(
    id="putCollection",
    access=MANAGES,
    tag="collections",
    summary="Configure a collection",
    description=(
        "Makes it where there is none. What is not said is as for a collection that nobody has "
        "configured. Every process goes by it within two seconds. Where a schema is set, the "
        "documents that are there already are held to it, for some seconds at most, and "
        "`existing` tells which do not fit; they stay."
    ),
    parameters=(COLLECTION,),
    body=Body("The configuration.", {media_types.PLAIN: ref("Configuration")}),
    answers=(
        Answer(200, "It is configured.", _ONE, (NO_STORE,)),
        Answer(201, "It is made and configured.", _ONE, (_LOCATION, NO_STORE)),
    ),
    problems=(
        *READING,
        IdempotencyUnsupported,
        InvalidDocument,
        InvalidSchema,
        MalformedJson,
        OutcomeUnknown,
    ),
)
DROP = Operation(
    id="dropCollection",
    access=MANAGES,
    tag="collections",
    summary="Drop a collection",
    description="With all its documents, its indexes and its configuration.",
    parameters=(COLLECTION,),
    answers=(Answer(204, "It is gone."),),
    problems=(*READING, IdempotencyUnsupported, NotFound, OutcomeUnknown),
)
