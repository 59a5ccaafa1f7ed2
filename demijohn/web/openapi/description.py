"""The OpenAPI document (3.1), made by walking the routes of an application."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from flask import Flask
from werkzeug.routing import Rule

import demijohn
from demijohn.web.openapi import problems, schemas
from demijohn.web.openapi.headers import COMMON, optional
from demijohn.web.openapi.operation import (
    Answer,
    Header,
    Link,
    Operation,
    Parameter,
    Schema,
    View,
)

Json = dict[str, object]

_INFO: Json = {
    "title": "demijohn",
    "summary": "JSON documents over HTTP, kept in MongoDB",
    "description": (
        "Every refusal and failure is a problem (RFC 9457) with a stable `code`. Beyond what "
        "each operation lists, an address that does not exist is answered with `not-found` "
        "(404), and a method that an address does not have with `method-not-allowed` (405) and "
        "`Allow`. What is not HTTP at all, or has too large a head, gets a bare 400 or 431."
    ),
    "version": demijohn.__version__,
    "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
}
_TAGS = {
    "guide": "The routes of the guide that the service grew from.",
    "documents": "One document's whole life.",
    "collections": "Many documents: their collections and indexes, and what is made of them.",
    "operations": "For operators, and for clients that are puzzled.",
}


_KEY: Json = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "dj_{id}_{secret}",
    "description": "Where the service asks for keys (`DEMIJOHN_AUTH=keys`).",
}
_WITH_KEY: list[Json] = [{}, {"key": []}]
"""Whether one is needed depends on how the service is run."""
_NAMES = {"segment": "id"}
"""Parameters that a view must call otherwise, for their name is one of Python's own."""


class UndescribedError(TypeError):
    """A route that says nothing of itself, or more than one thing; a fault of the program."""


def describe(app: Flask) -> Json:
    """The whole document for an application's routes.

    Raises UndescribedError for a route that was registered without its description.
    """
    paths: dict[str, Json] = {}
    refusals: dict[str, Json] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        item = paths.setdefault(template(rule.rule), {})
        item.update(_methods(app, rule, refusals))
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": words} for name, words in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {**schemas.SHARED, **problems.schemas()},
            "headers": {header.name: _header(header) for header in COMMON},
            "responses": refusals,
            "securitySchemes": {"key": _KEY},
        },
    }


def template(rule: str) -> str:
    """A route's pattern as OpenAPI writes it: `/a/<path:b>` is `/a/{b}`."""
    return re.sub(
        r"<(?:[^<>:]*:)?(\w+)>", lambda found: f"{{{_NAMES.get(found[1], found[1])}}}", rule
    )


def _methods(app: Flask, rule: Rule, refusals: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    """The operations of one rule; HEAD is GET without a body (RFC 9110, section 9.3.2)."""
    view = app.view_functions[rule.endpoint]
    methods = {method.lower() for method in rule.methods or ()}
    own = methods - {"head"} if "get" in methods else methods
    if not isinstance(view, View) or len(own) != 1:
        raise UndescribedError(f"{rule.rule} ({', '.join(sorted(methods))}) is not described")
    operation = view.operation
    yield own.pop(), _operation(operation, _refusals(operation, refusals))
    if "head" in methods:
        bare = _bare(operation)
        yield "head", _operation(bare, _refusals(bare, refusals, suffix=".head"))


def _bare(operation: Operation) -> Operation:
    """HEAD beside a GET."""
    return replace(
        operation,
        id=f"head{operation.id[0].upper()}{operation.id[1:]}",
        summary=f"Headers alone: {operation.summary}",
        answers=tuple(replace(each, content={}, links=()) for each in operation.answers),
    )


def _refusals(operation: Operation, shared: dict[str, Json], suffix: str = "") -> dict[str, Json]:
    """References to the operation's problems, by status; what they refer to goes into `shared`.

    Many operations meet the same problems, and each answer is a page long.
    """
    references: dict[str, Json] = {}
    own = {each.status: each for each in operation.answers}
    for name, answer in problems.answers(operation.problems).items():
        if answer.status in own:
            references[str(answer.status)] = _answer(_either(own[answer.status], answer, operation))
            continue
        bare = replace(answer, content={}) if suffix else answer
        shared[name + suffix] = _answer(bare)
        references[str(answer.status)] = {"$ref": f"#/components/responses/{name}{suffix}"}
    return references


def _either(answer: Answer, refusal: Answer, operation: Operation) -> Answer:
    """An answer or a problem of the same status, which their media types tell apart."""
    if not answer.content or answer.content.keys() & refusal.content.keys():
        raise UndescribedError(f"{operation.id} describes the status {answer.status} twice")
    refused = {each.name for each in refusal.headers}
    more = tuple(optional(each) for each in answer.headers if each.name not in refused)
    return replace(
        refusal,
        description=f"{answer.description}\n\n{refusal.description}",
        content={**answer.content, **refusal.content},
        headers=(*refusal.headers, *more),
    )


def _operation(operation: Operation, refusals: dict[str, Json]) -> Json:
    answers = {str(each.status): _answer(each) for each in operation.answers}
    described: Json = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "responses": {**answers, **refusals},
    }
    if operation.access is not None:
        described["security"] = _WITH_KEY
    if operation.parameters:
        described["parameters"] = [_parameter(each) for each in operation.parameters]
    if operation.body is not None:
        described["requestBody"] = {
            "description": operation.body.description,
            "required": True,
            "content": _content(operation.body.content),
        }
    return described


def _answer(answer: Answer) -> Json:
    common = {each.name: {"$ref": f"#/components/headers/{each.name}"} for each in COMMON}
    own = {each.name: _header(each) for each in answer.headers}
    described: Json = {"description": answer.description, "headers": {**common, **own}}
    if answer.content:
        described["content"] = _content(answer.content)
    if answer.links:
        described["links"] = {each.operation: _link(each) for each in answer.links}
    return described


def _content(content: Mapping[str, Schema]) -> Json:
    return {media_type: {"schema": schema} for media_type, schema in content.items()}


def _header(header: Header) -> Json:
    return {
        "description": header.description,
        "required": header.is_required,
        "schema": header.schema,
    }


def _link(link: Link) -> Json:
    return {
        "operationId": link.operation,
        "description": link.description,
        "parameters": dict(link.parameters),
    }


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }
