"""What the routes of single documents say of themselves."""

from __future__ import annotations

from demijohn.errors import (
    ForbiddenOperator,
    IdempotencyUnsupported,
    InvalidPatch,
    NeedsReplicaSet,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
)
from demijohn.formats import media_types
from demijohn.web.openapi.headers import (
    APPLIED,
    LOCATION,
    NO_STORE,
    PRIVATE,
    REPLAYED,
    VARY,
    VERSION,
    optional,
)
from demijohn.web.openapi.operation import (
    READS,
    WRITES,
    Answer,
    Body,
    Link,
    Operation,
    Parameter,
    Schema,
)
from demijohn.web.openapi.problems import READING, STORING, WRITING
from demijohn.web.openapi.vocabulary import EXTENDED_DOCUMENT, PLAIN_DOCUMENT, ref

_TAG = r'(W/)?"[\x21\x23-\x7e]*"'
_TAGS: Schema = {"anyOf": [{"const": "*"}, {"type": "string", "pattern": rf"^{_TAG}(, ?{_TAG})*$"}]}
_KEY = r"[!#-+\--~]{1,255}"

COLLECTION = Parameter(
    "collection",
    "path",
    (
        "The collection's name: 1 to 120 letters, digits, `_`, `-` and single dots. Names that "
        "start with `_` or `system.` are not reachable."
    ),
    {
        "type": "string",
        "pattern": r"^(?!system\.)[A-Za-z0-9-][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$",
        "maxLength": 120,
    },
)
ID = Parameter(
    "id",
    "path",
    (
        "The document's `_id`: 24 hex digits are an ObjectId; what starts with `{` or `\"` is a "
        "value in MongoDB Extended JSON (so the *string* of 24 hex digits is in quotes); anything "
        "else is a string. It is the rest of the path, slashes too, percent-encoded or not; `.` "
        "and `..` and the empty string need the quotes."
    ),
    {
        "type": "string",
        "pattern": (
            r"^(?!\.{1,2}$)"
            r'([^{"][\s\S]*|"[^"\\\x00-\x1f]*"|\{"\$numberInt":"-?[1-9][0-9]{0,8}"\})$'
        ),
    },
)
IF_MATCH = Parameter(
    "If-Match",
    "header",
    (
        "Only if the document's version is one of these, or, with `*`, if there is a document. "
        "Of all requests with one tag exactly one changes the document; the others get 412."
    ),
    _TAGS,
)
IF_NONE_MATCH = Parameter(
    "If-None-Match",
    "header",
    "Only if the version is none of these, or, with `*`, if there is no document.",
    _TAGS,
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    (
        "A key of the client's own, new for each new request. However often the same request is "
        "sent with it within a day, it has one effect, and each gets the first answer."
    ),
    {"type": "string", "pattern": f'^("{_KEY}"|{_KEY})$'},
)
PREFER = Parameter(
    "Prefer",
    "header",
    "`return=minimal` asks for an answer without the document, `return=representation` for it.",
    {"type": "string", "examples": ["return=minimal"]},
)

_WRITE = (IDEMPOTENCY_KEY, PREFER)
_CONDITIONS = (IF_MATCH, IF_NONE_MATCH)
_STORED = (VERSION, VARY, PRIVATE, REPLAYED, APPLIED)
_SPELLINGS = {media_types.PLAIN: ref("Document"), media_types.EXTENDED: ref("Document")}
_DRAFTS = {media_types.PLAIN: PLAIN_DOCUMENT, media_types.EXTENDED: EXTENDED_DOCUMENT}
_OPERATIONS = {
    "readDocument": "Read it.",
    "putDocument": "Replace it.",
    "patchDocument": "Change a part of it.",
    "deleteDocument": "Delete it.",
}


def _links(document_id: str) -> tuple[Link, ...]:
    parameters = {"collection": "$request.path.collection", "id": document_id}
    return tuple(Link(name, words, parameters) for name, words in _OPERATIONS.items())


_ITSELF = _links("$request.path.id")
_BY_ITS_ID = _links("$response.body#/_id")
"""Right for an ObjectId and for a string that stands for itself; `Location` is right for all."""

