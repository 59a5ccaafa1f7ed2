"""What the routes of aggregation say of themselves."""

from __future__ import annotations

from demijohn.errors import ForbiddenOperator, InvalidPipeline, MalformedJson
from demijohn.formats import media_types
from demijohn.query.paths import LONGEST
from demijohn.query.pipeline import MOST_STAGES, STAGES
from demijohn.web.document_operations import COLLECTION
from demijohn.web.lists_operations import ASKING, FILTER_PARAMETER
from demijohn.web.openapi.headers import PRIVATE, VARY
from demijohn.web.openapi.operation import READS, Answer, Body, Operation, Parameter, Schema
from demijohn.web.openapi.problems import READING
from demijohn.web.openapi.vocabulary import closed, ref

_PATH = Parameter(
    "path",
    "path",
    "The path of a field, such as `address.city`.",
    {
        "type": "string",
        "pattern": r"^(?!\.{1,2}$)[^.$\x00][^.\x00]*(\.[^.$\x00][^.\x00]*)*$",
        "maxLength": LONGEST,
    },
)
_STAGE: Schema = {
    "type": "object",
    "description": "A stage that reads, as MongoDB takes it.",
    "propertyNames": {"enum": sorted(STAGES)},
    "minProperties": 1,
    "maxProperties": 1,
    "examples": [{"$match": {"age": {"$gte": 21}}}],
}
_PIPELINE: Schema = {
    **closed(pipeline={"type": "array", "items": _STAGE, "maxItems": MOST_STAGES}),
    "examples": [{"pipeline": [{"$group": {"_id": "$city", "people": {"$sum": 1}}}]}],
}
_MADE: Schema = closed(documents={"type": "array", "items": ref("Document")})
_VALUES: Schema = closed(values={"type": "array"})

AGGREGATE = Operation(
    id="aggregate",
    access=READS,
    tag="collections",
    summary="What a pipeline makes of a collection",
    description=(
        "MongoDB's aggregation, by stages that read. It streams, and all of it has to be made by "
        "the deadline: past that it is `deadline-exceeded`, or an answer that is cut at the "
        "connection."
    ),
    parameters=(COLLECTION,),
    body=Body(
        "The pipeline, values in Extended JSON.",
        {media_types.PLAIN: _PIPELINE, media_types.EXTENDED: _PIPELINE},
    ),
    answers=(
        Answer(
            200,
            "What the last stage lets through.",
            {
                media_types.PLAIN: _MADE,
                media_types.EXTENDED: _MADE,
                media_types.NDJSON: {"type": "string"},
            },
            (VARY, PRIVATE),
        ),
    ),
    problems=(*READING, ForbiddenOperator, InvalidPipeline, MalformedJson),
)
DISTINCT = Operation(
    id="distinctValues",
    access=READS,
    tag="collections",
    summary="The different values at a path",
    description="Of an array each element by itself. Together they are 16 MiB at most.",
    parameters=(COLLECTION, _PATH, FILTER_PARAMETER),
    answers=(
        Answer(
            200,
            "The values, in no order.",
            {media_types.PLAIN: _VALUES, media_types.EXTENDED: _VALUES},
            (VARY, PRIVATE),
        ),
    ),
    problems=ASKING,
)
