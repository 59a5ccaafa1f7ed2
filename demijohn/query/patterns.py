"""Regular expressions: how long they may be, and which options they have.

Whether a pattern is one is the database's to judge: PCRE has no other grammar than its own.
"""

from __future__ import annotations

from demijohn.formats.bson_values import REGEX, Node, Value
from demijohn.patches.faults import refusal
from demijohn.patches.operands import Place, text

LONGEST = 1_000
"""Bytes of a pattern."""
FLAGS = frozenset("imsxu")
"""Letters of options (MongoDB manual, "$regex")."""


def check_pattern(node: Node, place: Place) -> None:
    """Raise InvalidPatch for what is neither a regular expression nor the text of one."""
    pattern, flags = _parts(node, place)
    if len(pattern.encode()) > LONGEST:
        raise refusal(f"A regular expression has at most {LONGEST:,} bytes.", place)
    if "\0" in pattern:
        raise refusal("A regular expression holds no U+0000.", place)
    _check_flags(flags, place)


def check_options(node: Node, place: Place) -> None:
    """Raise InvalidPatch for what is not the letters of options."""
    given = text(node)
    if given is None:
        raise refusal("$options takes a string of letters.", place)
    _check_flags(given, place)


def _parts(node: Node, place: Place) -> tuple[str, str]:
    if isinstance(node, Value) and node.kind == REGEX:
        pattern, flags = node.payload[:-1].decode("utf-8", "replace").split("\0", 1)
        return pattern, flags
    given = text(node)
    if given is None:
        raise refusal("A regular expression is a string, or one in Extended JSON.", place)
    return given, ""


def _check_flags(flags: str, place: Place) -> None:
    if not FLAGS.issuperset(flags):
        raise refusal(f"Options of a regular expression are {', '.join(sorted(FLAGS))}.", place)
