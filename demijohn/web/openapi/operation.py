"""What a route says of itself: a value that stands beside its view and is registered with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from flask.typing import ResponseReturnValue

from demijohn.errors import Problem

Schema: TypeAlias = Mapping[str, object]
"""A JSON Schema (2020-12), or a reference to one of the document's components."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a request: a part of its path or its query, or a header."""

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Header:
    """One header of an answer. Optional where it comes with some of these answers only."""

    name: str
    description: str
    schema: Schema
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Body:
    """The request's body, which may not be missing, by media type."""

    description: str
    content: Mapping[str, Schema]


@dataclass(frozen=True, slots=True)
class Link:
    """Where an answer leads: another operation, and what its parameters are then."""

    operation: str
    description: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that is no problem; without content it has no body."""

    status: int
    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route.

    `problems` are those that it may meet beyond what can happen to every request, which
    `demijohn.web.openapi.problems` knows.
    """

    id: str
    tag: str
    summary: str
    description: str
    answers: tuple[Answer, ...]
    problems: tuple[type[Problem], ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A view and what it says of itself. Only such views can be registered."""

    operation: Operation
    answer: Callable[..., ResponseReturnValue]

    def __call__(self, **values: object) -> ResponseReturnValue:
        """Answer the request under way, as Flask calls a view."""
        return self.answer(**values)
