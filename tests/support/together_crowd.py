"""A crowd at one queue: threads that wait and coroutines that are told, all at the same time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from demijohn.errors import DuplicateKey, OutcomeUnknown, Overloaded
from demijohn.store.together import Bounds, Lead, Together
from tests.support.together_referee import Piece, Referee

WAITERS = 8
"""Threads, and as many coroutines."""


class Crowd:
    """One queue, and all who use it."""

    def __init__(self, kind: type[Together[Any, Any]], bounds: Bounds, seed: int) -> None:
        """Take the kind of queue, its bounds, and a seed of who does what for how long."""
        self.referee = Referee(bounds)
        self._random = random.Random(seed)
        self._together: Together[Piece, object] = kind(
            self._carry_out, lambda piece: piece.size, bounds
        )

    def play(self, pieces: int) -> Referee:
        """Have each send so many items, one after the other; who judged it."""
        with ThreadPoolExecutor(WAITERS) as threads, ThreadPoolExecutor(WAITERS) as leaders:
            done = [threads.submit(self._ask, number, pieces) for number in range(WAITERS)]
            asyncio.run(self._told(leaders, pieces))
            for each in done:
                each.result()
        self.referee.close()
        return self.referee

    def _carry_out(self, pieces: Sequence[Piece]) -> list[object]:
        self.referee.begin(pieces)
        time.sleep(self._random.random() / 1_000)
        outcome = self._outcome(pieces)
        self.referee.end(pieces, outcome)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _outcome(self, pieces: Sequence[Piece]) -> list[object] | BaseException:
        chance = self._random.random()
        if chance < 0.1:
            return OutcomeUnknown("The connection broke.")
        if chance < 0.2:
            return SystemExit("from the middle of a call")
        return [
            DuplicateKey(f"{piece.who} {piece.number}") if piece.size % 3 == 0 else piece.number
            for piece in pieces
        ]

    def _pieces(self, who: str, count: int) -> list[Piece]:
        return [Piece(who, number, self._random.randint(1, 9)) for number in range(count)]

    def _ask(self, number: int, count: int) -> None:
        for piece in self._pieces(f"thread {number}", count):
            self.referee.send(piece)
            try:
                outcome: object = self._together.run(piece)
            except Overloaded:
                self.referee.give_up(piece)
            except BaseException as error:  # noqa: BLE001 - judged as any other outcome
                self.referee.settle(piece, error)
            else:
                self.referee.settle(piece, outcome)

    async def _told(self, leaders: Executor, count: int) -> None:
        names = [f"coroutine {number}" for number in range(WAITERS)]
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(self._send(leaders, self._pieces(name, count)) for name in names)
            )

    async def _send(self, leaders: Executor, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self.referee.send(piece)
            waiter = _Told(self.referee, piece, leaders)
            try:
                ticket = self._together.submit(piece, waiter)
            except Overloaded:
                self.referee.give_up(piece)
                continue
            if self._random.random() < 0.2:
                await asyncio.sleep(self._random.random() / 1_000)
                if ticket.withdraw():
                    self.referee.give_up(piece)
                    continue
            await waiter.settled.wait()


class _Told:
    """What waits on the loop."""

    def __init__(self, referee: Referee, piece: Piece, leaders: Executor) -> None:
        self.settled = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._referee = referee
        self._piece = piece
        self._leaders = leaders

    def settle(self, outcome: object) -> None:
        self._referee.settle(self._piece, outcome)
        self._loop.call_soon_threadsafe(self.settled.set)

    def lead(self, lead: Lead) -> None:
        self._leaders.submit(lead)
