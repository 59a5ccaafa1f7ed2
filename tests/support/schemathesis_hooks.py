"""What schemathesis has to know of this service; it imports this by SCHEMATHESIS_HOOKS.

It has every check on. What only looks like a failure is told here, as narrowly as it can be.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure, MalformedJson
from schemathesis.openapi.checks import MissingContentType, RejectedPositiveData

EXTENDED = "application/ejson"
BY_DATA = frozenset({"precondition-failed", "invalid-patch", "invalid-pipeline", "unsortable"})
"""Problems that requests can meet which are fine by themselves: whether a tag is the document's
version, and a patch fits the document, is not in the description; nor is what MongoDB takes in each
stage of a pipeline."""
BEYOND_SCHEMAS = {
    "Documents expire by an index of one path, which is not _id.",
    "Every collection has an index of _id.",
    "The database does not make or drop such an index.",
    "The database does not take the document.",
    "The index of _id stays as long as its collection.",
    "The path is named twice.",
    "fields: those to show and those to leave out (-) do not mix.",
    "Without a filter it is every document: say all=true if that is meant.",
    "The name of an index is a string of 1 to 200 characters.",
}
KEPT_TYPES = frozenset({"$oid", "$numberLong", "$date"})
DOCUMENTS = "/v1/collections/{collection}/documents"
ENDLESS = "/v1/collections/{collection}/changes"
"""An answer without an end, which nobody can wait for; tests of its own read it."""
ANY_VERSION = {"header.If-Match": "*", "header.If-None-Match": '"another"'}
OTHER_DIGITS = re.compile(r"(?![0-9])[\d\u00b2\u00b3\u00b9\u2070-\u2089]")
KEY = re.compile(r"[!#-+\--~]{1,255}")
BAD_REQUEST, PRECONDITION_FAILED, UNPROCESSABLE = 400, 412, 422
SOME_OF_MANY = 207

schemathesis.serializer.alias(EXTENDED, "application/json")


@schemathesis.deserializer(EXTENDED)
def read_extended(_context: object, response: Response) -> object:
    """Extended JSON is JSON."""
    return response.json()


@schemathesis.hook
def before_load_schema(_context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Have requests in a row show that what was created is there, and what was deleted is not."""
    if "SCALE" not in os.environ:
        _leave_out_types(raw_schema["components"]["schemas"])
    paths = raw_schema["paths"]
    del paths[ENDLESS]
    _follow_location(paths[DOCUMENTS]["post"]["responses"]["201"]["links"])
    deleted = paths[f"{DOCUMENTS}/{{id}}"]["delete"]["responses"]["204"]
    itself = {name: f"$request.path.{name}" for name in ("collection", "id")}
    deleted["links"] = {"readDocument": {"operationId": "readDocument", "parameters": itself}}


def _follow_location(links: dict[str, Any]) -> None:
    """Have the links of new documents take the id from `Location`, which is right for every id.

    OpenAPI has no words for a part of a header, so the description itself takes `_id`. And a 404
    for a new document is a failure only where the link says every parameter of the request.
    """
    for link in links.values():
        link["parameters"]["id"] = "$response.header.Location#regex:/documents/(.+)$"
    links["readDocument"]["parameters"].update(ANY_VERSION)


def _leave_out_types(schemas: dict[str, Any]) -> None:
    """For the small run: all types of Extended JSON make thousands of requests, some do too."""
    schemas["ExtendedField"] = {"$ref": "#/components/schemas/ExtendedValue"}
    for name in ("ExtendedValue", "Operand"):
        types = schemas[name]["anyOf"]
        types[:] = [each for each in types if KEPT_TYPES.issuperset(each.get("required", ()))]


@schemathesis.hook
def map_body(_context: HookContext, body: Any) -> Any:
    """Write numbers as the service has to tell them apart; JSON Schema knows no spellings.

    An integer outside 64 bits is sent as a float, and one in a `$timestamp` never is. And no name
    has digits other than ASCII's: SecantusDB takes them for positions in an array, and fails.
    """
    return _spelled(body, is_timestamp=False)


