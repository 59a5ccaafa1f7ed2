"""An event loop whose time stands still: what a test waits for does not depend on the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class StillLoop(asyncio.SelectorEventLoop):
    """No timer of it is due before the test says that so much time has passed."""

    now = 1_000.0
    """Seconds."""

    def time(self) -> float:
        """Seconds of its clock."""
        return self.now

    async def pass_time(self, seconds: float) -> None:
        """Let tasks that were made begin what they wait for; then so many seconds pass at once."""
        await asyncio.sleep(0)
        self.now += seconds


def run(scenario: Callable[[StillLoop], Coroutine[Any, Any, T]]) -> T:
    """What comes of a scenario, which is given the loop that it runs on."""
    loop = StillLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(scenario(loop))
