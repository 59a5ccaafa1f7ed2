"""What a route says of itself: a value that stands beside its view and is registered with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from flask import request
from flask.typing import ResponseReturnValue

from demijohn.auth.caller import Caller, Level
from demijohn.edge.context import CONTEXT, Context
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
class Access:
    """What a caller has to be let do, for an operation."""

    level: Level | None
    """In the collection; None where any key will do."""
    collection: str | None = None
    """None for the one that the path names."""
    by_row: bool = False
    """Whether it goes by row filters; if not, a key that has one may not do it."""

    def check(self, caller: Caller, named: object) -> None:
        """Raise Unauthenticated or Forbidden; `named` is the path's collection, if it has one."""
        if self.level is None:
            caller.check_known()
        else:
            caller.check(self.level, self.collection or str(named))
        if not self.by_row:
            caller.check_whole()


READS = Access(Level.READ, by_row=True)
WRITES = Access(Level.WRITE, by_row=True)
LOOKS = Access(Level.READ)
"""At what is no single document's: what it tells is of all of them."""
MANAGES = Access(Level.ADMIN)
PUBLIC = None
"""In place of an Access: open to everyone who is let in at all."""


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
    access: Access | None
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
        """Answer the request under way, as Flask calls a view. Raises what its access does."""
        access = self.operation.access
        if access is not None:
            access.check(_caller(), values.get("collection"))
        return self.answer(**values)


def _caller() -> Caller:
    context = request.environ[CONTEXT]
    assert isinstance(context, Context)
    return context.caller
