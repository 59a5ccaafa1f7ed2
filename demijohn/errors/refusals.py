"""What is wrong with a request, or speaks against it: the 4xx of the tree in `demijohn.errors`."""

# ruff: noqa: D101 - `meaning` says it, to clients too
from __future__ import annotations

from demijohn.problem import Problem


class MalformedJson(Problem):
    status = 400
    code = "malformed-json"
    title = "The body is not JSON"
    meaning = (
        "The request's body, or the filter in its URL, could not be parsed as JSON (RFC 8259) in "
        "UTF-8. The members `line` and `column` say where the parser stopped, both counted from 1."
    )


class BadParameter(Problem):
    status = 400
    code = "bad-parameter"
    title = "A parameter is wrong"
    meaning = "A query parameter or a header has a name or a value that this route does not take."


class BadCursor(Problem):
    status = 400
    code = "bad-cursor"
    title = "Not a position in this list or stream"
    meaning = (
        "The cursor in `after`, or the `Last-Event-ID`, was not made by this service for this "
        "collection, filter and sort, or what it points at is no longer kept. Begin anew without "
        "it."
    )


class IncompleteBody(Problem):
    status = 400
    code = "incomplete-body"
    title = "The body ended early"
    meaning = (
        "The connection ended, or the chunked coding broke, before the whole body had arrived. "
        "Nothing was done."
    )


class IdempotencyUnsupported(Problem):
    status = 400
    code = "idempotency-unsupported"
    title = "Idempotency-Key is not supported here"
    meaning = (
        "This route cannot promise that a request with an Idempotency-Key has one effect, "
        "so it refuses the header rather than pass over it. Nothing was done."
    )


class Unauthenticated(Problem):
    status = 401
    code = "unauthenticated"
    title = "A key is needed"
    meaning = (
        "With `DEMIJOHN_AUTH=keys` a request needs a key in `Authorization: Bearer dj_…`. There "
        "was none, or one that does not exist, was revoked or has expired; which of these it was "
        "is not told. Nothing was done."
    )


class Forbidden(Problem):
    status = 403
    code = "forbidden"
    title = "Not allowed"
    meaning = (
        "The service does not allow this caller this request. Without `DEMIJOHN_AUTH` it answers "
        "the machine that it runs on and nobody else: `DEMIJOHN_AUTH=open` opens it to everyone "
        "who can reach it. With `DEMIJOHN_AUTH=keys` the request's key has no scope for it, or "
        "the document is not one that the key's row filter lets it write; `errors` then points at "
        "what is to blame. Nothing was written, but where some of many documents were refused so."
    )


class NotFound(Problem):
    status = 404
    code = "not-found"
    title = "Not found"
    meaning = "There is nothing at this address."


class MethodNotAllowed(Problem):
    status = 405
    code = "method-not-allowed"
    title = "Method not allowed"
    meaning = "The address exists, but not for this method. The header `Allow` lists those it has."


class NotAcceptable(Problem):
    status = 406
    code = "not-acceptable"
    title = "Not acceptable"
    meaning = "The request's `Accept` header leaves no media type that this route can answer with."


class BodyTimeout(Problem):
    status = 408
    code = "body-timeout"
    title = "The body came too slowly"
    meaning = (
        "The body did not arrive by the deadline, or came at less than the minimum rate. "
        "Nothing was done."
    )


class DuplicateKey(Problem):
    status = 409
    code = "duplicate-key"
    title = "Already there"
    meaning = (
        "A document with the same value in a unique index exists. The members `index` and "
        "`fields` say which index and which fields. Nothing was written, but where a change of "
        "many documents says by `partial` that some of them may be changed."
    )


class WriteConflict(Problem):
    status = 409
    code = "write-conflict"
    title = "Others are changing the document"
    meaning = (
        "Other writers changed the same document at each of several attempts. Nothing was "
        "written; the same request can be sent again."
    )
    retry_after = 1


class IdempotencyInProgress(Problem):
    status = 409
    code = "idempotency-in-progress"
    title = "The first request is still under way"
    meaning = (
        "Another request with the same Idempotency-Key is being carried out at this moment. "
        "Nothing was done for this one; sent again a little later it gets the first one's answer."
    )
    retry_after = 1


class IndexConflict(Problem):
    status = 409
    code = "index-conflict"
    title = "There is another index"
    meaning = (
        "The collection has an index of the same name with another key, or of the same key with "
        "other options. Nothing was changed."
    )


