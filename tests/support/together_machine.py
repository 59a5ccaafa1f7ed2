"""Every order of steps that a queue may meet, one step at a time, beside a model of what is due.

`Machine` sends items from threads that wait and from waiters that are told, takes some back, has
leads begin, and has calls end well or badly. Each call waits until the machine ends it, so after
each step it is known what must be queued, carried out and settled. What differs raises `Found`.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from demijohn.errors import DuplicateKey, OutcomeUnknown, Overloaded
from demijohn.store.together import Bounds, Lead, Ticket, Together
from tests.support.processes import TimedOutError, wait_until
from tests.support.together_referee import Piece, Referee

PATIENCE = 60.0
"""Seconds that a thread waits for its turn: longer than any step takes."""
LATE = 1e6
"""Seconds that never pass by themselves."""
Ended = list[object] | BaseException
Outcome = object
BOUNDS = st.builds(
    Bounds,
    most_items=st.integers(1, 4),
    most_bytes=st.integers(1, 10),
    most_waiting=st.integers(1, 6),
    most_waiting_bytes=st.integers(1, 25),
    patience=st.just(PATIENCE),
    slow=st.sampled_from((0, LATE, math.inf)),
    most_calls=st.integers(1, 3),
)
"""A call is slow at once, once the machine says that time has passed, or never."""


class Found(AssertionError):
    """A promise was not kept; the words say which."""


def _done(pieces: Sequence[Piece]) -> Ended:
    return [("done", piece) for piece in pieces]


def _half(pieces: Sequence[Piece]) -> Ended:
    return [
        ("done", piece) if at % 2 else DuplicateKey(f"{piece.who} {piece.number}")
        for at, piece in enumerate(pieces)
    ]


ENDS: dict[str, Callable[[Sequence[Piece]], Ended]] = {
    "well": _done,
    "half": _half,
    "unknown": lambda _: OutcomeUnknown("The connection broke."),
    "defect": lambda _: ValueError("of a kind that nobody foresaw"),
    "exit": lambda _: SystemExit("from the middle of a call"),
}
"""How a call may end: the outcome of each, or what it raises."""


@dataclass(eq=False)
class Call:
    """A call under way."""

    pieces: list[Piece]
    ending: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    leader: threading.Thread = field(default_factory=threading.current_thread)


@dataclass(eq=False)
class Asked:
    """Somebody's item: a thread's, or one with a ticket."""

    piece: Piece
    thread: threading.Thread | None = None
    ticket: Ticket[Piece, Outcome] | None = None


class Machine(RuleBasedStateMachine):
    """One queue, what it is asked, and what it should make of that."""

    kind: ClassVar[type[Together[Any, Any]]] = Together
    """The queue that is tried."""
    ends: ClassVar[Sequence[str]] = sorted(ENDS)
    """How its calls end."""
    long: ClassVar[float] = 20.0
    """Seconds after which what should have happened is taken as never."""

    @initialize(bounds=BOUNDS)
    def open(self, bounds: Bounds) -> None:
        """Begin with nothing."""
        self.bounds = bounds
        self.referee = Referee(bounds)
        self.together: Together[Piece, Outcome] = self.kind(
            self._carry_out, lambda piece: piece.size, bounds
        )
        self.count = 0
        self.led: dict[Piece, bool] = {}
        """Those who lead, the last one last, and whether what they do counts as slow."""
        self.queued: list[Asked] = []
        self.taken: list[Asked] = []
        self.offers: list[tuple[Asked, Lead]] = []
        self.arrivals: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self.calls: list[Call] = []
        self.is_over = False

    # What is done

    @rule(size=st.integers(1, 12))
    def submit(self, size: int) -> None:
        """Send an item for a waiter that is told."""
        asked, has_room = self._new(size)
        offered = len(self.offers)
        try:
            asked.ticket = self.together.submit(asked.piece, _Told(self, asked))
        except Overloaded:
            self.referee.give_up(asked.piece)
            self._require(not has_room, "refused with room")
            self._take_lead(offered)
        else:
            self._require(has_room, "taken without room")
            self._enqueue(asked, offered)
        self._check()

    @rule(size=st.integers(1, 12))
    def ask(self, size: int) -> None:
        """Send an item from a thread that waits for its outcome."""
        asked, has_room = self._new(size)
        offered = len(self.offers)
        asked.thread = threading.Thread(target=self._run, args=(asked, has_room), daemon=True)
        asked.thread.start()
        if has_room:
            self._enqueue(asked, offered)
        else:
            self._take_lead(offered)
            self._wait(lambda: self._is_in_vain(asked), "never refused")
        self._check()

    @precondition(lambda self: self.bounds.slow == LATE and self.led)
    @rule()
    def pass_time(self) -> None:
        """Have what is under way count as slow."""
        began = self.together._began
        began.update({each: at - 10 * LATE for each, at in began.items()})
        self.led = dict.fromkeys(self.led, True)

    @precondition(lambda self: any(each.ticket for each in self.queued + self.taken))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """Take an item back that waits, or try to take one back that is taken."""
        mine = [each for each in self.queued + self.taken if each.ticket is not None]
        asked = data.draw(st.sampled_from(mine))
        assert asked.ticket is not None
        is_granted = asked.ticket.withdraw()
        if is_granted:
            self.referee.give_up(asked.piece)
        self._check()
        self._require(is_granted == (asked in self.queued), "withdrawal")
        if is_granted:
            self.queued.remove(asked)

    @precondition(lambda self: self.offers)
    @rule()
    def lead(self) -> None:
        """Do as a waiter was told: call what leads, from a thread."""
        asked, lead = self.offers.pop(0)
        threading.Thread(target=self._lead, args=(lead,), daemon=True).start()
        self._arrive(asked)
        self._check()

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """Have a call return, or raise."""
        call = data.draw(st.sampled_from(self.calls))
        self._end(call, data.draw(st.sampled_from(self.ends)))

    @invariant()
    def waits(self) -> None:
        """What waits is what should."""
        self._require(self.together.waiting == len(self.queued), "waiting")

    def teardown(self) -> None:
        """Have all of it end, if nothing was found yet."""
        if not hasattr(self, "together"):
            return
        while not self.is_over and (self.calls or self.offers):
            if self.calls:
                self._end(self.calls[0], "well")
            else:
                self.lead()
        if not self.is_over:
            self.referee.close()
            self._check()
            self._require(not self.queued and not self.led, "never")
        self._abandon()

    # What is due

    def _new(self, size: int) -> tuple[Asked, bool]:
        """An item, and whether there is room for it."""
        asked = Asked(Piece("one", self.count, size))
        self.count += 1
        self.referee.send(asked.piece)
        if self._is_due() and not self.queued:
            return asked, True
        left = self.queued[1:] if self._is_due() else self.queued
        waiting = sum(each.piece.size for each in left)
        is_large = bool(left) and waiting + size > self.bounds.most_waiting_bytes
        return asked, len(left) < self.bounds.most_waiting and not is_large

    def _is_due(self) -> bool:
        """Whether whoever comes finds that somebody is to lead."""
        if not self.led:
            return True
        is_slow = next(reversed(self.led.values())) or self.bounds.slow == 0
        return is_slow and len(self.led) < self.bounds.most_calls

    def _enqueue(self, asked: Asked, offered: int) -> None:
        """An item is queued: the oldest leads, if it is time that somebody does."""
        self.queued.append(asked)
        if not self._take_lead(offered):
            queued = len(self.queued)
            self._wait(lambda: self.together.waiting == queued or self._leads(offered), "never")
            self._require(not self._leads(offered), "led too soon")

    def _leads(self, offered: int) -> bool:
        """Whether somebody was given the lead since there were so many offers of it."""
        return len(self.offers) > offered or not self.arrivals.empty()

    def _take_lead(self, offered: int) -> bool:
        """The oldest leads, if it is time; whether it was."""
        if not (self._is_due() and self.queued):
            return False
        self._begin(self._oldest(), offered)
        return True

    def _oldest(self) -> Asked:
        """Who is given the lead next."""
        self.taken.append(self.queued.pop(0))
        self.led[self.taken[-1].piece] = False
        return self.taken[-1]

    def _begin(self, leader: Asked, offered: int) -> None:
        """Somebody is given the lead: a thread begins by itself, a waiter is told."""
        if leader.thread is not None:
            self._arrive(leader)
            return
        self._wait(lambda: len(self.offers) > offered or not self.arrivals.empty(), "never")
        newest = [asked for asked, _ in self.offers[offered:]]
        self._require(newest == [leader], "order")

    def _is_in_vain(self, asked: Asked) -> bool:
        self._require(self.together.waiting == len(self.queued), "taken without room")
        return asked.thread is not None and not asked.thread.is_alive()

    def _arrive(self, first: Asked) -> None:
        """Wait for the call that `first` leads, and hold it to what it should have."""
        try:
            call = self.arrivals.get(timeout=self.long)
        except queue.Empty:
            self._require(is_so=False, what="never")
        self.calls.append(call)
        self._check()
        batch, size = [first.piece], first.piece.size
        while self.queued and len(batch) < self.bounds.most_items:
            size += self.queued[0].piece.size
            if size > self.bounds.most_bytes:
                break
            self.taken.append(self.queued.pop(0))
            batch.append(self.taken[-1].piece)
        self._require(call.pieces == batch, "batch")

    def _end(self, call: Call, how: str) -> None:
        self.calls.remove(call)
        del self.led[call.pieces[0]]
        gone = [each for each in self.taken if each.piece in call.pieces]
        self.taken = [each for each in self.taken if each not in gone]
        heir = self._oldest() if self.queued else None
        offered = len(self.offers)
        call.ending.put(how)
        for thread in (call.leader, *(each.thread for each in gone)):
            self._join(thread)
        self._check()
        if heir is not None:
            self._begin(heir, offered)

    # What the queue and its threads meet

    def _carry_out(self, pieces: Sequence[Piece]) -> list[object]:
        self.referee.begin(pieces)
        call = Call(list(pieces))
        self.arrivals.put(call)
        ended = ENDS["well" if self.is_over else call.ending.get()](pieces)
        self.referee.end(pieces, ended)
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def _run(self, asked: Asked, has_room: bool) -> None:  # noqa: FBT001
        try:
            outcome: object = self.together.run(asked.piece)
        except BaseException as error:  # noqa: BLE001 - judged as any other outcome
            outcome = error
        if not has_room and isinstance(outcome, Overloaded):
            self.referee.give_up(asked.piece)
        else:
            self.referee.settle(asked.piece, outcome)

    def _lead(self, lead: Lead) -> None:
        try:
            lead()
        except BaseException as error:  # noqa: BLE001 - what must not be
            self.referee.faults["leader raised"].append(error)

    # Findings

    def _join(self, thread: threading.Thread | None) -> None:
        if thread is not None:
            thread.join(self.long)
            self._require(not thread.is_alive(), "never")

    def _wait(self, met: Callable[[], bool], what: str) -> None:
        try:
            wait_until(met, what, self.long)
        except TimedOutError:
            self._require(is_so=False, what=what)

    def _check(self) -> None:
        for kind, what in self.referee.faults.items():
            self._require(is_so=False, what=f"{kind}: {what}")

    def _require(self, is_so: bool, what: str) -> None:  # noqa: FBT001
        if not is_so:
            self._abandon()
            raise Found(what)

    def _abandon(self) -> None:
        """Let all threads go."""
        self.is_over = True
        for call in self.calls:
            call.ending.put("well")
        while self.offers:
            self._lead(self.offers.pop()[1])


class _Told:
    """A waiter that is told."""

    def __init__(self, machine: Machine, asked: Asked) -> None:
        self._machine = machine
        self._asked = asked

    def settle(self, outcome: Outcome) -> None:
        self._machine.referee.settle(self._asked.piece, outcome)

    def lead(self, lead: Lead) -> None:
        self._machine.offers.append((self._asked, lead))