_REPORT = {media_types.PLAIN: ref("Inserted"), media_types.EXTENDED: ref("Inserted")}
_ONE_OR_MANY: dict[str, Schema] = {
    kind: {"anyOf": [one, {"type": "array", "items": one}]} for kind, one in _DRAFTS.items()
}
CREATE = Operation(
    id="createDocument",
    access=WRITES,
    tag="documents",
    summary="Keep one document, or many",
    description=(
        "Inserts one object, each of an array, or each of an upload of NDJSON. It has been written "
        "to the journals of a majority of the database's members when the answer comes, as after "
        "every write. Of many, each is tried: one that is refused stops no other. An upload may be "
        "of any length, and is answered while it is sent; it takes no `Idempotency-Key`."
    ),
    parameters=(COLLECTION, *_WRITE),
    body=Body(
        "The document or the documents.",
        {**_ONE_OR_MANY, media_types.NDJSON: ref("NdjsonDocuments")},
    ),
    answers=(
        Answer(
            200,
            "The upload is being read, whatever becomes of it; the last line tells.",
            {media_types.NDJSON: ref("NdjsonOutcome")},
        ),
        Answer(
            201,
            (
                "It is kept; `Location` says where. Or every document of the array is. Empty with "
                "`Prefer: return=minimal`."
            ),
            {kind: {"anyOf": [ref("Inserted"), one]} for kind, one in _SPELLINGS.items()},
            (*map(optional, (LOCATION, VERSION)), VARY, PRIVATE, REPLAYED, APPLIED),
            _BY_ITS_ID,
        ),
        Answer(207, "Some of the array's are kept.", _REPORT, (VARY, NO_STORE, REPLAYED)),
        Answer(409, "All of the array's are there already.", _REPORT, (VARY, NO_STORE, REPLAYED)),
        Answer(422, "None of the array's can be kept.", _REPORT, (VARY, NO_STORE, REPLAYED)),
    ),
    problems=(*STORING, IdempotencyUnsupported, NeedsReplicaSet),
)
READ = Operation(
    id="readDocument",
    access=READS,
    tag="documents",
    summary="One document",
    description=(
        f"`Accept` chooses the spelling: `{media_types.PLAIN}`, or `{media_types.EXTENDED}` for "
        "MongoDB Extended JSON, relaxed, or canonical with `; mode=canonical`."
    ),
    parameters=(COLLECTION, ID, *_CONDITIONS),
    answers=(
        Answer(200, "The document.", _SPELLINGS, (VERSION, VARY, PRIVATE)),
        Answer(304, "It is the one that the client has.", headers=(VERSION, VARY, PRIVATE)),
    ),
    problems=(*READING, NotFound, PreconditionFailed),
)
PUT = Operation(
    id="putDocument",
    access=WRITES,
    tag="documents",
    summary="Replace a document, or create it with this id",
    description=(
        "The body's `_id` may be absent; one that differs from the URL's in plain spelling is 422."
    ),
    parameters=(COLLECTION, ID, *_CONDITIONS, *_WRITE),
    body=Body("The whole document.", _DRAFTS),
    answers=(
        Answer(200, "It is replaced.", _SPELLINGS, _STORED, _ITSELF),
        Answer(
            201,
            "It is created. Empty with `Prefer: return=minimal`.",
            _SPELLINGS,
            (LOCATION, *_STORED),
            _ITSELF,
        ),
        Answer(204, "It is replaced, with `Prefer: return=minimal`.", headers=_STORED),
    ),
    problems=(*STORING, NeedsReplicaSet, PreconditionFailed, PreconditionRequired),
)
PATCH = Operation(
    id="patchDocument",
    access=WRITES,
    tag="documents",
    summary="Change a part of a document",
    description=(
        "The media type says what the body is: a merge patch (RFC 7396), in plain or in Extended "
        "JSON; a JSON Patch (RFC 6902); or MongoDB's update operators, with values in Extended "
        "JSON. A patch is applied whole or not at all, and cannot change the id."
    ),
    parameters=(COLLECTION, ID, *_CONDITIONS, *_WRITE),
    body=Body(
        "The patch.",
        {
            media_types.MERGE_PATCH: PLAIN_DOCUMENT,
            media_types.PLAIN: PLAIN_DOCUMENT,
            media_types.EXTENDED: EXTENDED_DOCUMENT,
            media_types.JSON_PATCH: ref("JsonPatch"),
            media_types.UPDATE: ref("Update"),
        },
    ),
    answers=(
        Answer(200, "It is changed, and now like this.", _SPELLINGS, _STORED, _ITSELF),
        Answer(204, "It is changed, with `Prefer: return=minimal`.", headers=_STORED),
    ),
    problems=(
        *STORING,
        ForbiddenOperator,
        InvalidPatch,
        NeedsReplicaSet,
        NotFound,
        PreconditionFailed,
        PreconditionRequired,
    ),
)
DELETE = Operation(
    id="deleteDocument",
    access=WRITES,
    tag="documents",
    summary="Delete a document",
    description="A second time it is 404; with the same `Idempotency-Key` it is 204 again.",
    parameters=(COLLECTION, ID, *_CONDITIONS, IDEMPOTENCY_KEY),
    answers=(Answer(204, "It is deleted.", headers=(REPLAYED,)),),
    problems=(*WRITING, NeedsReplicaSet, NotFound, PreconditionFailed, PreconditionRequired),
)
