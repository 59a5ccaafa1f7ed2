"""The search of the chaos tests beside one that tries every order, on histories made by chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations, permutations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.support.chaos.history import (
    Attempt,
    Document,
    Effect,
    Entry,
    Request,
    State,
    Version,
)
from tests.support.chaos.model import step
from tests.support.chaos.order import unexplained

D = "/d"
BROKEN = Attempt(0, 0)
REFUSALS = {404: "not-found", 409: "duplicate-key", 412: "precondition-failed"}
EFFECTS = [each for each in Effect if each is not Effect.INSERT]
MATCHING = {Effect.PUT, Effect.PUSH, Effect.MERGE, Effect.DELETE}


def _told(request: Request, before: State | None) -> tuple[Attempt, State | None]:
    """What the request is answered, and the state after it."""
    found = step(request, before)
    shown = None
    if found.status in (200, 201) and found.after is not None:
        shown = Version("tag", found.after)
    code = REFUSALS.get(found.status, "")
    return Attempt(0, 0, status=found.status, code=code, shown=shown), found.after


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Entry], State | None]:
    """Requests that took effect one after the other, and what there is at the end.

    Some were not answered, and some of these never took effect.
    """
    state: State | None = None
    shown: list[State] = []
    entries = []
    for at in range(draw(st.integers(1, 6))):
        effect = draw(st.sampled_from(EFFECTS))
        match = draw(st.sampled_from([None, *shown])) if effect in MATCHING else None
        version = None if match is None else Version("tag", match)
        request = Request(f"m{at}", effect, D, keyed=False, match=version)
        answer, after = _told(request, state)
        if draw(st.integers(0, 3)) == 0:
            answer = BROKEN
            after = after if draw(st.booleans()) else state
        state = after
        if answer.shown is not None:
            shown.append(answer.shown.state)
        sent, ended = at - draw(st.integers(0, 3)), at + draw(st.integers(0, 3))
        entries.append(Entry(request, (replace(answer, sent=sent, ended=ended),)))
    return entries, state


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[list[Entry], State | None]:
    """The same, where one was answered as another, or the end is another."""
    entries, end = draw(histories())
    one = draw(st.integers(0, len(entries) - 1))
    if draw(st.booleans()):
        return entries, draw(st.sampled_from([None, State(("m0",)), State(("m1", "m2"))]))
    other = draw(st.sampled_from(entries)).attempts[0]
    own = entries[one].attempts[0]
    wrong = replace(other, sent=own.sent, ended=own.ended)
    entries[one] = replace(entries[one], attempts=(wrong,))
    return entries, end


def _is_explained(entries: Sequence[Entry], end: State | None) -> bool:
    stored = {} if end is None else {D: Document(D, end.log, tuple(end.marks), end.n)}
    return not list(unexplained(entries, {}, stored))


def _orders(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """All orders of what was answered with any of what was not."""
    told = [each for each in entries if each.answer is not None]
    untold = [each for each in entries if each.is_unknown]
    some = chain.from_iterable(combinations(untold, count) for count in range(len(untold) + 1))
    return chain.from_iterable(permutations([*told, *each]) for each in some)


def _explains(order: Sequence[Entry], end: State | None) -> bool:
    """Whether it keeps to time, and everybody was told what it makes of the document."""
    state: State | None = None
    for place, entry in enumerate(order):
        if any(later.settled < entry.began for later in order[place:]):
            return False
        found = step(entry.request, state)
        if entry.answer is not None and not found.is_told_by(entry.answer):
            return False
        state = found.after
    return state == end


@given(histories())
def test_what_one_after_the_other_did_is_explained(made: tuple[list[Entry], State | None]) -> None:
    """However the times overlap, and whoever was not answered."""
    assert _is_explained(*made)


@settings(max_examples=300)
@given(spoilt())
def test_it_finds_what_trying_all_orders_finds(made: tuple[list[Entry], State | None]) -> None:
    """No more and no less is explained."""
    entries, end = made
    expected = any(_explains(order, end) for order in _orders(entries))
    event(f"explained: {expected}")
    assert _is_explained(entries, end) == expected
