"""What ends a drill before it has a verdict."""

from __future__ import annotations


class DrillError(Exception):
    """The drill cannot start or go on; the text says why and what helps, for people."""
