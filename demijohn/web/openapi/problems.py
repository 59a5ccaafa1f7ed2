"""Problems in the description: a closed schema for each code, an answer for each status."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from demijohn.edge.reply import PROBLEM_TYPE
from demijohn.errors import (
    BadParameter,
    BodyTimeout,
    DatabaseUnavailable,
    DeadlineExceeded,
    DuplicateKey,
    Forbidden,
    ForbiddenOperator,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    IncompleteBody,
    InternalError,
    InvalidDocument,
    InvalidFilter,
    InvalidIndex,
    InvalidPatch,
    InvalidPipeline,
    InvalidSchema,
    MalformedJson,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    PreconditionFailed,
    Problem,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unsortable,
    UnsupportedMediaType,
    WriteConflict,
    problem_classes,
)
from demijohn.web.openapi.headers import (
    ACCEPT,
    ACCEPT_ENCODING,
    ALLOW,
    CHALLENGE,
    NO_STORE,
    REPLAYED,
    RETRY_AFTER,
    VERSION,
    optional,
)
from demijohn.web.openapi.operation import Answer, Header, Schema

EVERYWHERE: tuple[type[Problem], ...] = (
    BadParameter,
    BodyTimeout,
    Forbidden,
    IncompleteBody,
    InternalError,
    Overloaded,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMediaType,
)
"""What may happen to every request: the guard's word, a limit, a wrong head, a body that nobody
asked for and that is read before the route is known, a service that is too busy or has a defect."""

READING: tuple[type[Problem], ...] = (DatabaseUnavailable, DeadlineExceeded, NotAcceptable)
"""What may happen to every operation that reads documents."""
WRITING: tuple[type[Problem], ...] = (
    *READING,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    OutcomeUnknown,
    WriteConflict,
)
"""What may happen to every operation that writes one."""
STORING: tuple[type[Problem], ...] = (*WRITING, DuplicateKey, InvalidDocument, MalformedJson)
"""What may happen where the outcome is a document that is to be kept."""

_POSITION: Schema = {"type": "integer", "minimum": 1}
_MEMBERS: dict[type[Problem], dict[str, Schema]] = {
    MalformedJson: {"line": _POSITION, "column": _POSITION},
    DuplicateKey: {
        "index": {"type": "string", "minLength": 1},
        "fields": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    },
}
"""Members beyond those of every problem; they are always there."""
_FAULTS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"$ref": "#/components/schemas/Fault"},
}
_STEP: Schema = {
    "type": "integer",
    "minimum": 0,
    "description": "Which operation of a JSON Patch is to blame, counted from 0.",
}
_DATABASE_CODE: Schema = {
    "type": "integer",
    "description": "The number by which MongoDB refused what was asked of these documents.",
}
_PARTIAL: Schema = {
    "const": True,
    "description": "Of many documents some may have been changed all the same.",
}
_MAY_HAVE: dict[type[Problem], dict[str, Schema]] = {
    DuplicateKey: {"errors": _FAULTS, "partial": _PARTIAL},
    Forbidden: {"errors": _FAULTS},
    ForbiddenOperator: {"errors": _FAULTS},
    InvalidDocument: {"errors": _FAULTS, "partial": _PARTIAL},
    InvalidFilter: {
        "errors": _FAULTS,
        "database_code": _DATABASE_CODE,
        "partial": _PARTIAL,
    },
    InvalidIndex: {"errors": _FAULTS},
    InvalidPatch: {"errors": _FAULTS, "operation": _STEP, "partial": _PARTIAL},
    InvalidSchema: {"errors": _FAULTS},
    InvalidPipeline: {"errors": _FAULTS, "database_code": _DATABASE_CODE},
    TooLarge: {"errors": _FAULTS, "operation": _STEP, "partial": _PARTIAL},
    Unsortable: {"path": {"type": "string", "minLength": 1}},
}
"""Members that are there in some cases."""
_RECORDED = frozenset(
    {
        DuplicateKey,
        Forbidden,
        ForbiddenOperator,
        InvalidDocument,
        InvalidPatch,
        NotFound,
        PreconditionFailed,
        TooLarge,
    }
)
"""Problems that depend on the document as it is, so that a retry with the same key gets them."""
_HEADERS: dict[type[Problem], tuple[Header, ...]] = {
    MethodNotAllowed: (ALLOW,),
    PreconditionFailed: (optional(VERSION),),
    Unauthenticated: (CHALLENGE,),
    UnsupportedMediaType: (optional(ACCEPT), optional(ACCEPT_ENCODING)),
}


def schemas() -> dict[str, Schema]:
    """A schema of every problem, by the name of its class, and of the fault they share."""
    return {"Fault": _FAULT, **{each.__name__: _schema(each) for each in problem_classes()}}


def answers(problems: Iterable[type[Problem]]) -> dict[str, Answer]:
    """One answer for each status that these problems and those of every request have.

    Each has the name of its codes.
    """
    by_status: dict[int, list[type[Problem]]] = {}
    for each in sorted({*problems, *EVERYWHERE}, key=lambda each: (each.status, each.code)):
        by_status.setdefault(each.status, []).append(each)
    return {
        ".".join(each.code for each in group): _answer(status, group)
        for status, group in by_status.items()
    }


_FAULT: Schema = {
    "type": "object",
    "description": "One place in the request's body that is to blame.",
    "properties": {
        "pointer": {
            "type": "string",
            "pattern": "^(/[^/]*)*$",
            "description": "JSON Pointer (RFC 6901); empty for the whole of the body.",
        },
        "detail": {"type": "string", "minLength": 1},
        "schema": {
            "type": "string",
            "pattern": "^(/[^/]*)*$",
            "description": "JSON Pointer into the collection's schema, where that is not met.",
        },
    },
    "required": ["pointer", "detail"],
    "additionalProperties": False,
}


def _schema(problem: type[Problem]) -> Schema:
    properties: dict[str, Schema] = {
        "type": {"const": f"/problems/{problem.code}"},
        "title": {"type": "string", "minLength": 1, "examples": [problem.title]},
        "status": {"const": problem.status},
        "detail": {"type": "string", "minLength": 1},
        "code": {"const": problem.code},
        "request_id": {"type": "string", "minLength": 1},
        **_MEMBERS.get(problem, {}),
    }
    required = list(properties)
    properties.update(_MAY_HAVE.get(problem, {}))
    return {
        "type": "object",
        "description": problem.meaning,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _answer(status: int, group: list[type[Problem]]) -> Answer:
    lines = [f"- `{each.code}`: {each.title}" for each in group]
    references = {each.code: f"#/components/schemas/{each.__name__}" for each in group}
    if len(group) == 1:
        schema: Schema = {"$ref": references[group[0].code]}
    else:
        schema = {
            "oneOf": [{"$ref": reference} for reference in references.values()],
            "discriminator": {"propertyName": "code", "mapping": references},
        }
    words = "\n".join([f"{HTTPStatus(status).phrase}", "", *lines])
    return Answer(status, words, {PROBLEM_TYPE: schema}, (NO_STORE, *_headers(group)))


def _headers(group: list[type[Problem]]) -> list[Header]:
    found = [header for each in group for header in _HEADERS.get(each, ())]
    if _RECORDED.intersection(group):
        found.append(REPLAYED)
    patient = [each for each in group if each.retry_after is not None]
    if patient:
        found.append(RETRY_AFTER if patient == group else optional(RETRY_AFTER))
    return found
