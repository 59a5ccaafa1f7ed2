"""What the event loop waits for together: each for as long as it has patience, and no longer."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest

from demijohn.errors import Overloaded
from demijohn.front.exchange import ClientGone
from demijohn.front.hot import Hot, Leaders
from demijohn.front.protocol import Connection
from demijohn.store.together import Bounds, Together
from tests.support import still_loop
from tests.support.processes import LONG
from tests.support.still_loop import StillLoop

PATIENCE = 0.3
"""Seconds of a clock that stands still: a thread that comes late makes nobody give up."""
T = TypeVar("T")


class Answer:
    """What an item comes to."""

    def __init__(self, item: str) -> None:
        self.item = item


class Bench:
    """Items that are carried out one call at a time, the first of them once the gate is open."""

    def __init__(self, leaders: Leaders) -> None:
        self.gate = threading.Event()
        self.carried: list[str] = []
        self._begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._together: Together[str, Answer] = Together(
            self._carry_out, len, Bounds(10, 100, 10, 100, patience=60, slow=60)
        )
        self._hot = Hot(leaders, PATIENCE)

    def ask(self, item: str, connection: object = None) -> Coroutine[Any, Any, Answer]:
        """What becomes of an item."""
        submit = partial(self._together.submit, item)
        return self._hot.outcome(submit, cast(Connection, connection or SimpleNamespace()))

    async def stuck(self) -> asyncio.Task[Answer]:
        """A first one, which is under way from now on."""
        first = asyncio.create_task(self.ask("first"))
        await self._begun.wait()
        return first

    def _carry_out(self, items: Sequence[str]) -> list[Answer | BaseException]:
        self.carried += items
        if "first" in items:
            self._loop.call_soon_threadsafe(self._begun.set)
            self.gate.wait()
        return [Answer(item) for item in items]


@contextmanager
def leaders() -> Iterator[Leaders]:
    """Two threads that lead."""
    made = Leaders(2)
    try:
        yield made
    finally:
        assert made.close(10)


def run(
    scenario: Callable[[Leaders, StillLoop], Coroutine[Any, Any, T]], patch: pytest.MonkeyPatch
) -> T:
    """What comes of a scenario on a loop, and with deadlines, for which time stands still."""

    def begin(loop: StillLoop) -> Coroutine[Any, Any, T]:
        for module in ("hot", "shedding"):
            patch.setattr(f"demijohn.front.{module}.time", SimpleNamespace(monotonic=loop.time))
        return scenario(made, loop)

    with leaders() as made:
        return still_loop.run(begin)


def test_a_leader_outlives_a_defect() -> None:
    """What it was to do has failed; whoever comes after it is led all the same."""
    leaders, led = Leaders(1), threading.Event()

    def fail() -> None:
        raise ValueError("a defect")

    leaders.post(fail)
    leaders.post(led.set)

    assert led.wait(LONG)
    assert leaders.close(LONG)


def test_each_gives_up_in_its_own_time_and_only_before_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who waits too long is refused and not carried out; whose turn has come waits on."""

    async def scenario(made: Leaders, loop: StillLoop) -> list[str]:
        bench = Bench(made)
        first = await bench.stuck()
        early = asyncio.create_task(bench.ask("early"))
        await loop.pass_time(PATIENCE * 0.6)
        late = asyncio.create_task(bench.ask("late"))
        await loop.pass_time(PATIENCE * 0.6)
        with pytest.raises(Overloaded):
            await early
        assert not late.done()
        await loop.pass_time(PATIENCE * 0.6)
        with pytest.raises(Overloaded):
            await late
        assert not first.done()
        bench.gate.set()
        assert (await first).item == "first"
        assert (await bench.ask("after")).item == "after"
        return bench.carried

    assert run(scenario, monkeypatch) == ["first", "after"]


def test_who_leaves_is_not_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes takes back what nobody has taken yet, and nothing else."""

    async def scenario(made: Leaders, _: StillLoop) -> list[str]:
        bench = Bench(made)
        first = await bench.stuck()
        connection = SimpleNamespace(when_lost=None)
        left = asyncio.create_task(bench.ask("left", connection))
        await asyncio.sleep(0)
        connection.when_lost()
        with pytest.raises(ClientGone):
            await left
        assert connection.when_lost is None
        bench.gate.set()
        await first
        return bench.carried

    assert run(scenario, monkeypatch) == ["first"]


def test_what_is_over_is_let_go_of_behind_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands end while one waits for its turn: none of what they were told is kept by then."""

    async def scenario(made: Leaders, _: StillLoop) -> None:
        stuck, other = Bench(made), Bench(made)
        other._hot = stuck._hot
        first = await stuck.stuck()
        try:
            told = [weakref.ref(await other.ask(str(number))) for number in range(10)]
            gc.collect()
            # The last one's leader may have it yet.
            assert [each() for each in told[:-1]] == [None] * 9
        finally:
            stuck.gate.set()
        await first

    run(scenario, monkeypatch)
