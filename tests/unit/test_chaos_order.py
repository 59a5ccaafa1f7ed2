"""The search of the chaos tests: it finds the order that explains a history, or that none does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.chaos import order
from tests.support.chaos.checker import check
from tests.support.chaos.history import (
    Attempt,
    Document,
    Effect,
    Entry,
    History,
    Request,
    State,
    Version,
)

D = "/v1/collections/data/documents/d"
NOT_FOUND = Attempt(0, 0, status=404, code="not-found")
STALE = Attempt(0, 0, status=412, code="precondition-failed")
BROKEN = Attempt(0, 0)
GONE = Attempt(0, 0, status=204)


def state(*log: str) -> State:
    """What a document with this log holds."""
    return State(log)


def shown(status: int, *log: str) -> Attempt:
    """An answer with the document in it."""
    return Attempt(0, 0, status=status, shown=Version("tag", state(*log)))


def sent(
    effect: Effect, mark: str, began: float, ended: float, answer: Attempt, *match: str
) -> Entry:
    """A request with one attempt; `match` is the log of the version that it demands."""
    version = Version("tag", state(*match)) if match else None
    is_write = effect is not Effect.READ
    attempt = replace(answer, sent=began, ended=ended)
    return Entry(Request(mark, effect, D, keyed=is_write, match=version), (attempt,))


def explained(*entries: Entry, log: tuple[str, ...] | None) -> bool:
    """Whether an order explains them, where the document is so at the end."""
    documents = () if log is None else (Document(D, log),)
    return not check(History(entries), documents).unexplained


AB = ("a", "b")
MADE = sent(Effect.PUT, "a", 0, 1, shown(201, "a"))


def test_what_overlaps_may_stand_in_either_order() -> None:
    """Two that were under way at one time are put as their answers have it."""
    first = sent(Effect.PUSH, "b", 2, 9, shown(200, "a", "c", "b"))
    second = sent(Effect.PUSH, "c", 3, 8, shown(200, "a", "c"))
    assert explained(MADE, first, second, log=("a", "c", "b"))
    assert not explained(MADE, first, second, log=("a", "b", "c"))


def test_what_was_answered_stands_before_what_was_sent_after() -> None:
    """A read that was sent after a write's answer shows the write."""
    read = sent(Effect.READ, "r", 4, 5, shown(200, "a"))
    assert explained(MADE, sent(Effect.PUSH, "b", 2, 4.5, shown(200, "a", "b")), read, log=AB)
    assert not explained(MADE, sent(Effect.PUSH, "b", 2, 3, shown(200, "a", "b")), read, log=AB)


def test_a_reader_sees_only_what_is_there() -> None:
    """A document that nobody made, or that is gone, is not shown."""
    assert not explained(sent(Effect.READ, "r", 0, 1, shown(200, "a")), log=None)
    deleted = sent(Effect.DELETE, "d", 2, 3, GONE)
    assert explained(MADE, deleted, sent(Effect.READ, "r", 4, 5, NOT_FOUND), log=None)
    assert not explained(MADE, deleted, sent(Effect.READ, "r", 4, 5, shown(200, "a")), log=None)


@pytest.mark.parametrize("end", [AB, ("a", "c")])
def test_two_do_not_pass_under_one_tag(end: tuple[str, ...]) -> None:
    """A lost update: both demanded the same version, both were acknowledged."""
    first = sent(Effect.PUSH, "b", 2, 9, shown(200, "a", "b"), "a")
    second = sent(Effect.PUSH, "c", 3, 8, shown(200, "a", "c"), "a")
    assert not explained(MADE, first, second, log=end)
    assert explained(
        MADE, first, replace(second, attempts=(replace(STALE, sent=3, ended=8),)), log=AB
    )


def test_a_tag_that_is_current_passes() -> None:
    """A refusal of a version that was there all the time is not explained."""
    assert not explained(MADE, sent(Effect.PUT, "b", 2, 3, STALE, "a"), log=("a",))
    assert explained(MADE, sent(Effect.PUT, "b", 2, 3, shown(200, "b"), "a"), log=("b",))


def test_what_nobody_was_told_of_may_come_late_or_never() -> None:
    """It happens at any time after it was sent, once, or not at all; not before."""
    unknown = sent(Effect.PUSH, "b", 2, 3, BROKEN)
    read = sent(Effect.READ, "r", 4, 5, shown(200, "a"))
    assert explained(MADE, unknown, read, log=("a",))
    assert explained(MADE, unknown, read, log=AB)
    assert not explained(MADE, unknown, read, log=("a", "b", "b"))
    early = sent(Effect.READ, "r", 1.2, 1.5, shown(200, "a", "b"))
    assert not explained(MADE, unknown, early, log=AB)


def test_an_insert_without_an_answer_is_known_by_its_mark() -> None:
    """Where its document was seen it belongs to that document's history."""
    insert = Entry(Request("a", Effect.INSERT), (replace(BROKEN, sent=0, ended=1),))
    assert explained(insert, sent(Effect.DELETE, "d", 2, 3, NOT_FOUND), log=("a",))
    seen = sent(Effect.READ, "r", 2, 3, shown(200, "a"))
    assert explained(insert, seen, sent(Effect.DELETE, "d", 4, 5, GONE), log=None)
    assert not explained(insert, seen, sent(Effect.DELETE, "d", 4, 5, NOT_FOUND), log=("a",))


def test_the_last_word_counts() -> None:
    """What was acknowledged is there at the end, also where nobody has read it since."""
    assert explained(MADE, log=("a",))
    assert not explained(MADE, log=None)
    assert not explained(MADE, log=("b",))


def test_the_finding_names_what_does_not_fit() -> None:
    """Of a long history it names the request at which every order ends."""
    wrong = sent(Effect.READ, "wrong", 4, 5, shown(200, "x"))
    after = sent(Effect.PUSH, "b", 6, 7, shown(200, "a", "b"))
    (found,) = check(History((MADE, wrong, after)), (Document(D, AB),)).unexplained
    assert "read wrong" in str(found)
    assert found.at == 4


def test_a_crowd_is_explained() -> None:
    """Forty that overlap, half of them without an answer, are put in order in no time."""
    log = ["a"]
    entries = [MADE]
    for number in range(40):
        mark = f"m{number}"
        if number % 2:
            log.append(mark)
            entries.append(sent(Effect.PUSH, mark, 2, 90, shown(200, *log)))
        else:
            entries.append(sent(Effect.PUSH, mark, 2, 90, BROKEN))
    assert explained(*entries, log=tuple(log))


def test_a_search_without_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more orders than are looked at the run fails, and does not pass."""
    monkeypatch.setattr(order, "MOST_STEPS", 10)
    crowd = [sent(Effect.PUSH, f"m{each}", 2, 90, BROKEN) for each in range(12)]
    with pytest.raises(order.UndecidedError):
        explained(MADE, *crowd, log=("a", "x"))
