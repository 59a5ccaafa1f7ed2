"""What the fuzzers of parsers share: how much they try, and what a refusal has to be.

`SCALE` in the environment multiplies the examples. Without it every run tries the same ones, so
that a check says the same of the same code; with it they are new ones each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

from demijohn.errors import Problem
from demijohn.formats.json_faults import LONGEST_POINTER, MOST_FAULTS

SCALE = float(os.environ.get("SCALE", "1"))
LONGEST_DETAIL = 3_000
"""Characters of what a client is told: names of operators by the dozen, but never its own input."""
_UNHURRIED = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

_T = TypeVar("_T")


def fuzz(examples: int) -> settings:
    """So many examples, times `SCALE`."""
    return settings(
        max_examples=max(1, int(examples * SCALE)),
        derandomize="SCALE" not in os.environ,
        suppress_health_check=_UNHURRIED,
        print_blob=True,
    )


def attempt(
    parse: Callable[[], _T], *problems: type[Problem], given: object = None
) -> _T | Problem:
    """What a parser makes of an input, or the problem; only those of its own may be raised.

    `given` is the JSON value or text that the pointers lead into, None where there is none.
    """
    try:
        return parse()
    except Problem as problem:
        if type(problem) not in problems:
            raise
        check_told(problem, given)
        return problem


def check_told(problem: Problem, given: object = None) -> None:
    """Hold a problem to what every client is promised of one, whatever it has sent."""
    assert problem.detail
    for text in (problem.detail, *(fault.detail for fault in problem.faults)):
        assert len(text) <= LONGEST_DETAIL
        text.encode()
    assert len(problem.faults) <= MOST_FAULTS
    value = _value(given) if isinstance(given, bytes) else given
    for fault in problem.faults:
        assert len(fault.pointer) <= LONGEST_POINTER
        if value is not None:
            assert leads_into(value, fault.pointer), (fault.pointer, given)
    if isinstance(given, bytes) and "line" in problem.extra:
        _check_place(problem, given)


def leads_into(value: Any, pointer: str) -> bool:
    """Whether a JSON Pointer leads to a place in a value; of members with one key to any."""
    places = [value]
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        places = [inner for place in places for inner in _inside(place, key)]
    return bool(places) and (not pointer or pointer.startswith("/"))


class _Members(list[tuple[str, Any]]):
    """An object with all that its text has: a fault may be in what a later member replaces."""


def _inside(value: Any, key: str) -> list[Any]:
    if isinstance(value, dict):
        value = _Members(value.items())
    if isinstance(value, _Members):
        return [child for name, child in value if name == key]
    is_place = isinstance(value, list) and key.isdecimal() and int(key) < len(value)
    return [value[int(key)]] if is_place else []


def _value(body: bytes) -> Any:
    """The value of a text, None where the standard library reads none."""
    try:
        return json.loads(body, parse_int=len, parse_float=len, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        return None


def _check_place(problem: Problem, body: bytes) -> None:
    line, column = problem.extra["line"], problem.extra["column"]
    assert isinstance(line, int)
    assert isinstance(column, int)
    lines = body.decode(errors="replace").split("\n")
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1
