"""What the routes of lists say of themselves."""

from __future__ import annotations

from demijohn.errors import (
    BadCursor,
    ForbiddenOperator,
    InvalidFilter,
    MalformedJson,
    Problem,
    Unsortable,
)
from demijohn.formats import media_types
from demijohn.query.parameters import AFTER, COUNT, FIELDS, FILTER, LIMIT, MOST_LIMIT, SORT
from demijohn.query.parameters import LIST as NAMES
from demijohn.web.document_operations import COLLECTION
from demijohn.web.openapi.headers import LINK, PRIVATE, VARY
from demijohn.web.openapi.operation import READS, Answer, Body, Operation, Parameter
from demijohn.web.openapi.problems import READING
from demijohn.web.openapi.vocabulary import FIELD_LISTS, SORTS, ref

OF_DATA = NAMES - {COUNT}
"""What `GET /data` takes: its array has no room for a count."""
ASKING: tuple[type[Problem], ...] = (
    *READING,
    ForbiddenOperator,
    InvalidFilter,
    MalformedJson,
)
"""What may happen wherever there is a filter."""
LISTING = (*ASKING, BadCursor, Unsortable)
FILTER_PARAMETER = Parameter(
    FILTER,
    "query",
    (
        "A MongoDB filter in JSON; values in Extended JSON. Beside it any other parameter is a "
        "filter: `status=open`, `age[gte]=21`, `tag[in]=a,b`, `name[regex]=^A`, "
        "`deleted[exists]=false`; all of them have to be met."
    ),
    {"type": "string", "contentMediaType": "application/json", "examples": ['{"age":{"$gte":21}}']},
)
_SORT = Parameter(
    SORT,
    "query",
    "Paths to sort by, with commas between them; one with `-` before it is descending.",
    {"type": "string", "pattern": SORTS, "examples": ["-age,name"]},
)
FIELDS_PARAMETER = Parameter(
    FIELDS,
    "query",
    "Paths to show, or, each with `-` before it, to leave out. `_id` is shown unless left out.",
    {"type": "string", "pattern": FIELD_LISTS, "examples": ["name,age"]},
)
_LIMIT = Parameter(
    LIMIT,
    "query",
    "The most documents of a page, 100 where nothing is said; of a stream, all.",
    {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT},
)
_AFTER = Parameter(
    AFTER,
    "query",
    "The cursor of the page before: opaque, and good for the same filter and sort alone.",
    {"type": "string"},
)
_COUNT = Parameter(
    COUNT,
    "query",
    "Adds how many documents there are: `exact` looks, `estimated` (of a whole collection) asks "
    "its statistics.",
    {"enum": ["exact", "estimated"]},
)
_OF_LISTS = (FILTER_PARAMETER, _SORT, FIELDS_PARAMETER, _LIMIT, _AFTER)
_PAGES = {
    media_types.PLAIN: ref("Page"),
    media_types.EXTENDED: ref("Page"),
    media_types.NDJSON: {"type": "string"},
}
LIST = Operation(
    id="listDocuments",
    access=READS,
    tag="documents",
    summary="Many documents",
    description=(
        "A page of the documents that a filter meets. Whatever is there throughout is on exactly "
        "one page, while others insert and delete. As `application/x-ndjson` the whole result "
        "streams, a document a line; a stream that breaks off is cut at the connection."
    ),
    parameters=(COLLECTION, *_OF_LISTS, _COUNT),
    answers=(Answer(200, "The documents, and where it goes on.", _PAGES, (VARY, PRIVATE, LINK)),),
    problems=LISTING,
)
SEARCH = Operation(
    id="searchDocuments",
    access=READS,
    tag="documents",
    summary="Many documents, by a body",
    description=(
        "As the list, for filters too long or too private for a URL. For the next page the same "
        "body is sent with `after`."
    ),
    parameters=(COLLECTION,),
    body=Body(
        "The parameters of a list.",
        {media_types.PLAIN: ref("Search"), media_types.EXTENDED: ref("Search")},
    ),
    answers=(Answer(200, "The documents, and where it goes on.", _PAGES, (VARY, PRIVATE)),),
    problems=LISTING,
)
DATA_PARAMETERS = _OF_LISTS
