"""Items that certainly ride in one call: all are queued before the first of them leads."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from demijohn.store.together import Lead, Queues, Ticket, Together

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Ride(Generic[Item, Outcome]):
    """Takes items one after the other; then has them carried out, in this thread."""

    def __init__(self, queue: Together[Item, Outcome], items: Iterable[Item] = ()) -> None:
        """Take the queue, which nobody else uses, and the first items."""
        self.tickets: list[Ticket[Item, Outcome]] = []
        self._queue = queue
        self._outcomes: dict[int, Outcome | BaseException] = {}
        self._leads: list[Lead] = []
        for item in items:
            self.tickets.append(queue.submit(item, _Rider(self, len(self.tickets))))

    def go(self) -> list[Outcome | BaseException]:
        """Carry all out; the outcome of each that was not taken back, in their order."""
        while self._leads:
            self._leads.pop()()
        return [outcome for _, outcome in sorted(self._outcomes.items())]

    def settle(self, place: int, outcome: Outcome | BaseException) -> None:
        """Note an outcome."""
        assert place not in self._outcomes
        self._outcomes[place] = outcome

    def note(self, lead: Lead) -> None:
        """Note that somebody is to lead."""
        self._leads.append(lead)


class _Rider(Generic[Outcome]):
    def __init__(self, ride: Ride[Any, Outcome], place: int) -> None:
        self._ride = ride
        self._place = place

    def settle(self, outcome: Outcome | BaseException) -> None:
        self._ride.settle(self._place, outcome)

    def lead(self, lead: Lead) -> None:
        self._ride.note(lead)


def patiently(queues: Queues[Item, Outcome]) -> Queues[Item, Outcome]:
    """The same, with no call ever slow: none begins beside another, however busy the machine is."""
    queues._bounds = replace(queues._bounds, slow=math.inf)
    return queues


def ride(queue: Together[Item, Any], items: Iterable[Item]) -> list[Any]:
    """The outcomes of items that ride together, in their order."""
    return Ride(queue, items).go()
