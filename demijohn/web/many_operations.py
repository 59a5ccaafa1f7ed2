"""What the routes of filter-wide writes say of themselves."""

from __future__ import annotations

from demijohn.errors import (
    DuplicateKey,
    IdempotencyUnsupported,
    InvalidDocument,
    InvalidPatch,
    OutcomeUnknown,
    PreconditionRequired,
    WriteConflict,
)
from demijohn.formats import media_types
from demijohn.query.parameters import ALL
from demijohn.web.document_operations import COLLECTION
from demijohn.web.lists_operations import ASKING, FILTER_PARAMETER
from demijohn.web.openapi.headers import NO_STORE
from demijohn.web.openapi.operation import WRITES, Answer, Body, Operation, Parameter, Schema
from demijohn.web.openapi.vocabulary import closed, ref

_ALL = Parameter(
    ALL, "query", "`true` where every document is meant, and so no filter.", {"type": "boolean"}
)
_COUNT: Schema = {"type": "integer", "minimum": 0}
_HALF_WAY = (
    "The database takes one document after the other: what ends half-way has changed those before "
    "(`partial`, `outcome-unknown`)."
)

UPDATE = Operation(
    id="updateDocuments",
    access=WRITES,
    tag="documents",
    summary="Change every document that a filter meets",
    description=f"By MongoDB's update operators. {_HALF_WAY}",
    parameters=(COLLECTION, FILTER_PARAMETER, _ALL),
    body=Body("The operators, values in Extended JSON.", {media_types.UPDATE: ref("Update")}),
    answers=(
        Answer(
            200,
            "How many documents the filter met, and how many of them are changed.",
            {media_types.PLAIN: closed(matched=_COUNT, modified=_COUNT)},
            (NO_STORE,),
        ),
    ),
    problems=(
        *ASKING,
        DuplicateKey,
        IdempotencyUnsupported,
        InvalidDocument,
        InvalidPatch,
        OutcomeUnknown,
        PreconditionRequired,
        WriteConflict,
    ),
)
DELETE = Operation(
    id="deleteDocuments",
    access=WRITES,
    tag="documents",
    summary="Delete every document that a filter meets",
    description=_HALF_WAY,
    parameters=(COLLECTION, FILTER_PARAMETER, _ALL),
    answers=(
        Answer(
            200,
            "How many there were.",
            {media_types.PLAIN: closed(deleted=_COUNT)},
            (NO_STORE,),
        ),
    ),
    problems=(
        *ASKING,
        IdempotencyUnsupported,
        OutcomeUnknown,
        PreconditionRequired,
        WriteConflict,
    ),
)
