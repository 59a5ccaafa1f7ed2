"""Looks, for each document, for an order of its requests that explains what everybody was told.

Such an order keeps to time: what was answered before another request was sent stands before it.
What was answered took effect once, at an instant between the two, and was answered as the model
says (`tests.support.chaos.model`); what nobody was told of took effect once at any later time, or
never. If there is none, the service has done what no single copy of the document can do: it has
lost an update, shown what was not there, or let a stale tag pass. This is linearizability (Herlihy
and Wing, 1990), and the search is that of Wing and Gong with Lowe's memory of where it has been.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.support.chaos.history import Attempt, Document, Effect, Entry, Request, State, Version
from tests.support.chaos.model import NOT_FOUND, OK, step

MOST_STEPS = 300_000
"""Of the search for one document. A clean history takes about as many as it has requests."""
UNSEEN = "unseen"
"""Stands for every mark that nobody was ever shown."""
_MARKLESS = frozenset({Effect.INCREMENT, Effect.DELETE})
Node = tuple[int, State | None]
"""Which requests stand already, a bit each, and what the document is after them."""


class UndecidedError(AssertionError):
    """The search has found neither an order nor that there is none."""


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A document without an order: the request at which every one of them ends, at the latest."""

    url: str
    entry: Entry
    at: float
    """When it began; of the last look, when the last request did."""
    placed: int
    """Requests that the longest order has."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, and the time in which it took effect."""

    entry: Entry
    began: float
    ended: float
    answer: Attempt | None
    """None where nobody was told, and it may not have happened at all."""

    def after(self, before: State | None) -> tuple[bool, State | None]:
        """Whether it can come next at this state, and the state after it."""
        found = step(self.entry.request, before)
        if self.answer is None:
            return found.after != before, found.after
        return found.is_told_by(self.answer), found.after


def unexplained(
    entries: Iterable[Entry], homes: Mapping[str, set[str]], end: Mapping[str, Document]
) -> Iterator[Unexplained]:
    """The documents whose history no order explains.

    `homes` has the documents in which a mark has been seen, `end` those that are stored when all is
    over, by URL. Raises UndecidedError.
    """
    for url, at in _by_document(entries, homes).items():
        document = end.get(url)
        calls = [call for each in at if (call := _call(each)) is not None]
        search = _Search([*calls, _last_look(url, None if document is None else document.state)])
        if not search.succeeds():
            last = max(each.began for each in at)
            yield Unexplained(
                url, search.stuck.entry, min(search.stuck.began, last), search.furthest
            )


def _by_document(entries: Iterable[Entry], homes: Mapping[str, set[str]]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        # Of an insert without an answer only its mark tells which document it has made.
        for url in {entry.url} if entry.url else homes.get(entry.request.mark, set()):
            found[url].append(entry)
    return found


def _call(entry: Entry) -> _Call | None:
    """None for what has certainly had no effect, and tells nothing."""
    answer = entry.answer
    if answer is None:
        return None if entry.is_denied else _Call(entry, entry.began, math.inf, None)
    # A read that is sent again is another read.
    began = answer.sent if entry.request.effect is Effect.READ else entry.began
    return _Call(entry, began, answer.ended, answer)


def _last_look(url: str, state: State | None) -> _Call:
    """What is stored at the end, as a read that everything else was answered before."""
    shown = None if state is None else Version("", state)
    look = Attempt(math.inf, math.inf, status=NOT_FOUND if state is None else OK, shown=shown)
    entry = Entry(Request("the end", Effect.READ, url, keyed=False), (look,))
    return _Call(entry, math.inf, math.inf, look)


class _Search:
    """Depth first over the requests that may come next; what leads nowhere is not tried twice."""

    def __init__(self, calls: Sequence[_Call]) -> None:
        told = sorted((each for each in calls if each.answer), key=lambda each: each.began)
        self._untold = _alike([each for each in calls if not each.answer], _marks_shown(calls))
        self._told = told
        self._all = [*told, *(each for alike in self._untold for each in alike)]
        self._seen: set[Node] = set()
        self.furthest = -1
        self.stuck = told[0]

    def succeeds(self) -> bool:
        """Whether there is an order. Raises UndecidedError."""
        goal = (1 << len(self._told)) - 1
        ways = [self._next((0, None))]
        while ways:
            node = next(ways[-1], None)
            if node is None:
                ways.pop()
            elif node[0] & goal == goal:
                return True
            elif node not in self._seen:
                self._seen.add(node)
                if len(self._seen) > MOST_STEPS:
                    raise UndecidedError(f"too many orders: {self.stuck.entry.request}")
                ways.append(self._next(node))
        return False

    def _next(self, node: Node) -> Iterator[Node]:
        """The ways on: one, where somebody was told of just this state and has not changed it.

        Whatever order there is, that one can be put in front of the rest of it.
        """
        done, state = node
        ways: list[Node] = []
        for place in self._candidates(done):
            fits, after = self._all[place].after(state)
            if fits and after == state:
                return iter([(done | 1 << place, state)])
            if fits:
                ways.append((done | 1 << place, after))
        return iter(ways)

    def _candidates(self, done: int) -> list[int]:
        """Those that may come next: nothing that waits was answered before they were sent.

        First those that were answered first, which is how it was most often.
        """
        waiting: list[int] = []
        latest = math.inf
        first = (~done & (done + 1)).bit_length() - 1  # all before it stand
        for place in range(first, len(self._told)):
            if done >> place & 1:
                continue
            if self._told[place].began > latest:
                break
            waiting.append(place)
            latest = min(latest, self._told[place].ended)
        waiting.sort(key=lambda place: self._told[place].ended)
        self._note(done, waiting)
        return [*waiting, *self._unheard(done, latest)]

    def _unheard(self, done: int, latest: float) -> Iterator[int]:
        """Of those that nobody was told of, one of each kind: the others do the same."""
        place = len(self._told)
        for alike in self._untold:
            for each in range(place, place + len(alike)):
                if not done >> each & 1:
                    if self._all[each].began <= latest:
                        yield each
                    break
            place += len(alike)

    def _note(self, done: int, waiting: Sequence[int]) -> None:
        """Keep what stands in the way where no order has come further."""
        placed = (done & ((1 << len(self._told)) - 1)).bit_count()
        if placed > self.furthest and waiting:
            self.furthest = placed
            self.stuck = self._told[waiting[0]]


def _marks_shown(calls: Iterable[_Call]) -> set[str]:
    """All marks that somebody was shown, or demands, or that are there at the end."""
    found: set[str] = set()
    for call in calls:
        for version in (call.entry.request.match, call.answer.shown if call.answer else None):
            if version is not None:
                found.update(version.state.log, version.state.marks)
    return found


def _alike(untold: Iterable[_Call], marks: Container[str]) -> list[list[_Call]]:
    """Groups of those that could stand in for each other, each in the order of their beginnings.

    A mark that was never shown to anybody is as good as any other such mark.
    """
    groups: dict[object, list[_Call]] = defaultdict(list)
    for call in sorted(untold, key=lambda each: each.began):
        request = call.entry.request
        if request.effect in _MARKLESS or request.mark in marks:
            name: object = request.effect if request.effect in _MARKLESS else request.mark
            groups[name, request.match].append(call)
        else:
            unseen = replace(request, mark=UNSEEN)
            groups[request.effect, request.match].append(
                replace(call, entry=replace(call.entry, request=unseen))
            )
    return list(groups.values())
