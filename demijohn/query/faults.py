"""What is wrong with a question, at its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from demijohn.errors import Fault, InvalidDocument, InvalidPatch, Problem
from demijohn.formats.json_faults import pointer_to


@contextmanager
def told_as(problem: type[Problem]) -> Iterator[None]:
    """Tell as this problem what documents and patches are refused for too: values, paths, types."""
    try:
        yield
    except (InvalidDocument, InvalidPatch) as refused:
        raise problem(refused.detail, faults=refused.faults) from refused


def at(problem: type[Problem], detail: str, place: tuple[str | int, ...] = ()) -> Problem:
    """A problem with one fault, at this place."""
    return problem(detail, faults=(Fault(pointer_to(place), detail),))
