"""The way to a place in a value, of which the engine tells all names but the empty ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import orjson

from demijohn.schemas.parts import NAMED, Parts

Way = tuple[str | int, ...]
_MOST_WAYS = 100
_EMPTY_NAME = b'"":'
"""Of a JSON text without needless spaces."""


def whole_way(value: object, told: Sequence[str | int], wanted: Callable[[], object]) -> Way:
    """The first way to what is `wanted` that has these steps and empty names between them.

    The steps as they were told where there is none. What is wanted is only asked for, which may
    cost a copy of it, where there are several ways.
    """
    ways = list(islice(_ways(value, tuple(told)), _MOST_WAYS))
    if len(ways) > 1:
        end = wanted()
        ways = [each for each in ways if each[1] == end]
    return ways[0][0] if ways else tuple(told)


class Keywords:
    """Where the keywords of a schema stand."""

    def __init__(self, text: bytes) -> None:
        """Take the schema as JSON without needless spaces. It is read where a name is empty."""
        self._schema: Any = None
        self._subschemas: frozenset[Way] = frozenset()
        if _EMPTY_NAME in text:
            self._schema = orjson.loads(text)
            self._subschemas = frozenset(Parts(self._schema).places.values())

    def way(self, told: Sequence[str | int]) -> Way:
        """The first way that has these steps, and leads to a subschema's keyword or to `false`."""
        for way, end in islice(_ways(self._schema, tuple(told)), _MOST_WAYS):
            # No document fails by a keyword that only gives names to subschemas.
            if end is False or (way[:-1] in self._subschemas and way[-1] not in NAMED):
                return way
        return tuple(told)


def _ways(value: Any, told: Way) -> Iterator[tuple[Way, object]]:  # noqa: ANN401 - any JSON value
    if not told:
        yield (), value
    else:
        step, *rest = told
        is_item = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if is_item or (isinstance(value, dict) and step in value):
            yield from _led(step, value[step], tuple(rest))
    if isinstance(value, dict) and "" in value:
        yield from _led("", value[""], told)


def _led(step: str | int, value: Any, told: Way) -> Iterator[tuple[Way, object]]:  # noqa: ANN401 - any JSON value
    for way, end in _ways(value, told):
        yield (step, *way), end