class PreconditionFailed(Problem):
    status = 412
    code = "precondition-failed"
    title = "The document is not as the condition demands"
    meaning = (
        "The document's version is not one that `If-Match` names, or is one that `If-None-Match` "
        "excludes (RFC 9110, section 13). Nothing was written. Where there is a document, the "
        "header `ETag` has its present version: read it again and decide anew."
    )


class TooLarge(Problem):
    status = 413
    code = "too-large"
    title = "Too large"
    meaning = (
        "The body is larger than `DEMIJOHN_MAX_BODY`, or the document, at the end or after one of "
        "a patch's operations, or an answer of distinct values, larger than the 16 MiB of BSON "
        "that MongoDB takes. Nothing was written, but where a change of many documents says by "
        "`partial` that some may be changed."
    )


class UnsupportedMediaType(Problem):
    status = 415
    code = "unsupported-media-type"
    title = "Unsupported media type"
    meaning = "The request's `Content-Type` (or `Content-Encoding`) is not one this route reads."


class InvalidDocument(Problem):
    status = 422
    code = "invalid-document"
    title = "Not a document that can be kept"
    meaning = (
        "The body is JSON, but not a document that can be stored and read back unchanged, or none "
        "that fits its collection's schema. "
        "The member `errors` has a JSON Pointer (RFC 6901) to each fault."
    )


class InvalidPatch(Problem):
    status = 422
    code = "invalid-patch"
    title = "The patch cannot be applied"
    meaning = (
        "The body is JSON, but no patch of its media type, or one that does not fit the document "
        "as it is. The member `errors` points at the operation in the body, and says why. "
        "Nothing was written: a patch is applied whole or not at all. One of many documents may "
        "end at one of them: then `partial` says that others may be changed."
    )


class ForbiddenOperator(Problem):
    status = 422
    code = "forbidden-operator"
    title = "An operator that is not let through"
    meaning = (
        "The request uses an operator of MongoDB that this service does not let through. The "
        "member `errors` points at it. Nothing was written."
    )


class InvalidFilter(Problem):
    status = 422
    code = "invalid-filter"
    title = "Not a filter"
    meaning = (
        "The filter is JSON, but not a filter that MongoDB takes, or more than this service lets "
        "through. The member `errors` points at the clause, and says why."
    )


class InvalidPipeline(Problem):
    status = 422
    code = "invalid-pipeline"
    title = "Not an aggregation pipeline"
    meaning = (
        "The pipeline is JSON, but not one that MongoDB takes, or more than this service lets "
        "through. The member `errors` points at the stage, and says why."
    )


class InvalidSchema(Problem):
    status = 422
    code = "invalid-schema"
    title = "Not a schema"
    meaning = (
        "The schema is not a JSON Schema (2020-12) that stands for itself: references that leave "
        "it are never followed. The member `errors` points at the keyword. Nothing was changed."
    )


class InvalidIndex(Problem):
    status = 422
    code = "invalid-index"
    title = "Not an index"
    meaning = (
        "The index described is not one that MongoDB makes. The member `errors` points at what "
        "is wrong. Nothing was changed."
    )


class Unsortable(Problem):
    status = 422
    code = "unsortable"
    title = "The sort meets a value that has no one place"
    meaning = (
        "A document of this page has an array along a sort path, so that it would stand in "
        "several places of the order, or values there that no cursor has room for. Leave such "
        "documents out by the filter, or sort by another path."
    )


class IdempotencyKeyReused(Problem):
    status = 422
    code = "idempotency-key-reused"
    title = "The Idempotency-Key belongs to another request"
    meaning = (
        "The same caller has used this Idempotency-Key within the last day with another method, "
        "path, media type or body. Nothing was done: take a new key for each new request."
    )


class PreconditionRequired(Problem):
    status = 428
    code = "precondition-required"
    title = "The collection demands a condition"
    meaning = (
        "The collection is configured to let nobody change a document unseen: send `If-Match` "
        "with the document's `ETag`, or `If-None-Match: *` to create one. Nothing was written."
    )


class TooManyRequests(Problem):
    status = 429
    code = "too-many-requests"
    title = "Too many requests"
    meaning = (
        "The key or the address has made more requests, or more with keys that are not valid, "
        "than it may in this time. Nothing was done. After the seconds in `Retry-After` the next "
        "one is let through."
    )
    retry_after = 1
