"""What a parser costs, counted: the lines of Python that it runs, and the most bytes it holds."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from demijohn.errors import Problem

Parse = Callable[[bytes], object]


def lines_run(parse: Parse, body: bytes) -> int:
    """The lines of Python that a parser runs for an input, whatever it makes of it."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(Problem):
            parse(body)
    finally:
        sys.settrace(before)
    return count


def bytes_held(parse: Parse, body: bytes) -> int:
    """The most bytes that a parser has taken at one time for an input, beside the input."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with suppress(Problem):
            parse(body)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
