"""Calls of one kind that come at the same time are carried out in one, and none is told too early.

`Machine` (tests/support/together_machine.py) tries the orders of steps, `Crowd` (together_crowd.py)
all at one time; the queues that they must find out are in tests/support/faults/group_commit.py.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from demijohn.errors import Overloaded
from demijohn.store.together import Bounds, Queues, Ticket, Together
from tests.support.faults import group_commit as broken
from tests.support.processes import wait_until
from tests.support.together_crowd import Crowd
from tests.support.together_machine import LATE, Found, Machine
from tests.support.together_ride import Ride, ride

STEPS = settings(
    max_examples=100, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
MANY_STEPS = settings(STEPS, max_examples=5_000)
FIND = settings(STEPS, phases=[Phase.generate], database=None, derandomize=True, max_examples=300)
"""For the controls: the first fault will do, and is the same each time."""
WELL = {"good": staticmethod(lambda piece: ("done", piece))}
"""How `Machine` has a call end well."""


@pytest.mark.parametrize("size", [STEPS, pytest.param(MANY_STEPS, marks=pytest.mark.soak)])
def test_whatever_comes_in_whichever_order(size: settings) -> None:
    """Each waiter gets its own outcome, once, after its call; all bounds and orders hold."""
    run_state_machine_as_test(Machine, settings=size)


@pytest.mark.parametrize(
    ("kind", "ends", "finding"),
    [
        (type("Early", (broken.Early,), WELL), ["well"], "early"),
        (broken.MixedUp, ["well"], "not its own"),
        (broken.MixedUp, ["half"], "not its own"),
        (broken.Mortal, ["well", "exit"], "never|leader raised"),
        (broken.Yielding, ["well"], "taken back|withdrawal"),
        (broken.Unfair, ["well"], "order"),
        (broken.Hasty, ["well"], "led too soon"),
        (broken.Greedy, ["well"], "bounds"),
        (broken.Sharing, ["unknown"], "shared"),
        (broken.Spacious, ["well"], "taken without room"),
    ],
)
def test_a_queue_with_one_thing_wrong_is_found(
    kind: type[Together[Any, Any]], ends: list[str], finding: str
) -> None:
    """The control: each of these breaks one promise, and that is what is found."""
    # Where nothing comes that is waited for, that is what is looked for, and soon enough.
    long = 1.0 if "never" in finding else Machine.long
    machine = type(kind.__name__, (Machine,), {"kind": kind, "ends": ends, "long": long})
    with pytest.raises(Found, match=f"^({finding})"):
        run_state_machine_as_test(machine, settings=FIND)


CROWDS = [
    Bounds(4, 20, 8, 60, patience=30, slow=math.inf),
    Bounds(1_000, 10_000, 1_000, 10_000, patience=30, slow=math.inf),
    Bounds(3, 15, 1_000, 10_000, patience=30, slow=0.0005, most_calls=3),
]


@pytest.mark.parametrize("bounds", CROWDS, ids=["small", "large", "several calls"])
@pytest.mark.parametrize("pieces", [15, pytest.param(2_000, marks=pytest.mark.soak)])
def test_a_crowd(bounds: Bounds, pieces: int) -> None:
    """Threads and coroutines at the same time: to each its own, and some ride together."""
    referee = Crowd(Together, bounds, seed=pieces).play(pieces)
    assert referee.faults == {}
    assert max(referee.sizes) > 1


@pytest.mark.parametrize(
    ("kind", "finding", "pieces"),
    [
        (broken.Early, "early", 15),
        (broken.MixedUp, "not its own", 15),
        (broken.Sharing, "shared", 60),  # shows where a call of several raises: one in five
        (broken.Greedy, "bounds", 60),
    ],
)
def test_a_crowd_finds_what_is_wrong(
    kind: type[Together[Any, Any]], finding: str, pieces: int
) -> None:
    """The control: in a crowd each of these shows, whoever meets whom."""
    assert finding in Crowd(kind, CROWDS[0], seed=1).play(pieces).faults


def _noting(calls: list[list[str]]) -> Callable[[Sequence[str]], Sequence[str]]:
    """Carries out nothing, and notes what it was given."""

    def carry_out(items: Sequence[str]) -> Sequence[str]:
        calls.append(list(items))
        return items

    return carry_out


class _Held:
    """A queue whose calls wait until they are let go; what they carried out."""

    def __init__(self, bounds: Bounds, kind: type[Together[Any, Any]] = Together) -> None:
        self.go = threading.Event()
        self.calls: list[list[str]] = []
        self.together: Together[str, str] = kind(self._carry_out, len, bounds)

    def _carry_out(self, items: Sequence[str]) -> list[str]:
        go = self.go  # of this call: whoever sees it may put another in its place
        self.calls.append(list(items))
        assert go.wait(60)
        return [item.upper() for item in items]


def test_who_waits_for_too_long_is_refused_and_nothing_is_done() -> None:
    """Nobody takes the item within the patience: Overloaded, and it never is carried out."""
    held = _Held(Bounds(10, 100, 10, 100, patience=0.05, slow=math.inf))
    with ThreadPoolExecutor(1) as threads:
        leader = threads.submit(held.together.run, "a")
        wait_until(lambda: held.calls, "the first is carried out")
        with pytest.raises(Overloaded):
            held.together.run("b")
        assert held.together.waiting == 0
        held.go.set()
        assert leader.result() == "A"
    assert held.together.run("c") == "C"
    assert held.calls == [["a"], ["c"]]


class _Unhurried(Together[Any, Any]):
    """Whoever loses patience notices only once his item is taken, however late that is."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.tried: list[str] = []

    def _withdraw(self, ticket: Ticket[Any, Any], leading: bool) -> bool:  # noqa: FBT001
        wait_until(lambda: ticket.is_taken, "it is taken")
        self.tried.append(ticket.item)
        return super()._withdraw(ticket, leading)


