"""Replays a history against the documents at its end: did each effect happen once, or not at all?

The rules, for a request K with mark k, at the document D that it wrote. A *wiper* is a PUT or
DELETE at D; it is *effective* when it was acknowledged, and *possible* when its outcome is unknown.
"Before" and "after" are strict: what overlaps in time may have happened in either order.

===========  ==================================================================================
lost         K is acknowledged, k is not in D, and no effective or possible wiper ended after K
             began
doubled      k is in D more than once; or K inserted a document and k was in another one too
resurrected  k is in D, though an effective wiper began after K was answered; or K inserted D,
             and D was deleted (nobody else can make a server-made id again)
unbalanced   the creations (201) and deletions (204) of D do not add up to its being there:
             creations - deletions, give or take the unknown ones, is 1 where D is there and 0
             where it is not. This finds what leaves no mark: a DELETE that took effect twice
             took somebody else's document with it.
happened     K was refused, or failed with a code that says that nothing was written, and k is
             in D all the same
inconsistent K was sent again after its answer, and got another answer, or its own without
             `Idempotency-Replayed`
unexpected   an answer that this traffic cannot have: 400, 422, 500, …
unexplained  no order of the requests for D, one after the other, gives all the answers that were
             heard (`tests.support.chaos.order`): two passed under one tag, a reader saw what was
             gone, …
===========  ==================================================================================

Increments leave no mark. They go to documents that are made once and never replaced or deleted, and
are counted: fewer than acknowledged are lost, more than acknowledged and unknown are doubled.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.chaos.history import (
    MARKERS,
    WIPERS,
    Blow,
    Document,
    Effect,
    Entry,
    History,
)
from tests.support.chaos.order import unexplained


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that was not kept."""

    words: str
    """What and where, for whoever looks for the fault."""
    at: float
    """When the request began; of a document as a whole, the last one that wrote it."""

    def __str__(self) -> str:
        """The words."""
        return self.words


