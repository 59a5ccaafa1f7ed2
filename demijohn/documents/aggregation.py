"""What the database makes of many documents: pipelines, and the different values at a path."""

from __future__ import annotations

from collections.abc import Iterator

from demijohn.errors import InvalidPipeline, TooLarge
from demijohn.formats.bson_values import encode
from demijohn.formats.extended_in import parse_extended_value
from demijohn.patches.faults import refusal
from demijohn.patches.operands import members
from demijohn.query.faults import told_as
from demijohn.query.filters import Filter
from demijohn.query.paths import check_path
from demijohn.query.pipeline import Pipeline, check_pipeline
from demijohn.settings import LARGEST_DOCUMENT
from demijohn.store.documents import Store

PIPELINE = "pipeline"


def read_pipeline(body: bytes, *, extended: bool) -> Pipeline:
    """The pipeline in `{"pipeline":[…]}`.

    `extended` takes strings of hex digits under `_id` for what they are, as in a filter. Raises
    MalformedJson, InvalidPipeline, ForbiddenOperator.
    """
    with told_as(InvalidPipeline):
        given = members(parse_extended_value(body, operators=True), "An aggregation", ())
        for name in given:
            if name != PIPELINE:
                raise refusal(f"There is {PIPELINE}, and nothing else.", (name,))
        return check_pipeline(given[PIPELINE], (PIPELINE,), extended=extended)


def aggregate(store: Store, collection: str, pipeline: Pipeline) -> Iterator[bytes]:
    """What a pipeline makes of a collection, as batches of BSON.

    All of it under one deadline. Raises InvalidPipeline, DatabaseUnavailable, DeadlineExceeded,
    and so may the iterator.
    """
    return store.reading.aggregate(collection, pipeline.stages)


def distinct(store: Store, collection: str, path: str, where: Filter) -> bytes:
    """The document `{"values":[…]}` of the different values at a path; of an array each by itself.

    Raises BadParameter, TooLarge where they are more than 16 MiB, InvalidFilter,
    DatabaseUnavailable, DeadlineExceeded.
    """
    check_path(path, "path")
    found = encode({"values": store.reading.distinct(collection, path, where.bson)})
    if len(found) > LARGEST_DOCUMENT:  # which the embedded database does not mind
        raise TooLarge("The values together are larger than the database answers with.")
    return found
