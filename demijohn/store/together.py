"""Calls of one kind that come at the same time, carried out in one: the heart of group commit.

Whoever comes first leads: takes all that has queued, carries it out, tells each what became of its
item, and hands the lead to the oldest who waits. There is no timer: a lone call goes at once.

The states of an item::

    queued ──▶ taken ──▶ settled: an outcome, or what speaks against it
       └─────▶ withdrawn: it never will be taken

An item is taken once, by one leader, who alone settles it, after the call that had it has
returned; so nothing is acknowledged before it is written, however many lead at one time. Whose
turn it is to lead has its own item taken with that, so that the lead cannot be withdrawn.

It knows neither the database nor the event loop: what waits for an outcome is a `Waiter`.
"""

from __future__ import annotations

import copy
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar, cast

from demijohn.errors import Overloaded

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Outcome_contra = TypeVar("Outcome_contra", contravariant=True)
MOST_KEPT = 1_000
"""Queues that are kept while nothing is in them."""
Lead = Callable[[], None]
"""Carries out one call, and hands the lead on. It takes a thread, and raises nothing."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is carried out in one call, and how much may wait. Sizes in bytes."""

    most_items: int
    most_bytes: int
    """Of one call; an item that is larger goes alone."""
    most_waiting: int
    most_waiting_bytes: int
    """Of what nobody has taken yet."""
    patience: float
    """Seconds that an item waits for someone to take it."""
    slow: float = 0.1
    """Seconds after which another call may begin beside one."""
    most_calls: int = 4
    """Calls at one time."""


class Waiter(Protocol[Outcome_contra]):
    """Waits for what becomes of an item. Both methods are quick and raise nothing."""

    def settle(self, outcome: Outcome_contra | BaseException) -> None:
        """Take the outcome, or what speaks against it. Called once, from a leader's thread."""
        ...

    def lead(self, lead: Lead) -> None:
        """See to it that `lead` is called soon, once, from a thread. Called from any thread."""
        ...


class Ticket(Generic[Item, Outcome]):
    """An item on its way."""

    __slots__ = ("_together", "is_leading", "is_taken", "is_withdrawn", "item", "size", "waiter")

    def __init__(
        self,
        item: Item,
        size: int,
        waiter: Waiter[Outcome],
        together: Together[Item, Outcome],
    ) -> None:
        self.item = item
        self.size = size
        self.waiter = waiter
        self.is_taken = False
        self.is_leading = False
        """Whether its waiter was told to lead, and has not begun."""
        self.is_withdrawn = False
        self._together = together

    def withdraw(self, *, leading: bool = False) -> bool:
        """Take it back, as long as nobody has taken it; whether that was so.

        With `leading` also while its waiter was told to lead and has not begun. What it was told
        to call still has to be called: it leads the others.
        """
        return self._together._withdraw(self, leading)  # noqa: SLF001 — its other half


