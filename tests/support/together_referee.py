"""What happens to each item of a queue (`demijohn.store.together`), judged as it happens.

=============  ====================================================================================
early          it was settled before the call that had it had returned
not its own    it was settled with anything but what its call returned, or raised, for it
twice          it was carried out, or settled, more than once
taken back     it was carried out though its withdrawal was granted, or it was refused
order          in a call, or with one call at a time from call to call, it came before what was sent
               earlier
bounds         a call had too many items or bytes, or there were too many calls at one time
shared         it was settled with an exception that another was settled with too
never          it was neither settled, nor withdrawn, nor refused
=============  ====================================================================================
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from demijohn.store.together import Bounds


def calls_at_once(bounds: Bounds) -> int:
    """How many calls there may be at one time, where time plays no part: one that is never slow."""
    return 1 if bounds.slow == math.inf else bounds.most_calls


@dataclass(frozen=True, slots=True)
class Piece:
    """An item: whose it is, which of his it is, counted from 0, and its bytes."""

    who: str
    number: int
    size: int = 1


class _Pending:
    """Stands for the outcome of a call that has not returned."""


PENDING = _Pending()


@dataclass(slots=True)
class _Fate:
    due: object = PENDING
    carried: int = 0
    settled: int = 0
    is_given_up: bool = False


class Referee:
    """Judges one queue. Every method may be called from any thread."""

    def __init__(self, bounds: Bounds) -> None:
        """Take the bounds that the queue is to keep."""
        self.faults: dict[str, list[Any]] = defaultdict(list)
        """By kind, the items that they befell; empty where all is well."""
        self.sizes: list[int] = []
        """How many items each call had."""
        self._bounds = bounds
        self._lock = threading.Lock()
        self._fates: dict[Piece, _Fate] = defaultdict(_Fate)
        self._calls = 0
        self._latest: dict[str, int] = {}
        self._errors: list[BaseException] = []

    def send(self, piece: Piece) -> None:
        """It is about to be queued."""
        with self._lock:
            self._fates[piece] = _Fate()

    def begin(self, pieces: Sequence[Piece]) -> None:
        """A call that has these begins."""
        with self._lock:
            self._calls += 1
            self.sizes.append(len(pieces))
            self._hold_to_bounds(pieces)
            self._hold_to_order(pieces)
            for piece in pieces:
                fate = self._fates[piece]
                fate.carried += 1
                self._note("twice", piece, holds=fate.carried > 1)
                self._note("taken back", piece, holds=fate.is_given_up)

    def end(self, pieces: Sequence[Piece], outcome: Sequence[object] | BaseException) -> None:
        """The call is about to return these outcomes, or to raise this."""
        raised = isinstance(outcome, BaseException)
        dues = [outcome] * len(pieces) if isinstance(outcome, BaseException) else outcome
        with self._lock:
            self._calls -= 1
            for piece, due in zip(pieces, dues, strict=True):
                self._fates[piece].due = _Raised(due) if raised else due

    def settle(self, piece: Piece, outcome: object) -> None:
        """It is settled."""
        with self._lock:
            fate = self._fates[piece]
            fate.settled += 1
            self._note("twice", piece, holds=fate.settled > 1)
            self._note("early", piece, holds=fate.due is PENDING)
            is_own = fate.due is PENDING or fate.due == outcome
            self._note("not its own", piece, holds=not is_own)
            if isinstance(outcome, BaseException):
                is_anothers = any(each is outcome for each in self._errors)
                self._note("shared", piece, holds=is_anothers)
                self._errors.append(outcome)

    def give_up(self, piece: Piece) -> None:
        """Its withdrawal is granted, or it is refused."""
        with self._lock:
            self._fates[piece].is_given_up = True
            self._note("taken back", piece, holds=self._fates[piece].carried > 0)

    def close(self) -> None:
        """All is over: whoever waits yet waits for ever."""
        with self._lock:
            for piece, fate in self._fates.items():
                self._note("never", piece, holds=not (fate.settled or fate.is_given_up))

    def _note(self, kind: str, what: object, *, holds: bool) -> None:
        if holds:
            self.faults[kind].append(what)

    def _hold_to_bounds(self, pieces: Sequence[Piece]) -> None:
        size = sum(piece.size for piece in pieces)
        is_large = len(pieces) > 1 and size > self._bounds.most_bytes
        is_many = len(pieces) > self._bounds.most_items
        is_crowded = self._calls > calls_at_once(self._bounds)
        self._note("bounds", pieces, holds=is_large or is_many or is_crowded)

    def _hold_to_order(self, pieces: Sequence[Piece]) -> None:
        # Of several at one time a call may begin before another that took its items earlier.
        latest = self._latest if calls_at_once(self._bounds) == 1 else {}
        for piece in pieces:
            self._note("order", piece, holds=latest.get(piece.who, -1) > piece.number)
            latest[piece.who] = piece.number


@dataclass(slots=True)
class _Raised:
    """What a call has raised: everyone is due an exception like it."""

    error: object
    words: tuple[object, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.words = (type(self.error), str(self.error))

    def __eq__(self, other: object) -> bool:
        return (type(other), str(other)) == self.words

    __hash__ = None  # type: ignore[assignment]
