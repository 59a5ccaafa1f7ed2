"""The order of a list: paths and directions, made total by `_id`."""

from __future__ import annotations

from dataclasses import dataclass

from demijohn.errors import BadParameter
from demijohn.query.paths import ID, check_distinct, check_path

MOST_KEYS = 8
ASCENDING, DESCENDING = 1, -1


@dataclass(frozen=True, slots=True)
class Sort:
    """Paths, each with 1 for ascending or -1 for descending; the last one is `_id`."""

    keys: tuple[tuple[str, int], ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths alone."""
        return tuple(path for path, _ in self.keys)


BY_ID = Sort(((ID, ASCENDING),))
"""The order of a list that asks for none."""


def read_sort(text: str) -> Sort:
    """The sort in a text such as `-age,name`: ascending, but for paths with `-` before them.

    Two documents are never equal in it: `_id` is added, and nothing counts after it. It has the
    last path's direction, so that one index serves a sort and its reverse. Raises BadParameter.
    """
    keys = [_key(each.strip()) for each in text.split(",")]
    if len(keys) > MOST_KEYS:
        raise BadParameter(f"A sort has at most {MOST_KEYS} paths.")
    check_distinct([path for path, _ in keys], "sort")
    paths = [path for path, _ in keys]
    if ID in paths:
        return Sort(tuple(keys[: paths.index(ID) + 1]))
    return Sort((*keys, (ID, keys[-1][1])))


def _key(text: str) -> tuple[str, int]:
    path = text.removeprefix("-")
    check_path(path, "sort")
    return path, DESCENDING if text.startswith("-") else ASCENDING
