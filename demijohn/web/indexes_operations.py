"""What the routes of indexes say of themselves."""

from __future__ import annotations

from demijohn.documents.indexes import LONGEST_NAME
from demijohn.errors import (
    DuplicateKey,
    ForbiddenOperator,
    IdempotencyUnsupported,
    IndexConflict,
    InvalidFilter,
    InvalidIndex,
    MalformedJson,
    NotFound,
    OutcomeUnknown,
)
from demijohn.formats import media_types
from demijohn.web.document_operations import COLLECTION
from demijohn.web.openapi.headers import NO_STORE
from demijohn.web.openapi.operation import (
    LOOKS,
    MANAGES,
    Answer,
    Body,
    Header,
    Link,
    Operation,
    Parameter,
)
from demijohn.web.openapi.problems import READING
from demijohn.web.openapi.vocabulary import closed, ref

INDEX = Parameter(
    "index",
    "path",
    "The index's name: the rest of the path, percent-encoded or not.",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_NAME,
        "pattern": r"^(?!\.{1,2}$)",
        "examples": ["_id_"],
    },
)
_LOCATION = Header(
    "Location",
    "The path of the index, its name percent-encoded.",
    {"type": "string", "pattern": r"^/v1/collections/[A-Za-z0-9_.-]+/indexes/[^/?#]+$"},
)
_ONE = {media_types.PLAIN: ref("Index")}

_ITSELF = {"collection": "$request.path.collection", "index": "$response.body#/name"}
_LINKS = (Link("readIndex", "Read it.", _ITSELF), Link("dropIndex", "Drop it.", _ITSELF))

LIST = Operation(
    id="listIndexes",
    access=LOOKS,
    tag="collections",
    summary="The indexes of a collection",
    description="None where there is no such collection.",
    parameters=(COLLECTION,),
    answers=(
        Answer(
            200,
            "The indexes.",
            {media_types.PLAIN: closed(indexes={"type": "array", "items": ref("Index")})},
            (NO_STORE,),
        ),
    ),
    problems=READING,
)
CREATE = Operation(
    id="createIndex",
    access=MANAGES,
    tag="collections",
    summary="Make an index",
    description=(
        "Makes the collection too, where there is none. Where the same index is there already "
        "nothing is done. What takes longer than a request may goes on in the database "
        "(`outcome-unknown`): the same request, sent again, is answered once it is there."
    ),
    parameters=(COLLECTION,),
    body=Body("The index.", {media_types.PLAIN: ref("NewIndex")}),
    answers=(
        Answer(200, "The same index was there already.", _ONE, (_LOCATION, NO_STORE)),
        Answer(201, "It is made.", _ONE, (_LOCATION, NO_STORE), _LINKS),
    ),
    problems=(
        *READING,
        DuplicateKey,
        ForbiddenOperator,
        IdempotencyUnsupported,
        IndexConflict,
        InvalidFilter,
        InvalidIndex,
        MalformedJson,
        OutcomeUnknown,
    ),
)
READ = Operation(
    id="readIndex",
    access=LOOKS,
    tag="collections",
    summary="One index",
    description="As the list of them has it.",
    parameters=(COLLECTION, INDEX),
    answers=(Answer(200, "The index.", _ONE, (NO_STORE,)),),
    problems=(*READING, NotFound),
)
DROP = Operation(
    id="dropIndex",
    access=MANAGES,
    tag="collections",
    summary="Drop an index",
    description="The index `_id_` stays as long as its collection.",
    parameters=(COLLECTION, INDEX),
    answers=(Answer(204, "It is gone."),),
    problems=(*READING, IdempotencyUnsupported, InvalidIndex, NotFound, OutcomeUnknown),
)