class Together(Generic[Item, Outcome]):
    """One queue, and those who lead it."""

    def __init__(
        self,
        carry_out: Callable[[Sequence[Item]], Sequence[Outcome | BaseException]],
        size: Callable[[Item], int],
        bounds: Bounds,
    ) -> None:
        """Take how items are carried out together, how large one is in bytes, and the bounds.

        `carry_out` returns the outcome of each, or what speaks against it; what it raises speaks
        against all of them.
        """
        self._carry_out = carry_out
        self._size = size
        self._bounds = bounds
        self._lock = threading.Lock()
        self._queue: deque[Ticket[Item, Outcome]] = deque()
        self._waiting_bytes = 0
        self._began: dict[Ticket[Item, Outcome], float] = {}
        """When each who leads was told to, the last one last."""

    @property
    def waiting(self) -> int:
        """Items that nobody has taken yet."""
        return len(self._queue)

    def run(self, item: Item) -> Outcome:
        """The item's outcome; the calling thread leads, or waits for one who does.

        Raises what speaks against the item, and Overloaded where too much waits or nobody took it
        in time: then it was not and will not be carried out.
        """
        waiter = _WaitingThread[Outcome]()
        ticket = self.submit(item, waiter)
        patience: float | None = self._bounds.patience
        while not waiter.is_settled:
            if waiter.follow(patience):
                continue
            if ticket.withdraw():
                raise overloaded()
            patience = None  # it was taken: only the leader can tell what became of it
        return waiter.outcome()

    def submit(self, item: Item, waiter: Waiter[Outcome]) -> Ticket[Item, Outcome]:
        """Queue an item; where nobody leads, the waiter of the oldest is told to. It never blocks.

        Raises Overloaded where too much waits.
        """
        ticket = Ticket(item, self._size(item), waiter, self)
        with self._lock:
            # First, for it makes room; and whoever has waited longest leads.
            leader = self._next_leader(ticket) if self._may_lead() else None
            has_room = leader is ticket or self._has_room(ticket.size)
            if has_room and leader is not ticket:
                self._queue.append(ticket)
                self._waiting_bytes += ticket.size
        if leader is not None:
            self._let_lead(leader)
        if not has_room:
            raise overloaded()
        return ticket

    def _may_lead(self) -> bool:
        """One call at a time has the most in it; but what makes one slow need not slow down all."""
        if not self._began:
            return True
        last = next(reversed(self._began.values()))
        is_slow = time.monotonic() - last > self._bounds.slow
        return is_slow and len(self._began) < self._bounds.most_calls

    def _has_room(self, size: int) -> bool:
        bounds = self._bounds
        # One always fits, however large it is.
        fits = not self._queue or self._waiting_bytes + size <= bounds.most_waiting_bytes
        return fits and len(self._queue) < bounds.most_waiting

    def _let_lead(self, ticket: Ticket[Item, Outcome]) -> None:
        ticket.waiter.lead(partial(self._lead, ticket))

    def _lead(self, first: Ticket[Item, Outcome]) -> None:
        """Carry out the leader's own item and what has queued meanwhile, as far as it fits."""
        batch = self._take(first)
        if not batch:
            return  # who was to lead was withdrawn, and nobody else waits
        outcomes = self._outcomes(batch)
        heir = self._hand_on(first)
        if heir is not None:
            self._let_lead(heir)
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.waiter.settle(outcome)

    def _take(self, first: Ticket[Item, Outcome]) -> list[Ticket[Item, Outcome]]:
        batch: list[Ticket[Item, Outcome]] = []
        size = 0
        with self._lock:
            if not first.is_withdrawn:
                first.is_leading = False
                batch, size = [first], first.size
            while self._queue and len(batch) < self._bounds.most_items:
                if batch and size + self._queue[0].size > self._bounds.most_bytes:
                    break
                ticket = self._pop()
                size += ticket.size
                batch.append(ticket)
            if not batch:
                del self._began[first]
        return batch

    def _hand_on(self, first: Ticket[Item, Outcome]) -> Ticket[Item, Outcome] | None:
        """Who is to lead next, the oldest; None where nobody waits, and the lead is free."""
        with self._lock:
            del self._began[first]
            return self._next_leader()

    def _next_leader(
        self, otherwise: Ticket[Item, Outcome] | None = None
    ) -> Ticket[Item, Outcome] | None:
        """The oldest that waits, or another where none does, from now on a leader."""
        leader = self._pop() if self._queue else otherwise
        if leader is not None:
            leader.is_taken = leader.is_leading = True
            self._began[leader] = time.monotonic()
        return leader

    def _pop(self) -> Ticket[Item, Outcome]:
        ticket = self._queue.popleft()
        ticket.is_taken = True
        self._waiting_bytes -= ticket.size
        return ticket

    def _withdraw(self, ticket: Ticket[Item, Outcome], leading: bool) -> bool:  # noqa: FBT001
        with self._lock:
            if ticket.is_leading and leading:
                ticket.is_leading = False
                ticket.is_withdrawn = True
                return True
            if ticket.is_taken:
                return False
            self._queue.remove(ticket)
            self._waiting_bytes -= ticket.size
            ticket.is_taken = ticket.is_withdrawn = True
        return True

    def _outcomes(self, batch: list[Ticket[Item, Outcome]]) -> Sequence[Outcome | BaseException]:
        try:
            outcomes = self._carry_out([ticket.item for ticket in batch])
            if len(outcomes) != len(batch):
                raise AssertionError("not an outcome for each item")  # noqa: TRY301
        except BaseException as error:  # noqa: BLE001 — raised where each of them waits
            return [_again(error) for _ in batch]
        return outcomes


class Queues(Generic[Item, Outcome]):
    """A queue of the same kind for each name: what is of one name is carried out together."""

    def __init__(
        self,
        carry_out: Callable[[str, Sequence[Item]], Sequence[Outcome | BaseException]],
        size: Callable[[Item], int],
        bounds: Bounds,
    ) -> None:
        """As of `Together`, with the name as the first argument of `carry_out`."""
        self._carry_out = carry_out
        self._size = size
        self._bounds = bounds
        self._of: dict[str, Together[Item, Outcome]] = {}

    def of(self, name: str) -> Together[Item, Outcome]:
        """The name's queue."""
        found = self._of.get(name)
        if found is None:
            if len(self._of) >= MOST_KEPT:
                self._of.clear()  # what is in them is carried out all the same
            found = Together(partial(self._carry_out, name), self._size, self._bounds)
            self._of[name] = found
        return found


def _again(error: BaseException) -> BaseException:
    """The same, as another object: what several threads raise collects the frames of them all."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 — whatever a constructor demands that is not ours
        failure = RuntimeError("what was carried out together has failed")
        failure.__cause__ = error
        return failure


def overloaded() -> Overloaded:
    """The problem of an item that was not carried out, for there was no room or no turn."""
    return Overloaded("Too many requests of this kind are waiting for the database.")


class _WaitingThread(Generic[Outcome]):
    """A thread that waits for its item, and leads where it is asked to."""

    def __init__(self) -> None:
        self.is_settled = False
        self._signals: queue.SimpleQueue[Lead | None] = queue.SimpleQueue()
        self._outcome: Outcome | BaseException | None = None

    def settle(self, outcome: Outcome | BaseException) -> None:
        self._outcome = outcome
        self.is_settled = True
        self._signals.put(None)

    def lead(self, lead: Lead) -> None:
        self._signals.put(lead)

    def follow(self, patience: float | None) -> bool:
        """Wait for a signal and do what it says; False where none comes in so many seconds."""
        try:
            lead = self._signals.get(timeout=patience)
        except queue.Empty:
            return False
        if lead is not None:
            lead()
        return True

    def outcome(self) -> Outcome:
        """The outcome. Raises what speaks against the item."""
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return cast(Outcome, self._outcome)
