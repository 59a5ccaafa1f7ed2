"""Requests at one time: what is done by several threads that begin together, or beside a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def at_once(count: int, action: Callable[[int], T]) -> list[T]:
    """What `action` returns to as many threads, numbered from 0; raises what it raises."""
    barrier = threading.Barrier(count)

    def run(number: int) -> T:
        barrier.wait()
        return action(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Have it done by a thread all through the block.

    It is given the event that is set at the end of the block, which then waits for it, and raises
    what it raises.
    """
    is_over = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(work, is_over)
        try:
            yield
        finally:
            is_over.set()
        done.result()
