"""Queues with one thing wrong (`demijohn.store.together`): what the tests of the right one find.

The first two are also builds of the service (`broken`).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from demijohn.store.together import Ticket, Together

Waiting = Ticket[Any, Any]
PAUSE = 0.02
"""Seconds."""


def no_problem(item: object) -> object:
    """What an insert is told that all went well with: no problem of any document."""
    del item
    return {}


class Early(Together[Any, Any]):
    """Acknowledges what it is about to carry out, and takes its time: a kill meets it sooner."""

    good = staticmethod(no_problem)
    """The acknowledgement of an item."""

    def _lead(self, first: Waiting) -> None:
        batch = self._take(first)
        for ticket in batch:
            ticket.waiter.settle(self.good(ticket.item))
        time.sleep(PAUSE)
        self._outcomes(batch)
        heir = self._hand_on(first)
        if heir is not None:
            self._let_lead(heir)


class MixedUp(Together[Any, Any]):
    """Gives the first of a call what befell the last, and the other way round."""

    def _outcomes(self, batch: list[Waiting]) -> Sequence[Any]:
        outcomes = list(super()._outcomes(batch))
        outcomes[0], outcomes[-1] = outcomes[-1], outcomes[0]
        return outcomes


class Mortal(Together[Any, Any]):
    """Takes the lead into the grave where a call raises what is no Exception."""

    def _outcomes(self, batch: list[Waiting]) -> Sequence[Any]:
        outcomes = super()._outcomes(batch)
        if isinstance(outcomes[0], SystemExit):
            raise copy.copy(outcomes[0])
        return outcomes


class Yielding(Together[Any, Any]):
    """Grants every withdrawal, of what is taken as well."""

    def _withdraw(self, ticket: Waiting, leading: bool) -> bool:  # noqa: FBT001 — as it is there
        super()._withdraw(ticket, leading)
        return True


class Unfair(Together[Any, Any]):
    """Serves whoever came last first."""

    def _pop(self) -> Waiting:
        self._queue.rotate(1)
        return super()._pop()


class Hasty(Together[Any, Any]):
    """Takes a call for slow because one before it was."""

    def _next_leader(self, otherwise: Waiting | None = None) -> Waiting | None:
        last = next(reversed(self._began.values()), None)
        leader = super()._next_leader(otherwise)
        if leader is not None and last is not None:
            self._began[leader] = last
        return leader


class Greedy(Together[Any, Any]):
    """Takes all that waits, however large it is."""

    def _take(self, first: Waiting) -> list[Waiting]:
        bounds = self._bounds
        self._bounds = replace(bounds, most_bytes=bounds.most_bytes * 100)
        try:
            return super()._take(first)
        finally:
            self._bounds = bounds


class Sharing(Together[Any, Any]):
    """Raises one exception in all threads."""

    def _outcomes(self, batch: list[Waiting]) -> Sequence[Any]:
        outcomes = super()._outcomes(batch)
        raised = [each for each in outcomes if isinstance(each, BaseException)]
        return [raised[0]] * len(batch) if len(raised) == len(batch) else outcomes


class Spacious(Together[Any, Any]):
    """Lets everything wait."""

    def _has_room(self, size: int) -> bool:
        del size
        return True
