"""How much JSON is parsed at one time, and how many calls wait for a thread."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Callable

import pytest
import uvloop

from demijohn.errors import NotFound, Overloaded
from demijohn.front.body import SMALL
from demijohn.front.gate import CAPACITY, Gate
from demijohn.front.threads import Threads
from tests.support import still_loop
from tests.support.processes import LONG
from tests.support.still_loop import StillLoop

MIB = 1024 * 1024


def test_large_bodies_pass_one_after_another() -> None:
    """What is inside never exceeds the capacity, and all get through in their order."""

    async def scenario() -> tuple[int, list[int]]:
        gate, inside, most, order = Gate(2 * MIB), 0, 0, []

        async def one(number: int) -> None:
            nonlocal inside, most
            async with gate.passing(2 * MIB, 10):
                inside += 2 * MIB
                most = max(most, inside)
                await asyncio.sleep(0.01)
                order.append(number)
                inside -= 2 * MIB

        await asyncio.gather(*(one(number) for number in range(12)))
        return most, order

    most, order = asyncio.run(scenario())
    assert 2 * MIB <= most <= CAPACITY
    assert order == sorted(order)


def test_small_bodies_never_wait() -> None:
    """A gate that is full is open to small bodies."""

    async def scenario() -> None:
        gate = Gate(CAPACITY)
        async with gate.passing(CAPACITY, 1), gate.passing(SMALL, 1):
            with pytest.raises(Overloaded):
                async with gate.passing(SMALL + 1, 0.05):
                    pytest.fail("the gate was full")
        async with gate.passing(CAPACITY, 1):
            pass

    asyncio.run(scenario())


def test_a_waiter_that_is_cancelled_holds_nobody_up() -> None:
    """Room that was meant for a request that is gone goes to the next."""

    async def scenario() -> None:
        gate = Gate(CAPACITY)

        async def enter() -> None:
            async with gate.passing(CAPACITY, 10):
                pass

        async with gate.passing(CAPACITY, 1):
            first, second = asyncio.create_task(enter()), asyncio.create_task(enter())
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.sleep(0)
        await asyncio.wait_for(second, 5)
        await asyncio.wait_for(enter(), 5)

    asyncio.run(scenario())


def test_a_call_that_waited_too_long_is_never_made() -> None:
    """A refused call has no effect; one that has begun is awaited to its end."""

    async def scenario(loop: StillLoop) -> list[str]:
        threads = Threads(1, 10, loop)
        made: list[str] = []
        begun, release = threading.Event(), threading.Event()

        def slow() -> str:
            begun.set()
            release.wait(LONG)
            made.append("slow")
            return "done"

        first = asyncio.create_task(threads.run(slow, 5))
        await asyncio.to_thread(begun.wait, LONG)
        late = asyncio.create_task(threads.run(lambda: made.append("late"), 5))
        await loop.pass_time(6)
        with pytest.raises(Overloaded):
            await late
        release.set()
        assert await first == "done"
        await threads.run(lambda: made.append("next"), 5)
        assert threads.close(5)
        return made

    assert still_loop.run(scenario) == ["slow", "next"]


def test_too_many_waiting_calls_are_refused() -> None:
    """The queue is bounded; what a thread raises is raised where it is awaited."""

    async def scenario() -> None:
        threads = Threads(1, 1, asyncio.get_running_loop())
        release = threading.Event()
        tasks = [asyncio.create_task(threads.run(lambda: release.wait(10), 5)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await threads.run(lambda: None, 5)
        release.set()
        await asyncio.gather(*tasks)
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0, 5)
        assert threads.close(5)

    asyncio.run(scenario())


class _Left:
    """What a failing call has in its hands."""


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_has_failed_is_let_go_of_at_once(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """All that it was about, be it a cursor or a large batch, waits for no garbage collector."""

    async def scenario() -> None:
        threads = Threads(1, 1, asyncio.get_running_loop())
        known: list[weakref.ref[_Left]] = []

        def fail() -> None:
            left = _Left()
            known.append(weakref.ref(left))
            raise NotFound("There is none.")

        with contextlib.suppress(NotFound):
            await threads.run(fail, 5)
        assert await threads.run(lambda: 1) == 1  # by now its thread is behind it
        assert known[0]() is None
        assert threads.close(5)

    gc.disable()
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(scenario())
    finally:
        gc.enable()