Findings = tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run amounts to. The findings say of each fault what and where."""

    blows: tuple[Blow, ...]
    requests: int
    attempts: int
    replays: int
    found_again: int
    """Requests whose first answer was a replay: they had happened, and the answer got lost."""
    after_deletion: int
    """Replays to clients that asked after another's DELETE of the document had been answered."""
    acknowledged: int
    refused: int
    unknown: int
    lost: Findings
    doubled: Findings
    resurrected: Findings
    unbalanced: Findings
    happened: Findings
    inconsistent: Findings
    unexpected: Findings
    unexplained: Findings
    codes: Counter[str]
    """Of the attempts that were not acknowledged; `broken` for a connection that was."""

    @property
    def retries(self) -> int:
        """Times that a request was sent again."""
        return self.attempts - self.requests

    @property
    def in_flight(self) -> list[int]:
        """Requests under way at each kill."""
        return [each.in_flight for each in self.blows]

    def faults(self) -> Mapping[str, Findings]:
        """The findings, by kind; empty where every promise was kept."""
        found = {
            "lost": self.lost,
            "doubled": self.doubled,
            "resurrected": self.resurrected,
            "unbalanced": self.unbalanced,
            "happened": self.happened,
            "inconsistent": self.inconsistent,
            "unexpected": self.unexpected,
            "unexplained": self.unexplained,
        }
        return {kind: findings for kind, findings in found.items() if findings}

    def table(self) -> str:
        """The figures, one a line."""
        kinds = Counter(each.what for each in self.blows)
        flights = sorted(self.in_flight) or [0]
        middle = flights[len(flights) // 2]
        rows: list[tuple[str, object]] = [
            ("kills", f"{len(self.blows)}  {dict(sorted(kinds.items()))}"),
            ("in flight at a kill", f"{flights[0]} to {flights[-1]}, median {middle}"),
            ("in flight, all kills", sum(flights)),
            ("requests", self.requests),
            ("retries", self.retries),
            ("replays", self.replays),
            ("of these, first answers", self.found_again),
            ("of these, deleted since", self.after_deletion),
            ("acknowledged", self.acknowledged),
            ("refused", self.refused),
            ("unknown", self.unknown),
            ("lost", len(self.lost)),
            ("doubled", len(self.doubled)),
            ("resurrected", len(self.resurrected)),
            ("unbalanced", len(self.unbalanced)),
            ("refused, but happened", len(self.happened)),
            ("inconsistent replays", len(self.inconsistent)),
            ("unexpected answers", len(self.unexpected)),
            ("unexplained documents", len(self.unexplained)),
            ("not acknowledged", dict(self.codes.most_common())),
        ]
        return "\n".join(f"{name:<24}{value}" for name, value in rows)


def check(history: History, documents: Iterable[Document]) -> Report:
    """Judge a run by its history and the documents that are stored when all is over."""
    world = _World(history, documents)
    entries = history.entries
    attempts = [attempt for each in entries for attempt in each.attempts]
    return Report(
        blows=history.blows,
        requests=len(entries),
        attempts=len(attempts),
        replays=sum(each.replayed for each in attempts),
        found_again=sum(each.answer is not None and each.answer.replayed for each in entries),
        after_deletion=sum(_after_deletion(world, each) for each in entries),
        acknowledged=sum(each.is_done for each in entries),
        refused=sum(each.is_denied for each in entries),
        unknown=sum(each.is_unknown for each in entries),
        lost=(*_lost(world), *_counted(world, too_few=True)),
        doubled=(*_doubled(world), *_counted(world, too_few=False)),
        resurrected=tuple(_resurrected(world)),
        unbalanced=tuple(_unbalanced(world)),
        happened=tuple(_happened(world)),
        inconsistent=tuple(_inconsistent(entries)),
        unexpected=tuple(_unexpected(entries)),
        unexplained=tuple(_unexplained(world)),
        codes=Counter(each.code or "broken" for each in attempts if not each.is_success),
    )


class _World:
    """A history and its end, by document and by mark."""

    def __init__(self, history: History, documents: Iterable[Document]) -> None:
        self.entries = history.entries
        self.documents = {each.url: each for each in documents}
        self.at: dict[str, list[Entry]] = defaultdict(list)
        for entry in history.entries:
            if entry.url is not None:
                self.at[entry.url].append(entry)
        self._homes: dict[str, set[str]] = defaultdict(set)
        for document in self.documents.values():
            for mark in (*document.log, *document.marks):
                self._homes[mark].add(document.url)
        self._stored = {mark: set(urls) for mark, urls in self._homes.items()}
        for sighting in history.sightings:
            self._homes[sighting.mark].add(sighting.url)
        for entry in history.entries:
            self._note_shown(entry)

    def _note_shown(self, entry: Entry) -> None:
        """Whoever is shown a document has seen what it holds."""
        for attempt in entry.attempts if entry.url is not None else ():
            if attempt.shown is not None:
                for mark in (*attempt.shown.state.log, *attempt.shown.state.marks):
                    self._homes[mark].add(entry.url or "")

    @property
    def seen(self) -> Mapping[str, set[str]]:
        """The documents that have ever been seen with a mark."""
        return self._homes

    def homes(self, entry: Entry) -> set[str]:
        """The documents that have ever been seen with the mark."""
        return self._homes.get(entry.request.mark, set())

    def stored(self, entry: Entry) -> set[str]:
        """The documents that have the mark at the end."""
        return self._stored.get(entry.request.mark, set())

    def times(self, entry: Entry) -> int:
        """How often the mark is in the log of its document at the end."""
        document = self.documents.get(entry.url or "")
        return document.log.count(entry.request.mark) if document else 0

    def is_there(self, entry: Entry) -> bool:
        """Whether the mark is in the document that the request wrote."""
        return entry.url in self.stored(entry)

    def wipers(self, entry: Entry) -> Iterator[Entry]:
        """The other requests that may have taken the mark away."""
        others = self.at.get(entry.url or "", ())
        return (each for each in others if each is not entry and each.request.effect in WIPERS)


def _leaves_mark(entry: Entry) -> bool:
    return entry.request.effect is Effect.INSERT or entry.request.effect in MARKERS


def _lost(world: _World) -> Iterator[Finding]:
    for entry in filter(_leaves_mark, world.entries):
        if not entry.is_done or world.is_there(entry):
            continue
        wipers = (each for each in world.wipers(entry) if not each.is_denied)
        if not any(each.settled >= entry.began for each in wipers):
            yield _finding(entry)


def _doubled(world: _World) -> Iterator[Finding]:
    for entry in filter(_leaves_mark, world.entries):
        if world.times(entry) > 1:
            yield _finding(entry, f": {world.times(entry)} times")
        elif entry.request.effect is Effect.INSERT and len(world.homes(entry) | _told(entry)) > 1:
            yield _finding(entry, f": in {sorted(world.homes(entry) | _told(entry))}")


def _told(entry: Entry) -> set[str]:
    return {entry.url} if entry.url is not None else set()


def _resurrected(world: _World) -> Iterator[Finding]:
    for entry in filter(_leaves_mark, world.entries):
        if not world.is_there(entry):
            continue
        inserted = entry.request.effect is Effect.INSERT
        for wiper in world.wipers(entry):
            if wiper.is_done and (inserted or wiper.began > entry.settled):
                yield _finding(entry, f": after {_words(wiper)}")
                break


def _unbalanced(world: _World) -> Iterator[Finding]:
    for url, entries in world.at.items():
        if not any(each.request.effect in (Effect.PUT, Effect.CREATE) for each in entries):
            continue  # its id is of the service's making, and it is told by its mark
        created = sum(each.answer is not None and each.answer.status == 201 for each in entries)
        deleted = sum(each.request.effect is Effect.DELETE and each.is_done for each in entries)
        unknown = [each.request.effect for each in entries if each.is_unknown]
        less = sum(each is Effect.DELETE for each in unknown)
        more = sum(each in WIPERS for each in unknown) - less
        there = int(url in world.documents)
        if not created - deleted - less <= there <= created - deleted + more:
            words = f"{created} made, {deleted} deleted, {there} there, {less + more} unknown"
            yield Finding(f"{url}: {words}", entries[-1].began)


def _counted(world: _World, *, too_few: bool) -> Iterator[Finding]:
    for url, entries in world.at.items():
        counted = [each for each in entries if each.request.effect is Effect.INCREMENT]
        if not counted:
            continue
        least = sum(each.is_done for each in counted)
        most = least + sum(each.is_unknown for each in counted)
        document = world.documents.get(url)
        n = document.n if document else 0
        if n < least if too_few else n > most:
            yield Finding(f"{url}: n is {n}, not {least} to {most}", counted[-1].began)


def _happened(world: _World) -> Iterator[Finding]:
    for entry in filter(_leaves_mark, world.entries):
        if entry.is_denied and world.homes(entry):
            yield _finding(entry)


def _after_deletion(world: _World, entry: Entry) -> int:
    ends = [
        each.settled
        for each in world.wipers(entry)
        if each.is_done and each.request.effect is Effect.DELETE and each.began > entry.settled
    ]
    first = min(ends, default=math.inf)
    return sum(each.replayed and each.sent > first for each in entry.attempts)


def _inconsistent(entries: Sequence[Entry]) -> Iterator[Finding]:
    for entry in entries:
        first = entry.answer
        if first is None:
            continue
        later = entry.attempts[entry.attempts.index(first) + 1 :]
        for again in later:
            same = (again.status, again.code, again.location, again.content) == (
                first.status,
                first.code,
                first.location,
                first.content,
            )
            if again.is_decided and not (same and again.replayed):
                yield _finding(entry, f": then {again.status} {again.code} {again.location}")


def _unexpected(entries: Sequence[Entry]) -> Iterator[Finding]:
    for entry in entries:
        for attempt in entry.attempts:
            if not attempt.is_expected:
                yield _finding(entry, f": {attempt.status} {attempt.code}")


def _unexplained(world: _World) -> Iterator[Finding]:
    for found in unexplained(world.entries, world.seen, world.documents):
        more = f": no order has it after {found.placed} others"
        yield Finding(_words(found.entry) + more, found.at)


def _finding(entry: Entry, more: str = "") -> Finding:
    return Finding(_words(entry) + more, entry.began)


def _words(entry: Entry) -> str:
    """The request and its answers, for whoever looks for the fault."""
    request = entry.request
    answers = " ".join(f"{each.status}{each.code and f'({each.code})'}" for each in entry.attempts)
    key = "keyed" if request.keyed else "unkeyed"
    return f"{key} {request.effect} {request.mark} at {entry.url}: {answers}"
