"""When requests are shed: waits that last, and nothing that ends by itself."""

from __future__ import annotations

import asyncio
import math
import threading
import tracemalloc
from itertools import pairwise
from types import SimpleNamespace

import pytest

from demijohn.errors import Overloaded
from demijohn.front.heads import BRIEF, is_brief
from demijohn.front.shedding import TICK, Lateness, Pressure, Waits
from demijohn.front.threads import Threads


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.now = 1_000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def look(pressure: Pressure, clock: Clock, waited: float, seconds: float) -> None:
    """Let time pass in which every look finds this wait."""
    for _ in range(round(seconds / TICK)):
        clock.now += TICK
        pressure.note(waited)


def lasting() -> tuple[Pressure, Clock]:
    """A pressure under which waits have been long for long."""
    clock = Clock()
    pressure = Pressure(1, clock=clock)
    look(pressure, clock, 0.5, 1.1)
    assert pressure.is_lasting
    return pressure, clock


def test_waits_that_last_shed() -> None:
    """Whoever would be one more than keeps the work going is refused; the others are let in."""
    pressure, _ = lasting()
    assert pressure.refuses(10, 10)
    assert not pressure.refuses(9, 10)
    assert pressure.shed == 1


@pytest.mark.parametrize(
    ("waits", "why"),
    [
        ([(0.5, 0.9)], "a burst, a slow flush"),
        ([(0.5, 0.9), (0.0, TICK), (0.5, 0.9), (0.0, TICK), (0.5, 0.9)], "one after the other"),
        ([(0.15, 60)], "a queue that is short"),
        ([(30, 2 * TICK)], "a process that was stopped"),
    ],
)
def test_what_ends_by_itself_sheds_nothing(waits: list[tuple[float, float]], why: str) -> None:
    """Long waits are no overload as long as a short one comes in between."""
    clock = Clock()
    pressure = Pressure(1, clock=clock)
    for waited, seconds in waits:
        look(pressure, clock, waited, seconds)
        assert not pressure.refuses(10_000, 1), why


def test_it_ends_once_nobody_had_to_be_refused() -> None:
    """For as long as it took to begin; then waits have to be long for as long again."""
    pressure, clock = lasting()
    look(pressure, clock, 0.5, 0.5)
    assert pressure.refuses(10, 10)
    look(pressure, clock, 0.0, 0.9)
    assert pressure.is_lasting
    look(pressure, clock, 0.5, 0.9)
    assert not pressure.refuses(10, 10)
    look(pressure, clock, 0.5, 0.4)
    assert pressure.refuses(10, 10)


def test_it_can_be_turned_off() -> None:
    """0 is never."""
    clock = Clock()
    pressure = Pressure(0, clock=clock)
    look(pressure, clock, 1e6, 100)
    assert not pressure.refuses(10_000, 1)


def late_by(seconds: list[float], after: float = 1) -> list[float]:
    """The means of a loop that comes so late to each look in turn."""
    clock = Clock()
    lateness = Lateness(after, clock)
    means = []
    for late in seconds:
        lateness.due_in(TICK)
        clock.now += TICK + late
        means.append(lateness.look())
    return means


def test_a_loop_in_time_is_not_late() -> None:
    """Nor is one that is never looked at before it begins."""
    assert late_by([0.0] * 10) == pytest.approx([0.0] * 10, abs=1e-9)
    assert Lateness(1).look() == 0.0
    assert math.isfinite(Lateness(0).look())


def test_long_turns_between_short_ones_are_late() -> None:
    """A loop that begins requests in one turn and ends them in the next is as late as both."""
    assert min(late_by([0.2, 0.0] * 20)[10:]) > 0.1


def test_one_pause_is_soon_forgotten() -> None:
    """A process that was stopped for a minute is not shedding a second later."""
    means = late_by([60.0] + [0.0] * 50)
    assert all(later < earlier for earlier, later in pairwise(means))
    recovered = sum(each > 0.05 for each in means) * TICK
    assert recovered < 0.8


def test_the_longest_wait_is_of_the_oldest_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait no longer are passed over, in whatever order they were served."""
    clock = Clock()
    monkeypatch.setattr("demijohn.front.shedding.time", SimpleNamespace(monotonic=clock))
    waits = Waits()
    assert waits.longest() == 0.0
    first = waits.begin()
    clock.now += 5
    second, third = waits.begin(), waits.begin()
    clock.now += 1
    second.is_over = True
    assert waits.longest() == 6.0
    first.is_over = True
    assert waits.longest() == 1.0
    third.is_over = True
    assert waits.longest() == 0.0


def test_a_wait_holds_nothing_of_what_waits() -> None:
    """Of those that are over, behind one that lasts, no more is kept than that they were."""
    waits = Waits()
    waits.begin()
    tracemalloc.start()
    try:
        for _ in range(10_000):
            waits.begin().is_over = True
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()


def test_threads_shed_what_would_wait() -> None:
    """Under pressure few wait for a thread; what goes on with something begun is not refused."""

    async def scenario() -> None:
        pressure, _ = lasting()
        threads = Threads(1, 1_000, asyncio.get_running_loop(), pressure)
        release = threading.Event()
        tasks = [asyncio.create_task(threads.run(lambda: release.wait(10), 5)) for _ in range(4)]
        await asyncio.sleep(0.02)
        with pytest.raises(Overloaded):
            await threads.run(lambda: None, 5)
        begun = asyncio.create_task(threads.run(lambda: 1))
        await asyncio.sleep(0.02)
        assert threads.longest_wait() > 0.03
        release.set()
        assert await begun == 1
        await asyncio.gather(*tasks)
        assert threads.longest_wait() == 0.0
        assert threads.close(5)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "headers", "brief"),
    [
        (b"GET", [], True),
        (b"POST", [(b"content-length", b"%d" % BRIEF)], True),
        (b"POST", [(b"content-length", b"%d" % (BRIEF + 1))], False),
        (b"POST", [(b"transfer-encoding", b"chunked")], False),
        (b"POST", [(b"content-length", b"2"), (b"expect", b"100-continue")], False),
        (b"HEAD", [], False),
    ],
)
def test_what_is_refused_in_one_step(
    method: bytes, headers: list[tuple[bytes, bytes]], *, brief: bool
) -> None:
    """A request whose body goes by quickly, and whose answer has one; others take a while."""
    assert is_brief(method, headers) == brief
