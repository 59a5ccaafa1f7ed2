"""How much memory a compiled schema takes for as long as it is kept, known before it is compiled.

The engine does not say. What is said here is what was measured, of the dearest kind of each: an
object in an `enum` is kept up to three times over, in maps that have room for more. Documents add
to it: an engine of patterns keeps what it has found out, in a cache for each of some threads, up to
the limit that it was given.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
MOST = 32 * MIB
"""Bytes that one schema may take: no more than what all that are kept may (`documents.kept`)."""
_OF_AN_OBJECT, _OF_A_MEMBER, _OF_AN_ITEM = 1_300, 450, 160
_OF_A_BYTE = 4
_OF_A_PART = 128
"""Where references are written out: `unevaluatedProperties` does so."""
_OF_A_PATTERN = 32 * 1024
_CACHES = 4
"""That a pattern had at most, however many threads used it; the engine holds the GIL meanwhile."""
LARGEST_PATTERN = MIB
"""Bytes of one, compiled, at most."""
_ALL_PATTERNS = 8 * MIB
"""Bytes of all patterns of a schema together."""
_STEPS = (4 * 1024, 16 * 1024, 128 * 1024, LARGEST_PATTERN)
_LARGEST_CACHE = 128 * 1024


@dataclass(frozen=True, slots=True)
class PatternLimit:
    """What one pattern may take, in bytes."""

    size: int
    """Compiled; and as much again, for it is compiled in both directions."""
    cache: int
    """What is kept of what it has seen, by each of some threads. Without it is slower, no more."""

    def footprint(self, patterns: int) -> int:
        """Bytes that so many may take."""
        return patterns * (_OF_A_PATTERN + 2 * self.size + _CACHES * self.cache)


def pattern_limits(patterns: int) -> list[PatternLimit]:
    """The limits under which to compile so many patterns, until they fit; the smallest first.

    Most patterns are small, and are not to count as much as the largest that there may be.
    """
    if not patterns:
        return [PatternLimit(0, 0)]
    most = min(LARGEST_PATTERN, _ALL_PATTERNS // patterns)
    sizes = sorted({min(each, most) for each in _STEPS})
    return [PatternLimit(size, min(size, _LARGEST_CACHE)) for size in sizes]


def footprint(schema: object, size: int, written_out: int) -> int:
    """Bytes that a schema takes, its patterns apart.

    `size` is that of its text in bytes, `written_out` how many subschemas it has then.
    """
    waiting, held = [schema], 0
    for each in waiting:  # which grows meanwhile
        if isinstance(each, dict):
            held += _OF_AN_OBJECT + _OF_A_MEMBER * len(each)
            waiting += each.values()
        elif isinstance(each, list):
            held += _OF_AN_ITEM * len(each)
            waiting += each
    return held + _OF_A_BYTE * size + _OF_A_PART * written_out