def _spelled(value: Any, *, is_timestamp: bool) -> Any:
    if isinstance(value, dict):
        return {
            OTHER_DIGITS.sub("x", name): _spelled(
                each, is_timestamp=is_timestamp or name == "$timestamp"
            )
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_spelled(each, is_timestamp=is_timestamp) for each in value]
    if type(value) is int and not is_timestamp and not -(2**63) <= value < 2**63:
        return float(value)
    return int(value) if isinstance(value, float) and is_timestamp else value


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Take out of good requests what would have them refused, for it is made up.

    An `_id` that is not the URL's; a filter that is any text; two conditions of which one never
    holds; and a key that was there before with another request: each request gets one of its own,
    the same one the same.
    """
    key = case.headers.get("Idempotency-Key")
    if key is not None and KEY.fullmatch(key.strip('"')):
        made_of = repr((case.method, case.formatted_path, case.media_type, case.body))
        case.headers["Idempotency-Key"] = sha256(made_of.encode()).hexdigest()
    is_good = case.meta is not None and case.meta.generation.mode.is_positive
    if is_good and case.method in ("PUT", "PATCH") and isinstance(case.body, dict):
        case.body = {name: each for name, each in case.body.items() if name != "_id"}
    if is_good:
        for asked in (case.query, case.body):
            _be_answerable(asked)
    if is_good and case.method == "POST":
        _be_new(case)
    conditions = [case.headers.get(name) for name in ("If-Match", "If-None-Match")]
    if is_good and conditions == ["*", "*"]:
        del case.headers["If-Match" if case.method == "PUT" else "If-None-Match"]


def _be_answerable(asked: object) -> None:
    """Have the parameters of a list be such that they go together, which no schema can say."""
    if not isinstance(asked, dict):
        return
    if isinstance(asked.get("filter"), str):
        asked["filter"] = json.dumps({"text": asked["filter"]})
    if "after" in asked:
        del asked["after"]  # a cursor is what an answer has given
    if asked.get("count") == "estimated":
        asked["count"] = "exact"  # an estimate knows no filter
    for name in ("sort", "fields"):
        if isinstance(asked.get(name), str):
            asked[name] = asked[name].partition(",")[0]  # no path is inside another


def _be_new(case: Case[Any]) -> None:
    """Have a row of requests begin with a new document, whose id a URL has to escape.

    With a key it could be the same as in an earlier row, in which its document was deleted since.
    """
    if case.meta is None or case.meta.phase.name != "stateful":
        return
    case.headers.pop("Idempotency-Key", None)
    if case.path == DOCUMENTS and isinstance(case.body, list):
        case.body = {"is": "one"}  # links lead on from one document, not from many
    if isinstance(case.body, dict) and case.body:
        case.body = {**case.body, "_id": f"{uuid4()}/%2F? #"}


@schemathesis.hook
def filter_failure(
    _context: HookContext, failure: Failure, case: Case[Any], response: Response
) -> bool:
    """False for what is none."""
    if isinstance(failure, MissingContentType | MalformedJson):
        # With this preference there is no body, and so no type; OpenAPI can't say "or nothing".
        is_minimal = response.headers.get("preference-applied") == ["return=minimal"]
        return not is_minimal or bool(response.content)
    if isinstance(failure, AcceptedNegativeData) and case.method == "PATCH":
        # A condition is judged before the patch is tried (RFC 9110, section 13.2.1).
        return response.status_code != PRECONDITION_FAILED
    if isinstance(failure, AcceptedNegativeData) and response.status_code == SOME_OF_MANY:
        return False  # of an array each element is judged alone
    if isinstance(failure, RejectedPositiveData):
        return not (_is_decided_by_data(response, case) or _is_beyond_schemas(response))
    return True


def _is_beyond_schemas(response: Response) -> bool:
    """Whether a document was refused for what no schema, or not this one, can say.

    How many bytes an `_id` has, which options and paths of an index do not go together, and that no
    filter has to be meant; and that the database of these tests has no dates after 9999, and no
    hashed indexes.
    """
    if response.status_code not in (BAD_REQUEST, UNPROCESSABLE) or not response.content:
        return False
    value = response.json()
    # Of an array that was refused each element has its own.
    told = value["errors"] if "inserted" in value else [value]
    return all(
        "at most 1,024 bytes" in each["detail"] or each["detail"] in BEYOND_SCHEMAS for each in told
    )


def _is_decided_by_data(response: Response, case: Case[Any]) -> bool:
    """Whether a request that the description allows was refused for what is stored."""
    if case.method == "HEAD":
        return response.status_code == PRECONDITION_FAILED
    problem = response.json()
    errors = problem.get("errors", ())
    # Whether a collection has a schema is no more in the description than what is stored.
    by_schema = any("schema" in each or "code" in each for each in errors) and all(
        "schema" in each or each.get("code") == "invalid-document" for each in errors
    )
    return problem.get("code") in BY_DATA or by_schema