def test_who_was_taken_waits_for_the_end() -> None:
    """Once it is taken, patience is over: only its call can say what became of it."""
    held = _Held(Bounds(10, 100, 10, 100, patience=0.05, slow=math.inf), _Unhurried)
    tried = cast(_Unhurried, held.together).tried
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(held.together.run, "a")
        wait_until(lambda: held.calls, "the first is carried out")
        others = [threads.submit(held.together.run, item) for item in "bc"]
        wait_until(lambda: held.together.waiting == 2, "the others wait")
        release, held.go = held.go, threading.Event()
        release.set()
        wait_until(lambda: len(held.calls) == 2, "the others are carried out")
        wait_until(lambda: held.calls[1][1] in tried, "the one who does not lead gives up")
        held.go.set()
        assert [each.result() for each in (first, *others)] == ["A", "B", "C"]
    assert sorted(held.calls[1]) == ["b", "c"]


def test_who_is_told_to_lead_may_leave_before_it_begins() -> None:
    """Its item is never carried out; the lead goes to those who wait, and is free without any."""
    calls: list[list[str]] = []
    bounds = Bounds(10, 100, 10, 100, patience=1, slow=math.inf)
    together: Together[str, str] = Together(_noting(calls), len, bounds)
    going = Ride(together, "abc")
    assert not going.tickets[0].withdraw()
    assert going.tickets[0].withdraw(leading=True)
    assert going.go() == ["b", "c"]
    alone = Ride(together, "d")
    assert alone.tickets[0].withdraw(leading=True)
    assert alone.go() == []
    assert together.run("e") == "e"
    assert calls == [["b", "c"], ["e"]]


def _come_beside_a_slow_call(held: _Held) -> None:
    """One is carried out, one waits, and one comes when the first call has become slow."""
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(held.together.run, "a")]
        wait_until(lambda: held.calls, "the first is carried out")
        asked.append(threads.submit(held.together.run, "b"))
        wait_until(lambda: held.together.waiting == 1, "the second waits")
        began = held.together._began
        began.update({each: at - 10 * LATE for each, at in began.items()})
        asked.append(threads.submit(held.together.run, "c"))
        wait_until(lambda: len(held.calls) == 2, "another call begins")
        held.go.set()
        assert [each.result() for each in asked] == ["A", "B", "C"]


def test_beside_a_slow_call_a_full_queue_makes_room() -> None:
    """Whoever comes has the oldest begin another call, though there was no room to wait."""
    held = _Held(Bounds(1, 100, 1, 100, patience=30, slow=LATE, most_calls=2))
    _come_beside_a_slow_call(held)


def test_what_comes_at_one_time_is_one_call() -> None:
    """However long nothing came before: nobody begins beside a call that has not even begun."""
    calls: list[list[str]] = []
    bounds = Bounds(10, 100, 10, 100, patience=1, slow=30)
    together: Together[str, str] = Together(_noting(calls), len, bounds)
    assert ride(together, "abcdef") == list("abcdef")
    assert calls == [list("abcdef")]


def test_beside_a_slow_call_the_oldest_goes_first() -> None:
    """Another call begins where one is slow, with those who have waited longest first."""
    held = _Held(Bounds(10, 100, 10, 100, patience=30, slow=LATE, most_calls=2))
    _come_beside_a_slow_call(held)
    assert held.calls == [["a"], ["b", "c"]]


class _Stubborn(Exception):
    """An exception that cannot be copied, as some libraries have them."""

    def __init__(self, *, words: str) -> None:
        super().__init__(words)


def test_an_exception_that_cannot_be_copied() -> None:
    """It is no reason to wait for ever: each is told of a failure, and the next is served."""
    calls: list[list[str]] = []

    def carry_out(items: Sequence[str]) -> Sequence[str]:
        calls.append(list(items))
        if len(calls) == 1:
            raise _Stubborn(words="no")
        return items

    bounds = Bounds(2, 100, 10, 100, patience=1, slow=math.inf)
    together: Together[str, str] = Together(carry_out, len, bounds)
    *failed, last = ride(together, "abc")
    assert [isinstance(each, BaseException) for each in failed] == [True, True]
    assert last == "c"
    assert together.run("d") == "d"


def test_a_call_that_does_not_answer_for_each_is_a_defect() -> None:
    """Nobody is told another's outcome, or nothing: all of the call get the same refusal."""
    together: Together[str, str] = Together(lambda _: [], len, Bounds(10, 100, 10, 100, patience=1))
    for _ in range(2):
        with pytest.raises(AssertionError):
            together.run("a")


def test_what_is_of_one_name_rides_together() -> None:
    """Each name has a queue of its own; many names do not take memory for ever."""
    carried: list[tuple[str, list[str]]] = []

    def carry_out(name: str, items: Sequence[str]) -> list[str]:
        carried.append((name, list(items)))
        return [name + item for item in items]

    queues: Queues[str, str] = Queues(carry_out, len, Bounds(10, 100, 10, 100, patience=1))
    assert queues.of("a") is queues.of("a") is not queues.of("b")
    names = [f"n{number}" for number in range(3_000)]
    assert [queues.of(name).run("x") for name in names] == [f"{name}x" for name in names]
    assert carried == [(name, ["x"]) for name in names]
    assert len(queues._of) < 3_000
