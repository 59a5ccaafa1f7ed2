"""Paths that a client names in a sort, a list of fields or a parameter."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from demijohn.errors import BadParameter, InvalidPatch
from demijohn.patches.operands import parts_of

ID = "_id"
LONGEST = 1_000
"""Characters of a path."""


def check_path(path: str, where: str) -> None:
    """Raise BadParameter, by the name of the parameter, for what is no path of a field."""
    if len(path) > LONGEST:
        raise BadParameter(f"{where}: a path has at most {LONGEST:,} characters.")
    if any(part.startswith("$") for part in path.split(".")):
        raise BadParameter(f"{where}: no part of a path starts with $.")
    try:
        parts_of(path, ())
    except InvalidPatch as refused:
        raise BadParameter(f"{where}: {refused.detail}") from refused


def check_distinct(paths: Iterable[str], where: str) -> None:
    """Raise BadParameter where one path is another, or lies inside another."""
    ordered = sorted(paths, key=lambda path: path.split("."))
    for one, other in pairwise(ordered):
        if one == other or other.startswith(f"{one}."):
            raise BadParameter(f"{where}: {other[:100]} is named twice, or lies inside another.")
