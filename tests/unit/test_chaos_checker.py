"""The checker of the chaos tests: it finds each kind of fault, and none in a clean history."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.support.chaos.checker import Report, check
from tests.support.chaos.clients import COLLECTION, spelled
from tests.support.chaos.history import (
    Attempt,
    Blow,
    Document,
    Effect,
    Entry,
    History,
    Request,
    Sighting,
)

D = f"{COLLECTION}/d"
E = f"{COLLECTION}/e"
BROKEN = Attempt(0, 0)
UNKNOWN = Attempt(0, 0, status=503, code="outcome-unknown")
UNAVAILABLE = Attempt(0, 0, status=503, code="database-unavailable")
NOT_FOUND = Attempt(0, 0, status=404, code="not-found")
OK = Attempt(0, 0, status=200)
CREATED = Attempt(0, 0, status=201)
NO_CONTENT = Attempt(0, 0, status=204)


def request(
    effect: Effect, mark: str, at: float, *answers: Attempt, url: str | None = D, keyed: bool = True
) -> Entry:
    """A request that began at `at`; each attempt takes one second."""
    timed = (
        replace(each, sent=at + number, ended=at + number + 0.9)
        for number, each in enumerate(answers)
    )
    return Entry(Request(mark, effect, url, keyed), tuple(timed))


def inserted(mark: str, at: float, *answers: Attempt) -> Entry:
    """An insert whose service makes the id."""
    return request(Effect.INSERT, mark, at, *answers, url=None)


def made(url: str) -> Attempt:
    """The answer to an insert."""
    return Attempt(0, 0, status=201, location=url, content="its document")


def judged(
    *entries: Entry, end: tuple[Document, ...] = (), seen: tuple[Sighting, ...] = ()
) -> Report:
    """The report on these requests, where the documents at the end are these."""
    return check(History(entries, (), seen), end)


def kinds(report: Report) -> list[str]:
    """Which faults the rules have found; no order explains most of them either."""
    return [kind for kind in report.faults() if kind != "unexplained"]


def test_once_is_right() -> None:
    """Effects that happened once, be it after many attempts, are no fault."""
    report = judged(
        request(Effect.PUT, "a", 0, BROKEN, UNKNOWN, CREATED),
        request(Effect.PUSH, "b", 5, BROKEN, OK),
        request(Effect.MERGE, "c", 7, OK),
        request(Effect.INCREMENT, "d", 8, OK),
        inserted("e", 0, BROKEN, made(E)),
        end=(Document(D, ("a", "b"), ("c",), 1), Document(E, ("e",))),
    )
    assert report.faults() == {}
    assert (report.requests, report.retries, report.acknowledged) == (5, 4, 5)


@pytest.mark.parametrize("log", [(), ("b",)])
def test_unknown_may_be_either(log: tuple[str, ...]) -> None:
    """Where no answer was heard, the effect may have happened or not."""
    report = judged(
        request(Effect.PUT, "a", 0, CREATED),
        request(Effect.PUSH, "b", 2, UNKNOWN),
        end=(Document(D, ("a", *log)),),
    )
    assert report.faults() == {}
    assert report.unknown == 1


def test_lost() -> None:
    """What was acknowledged and is not there is lost, be it a mark, an insert or an increment."""
    report = judged(
        request(Effect.PUT, "a", 0, CREATED),
        request(Effect.PUSH, "b", 2, OK),
        request(Effect.INCREMENT, "c", 3, OK),
        inserted("e", 0, made(E)),
        end=(Document(D, ("a",), (), 0),),
    )
    assert kinds(report) == ["lost"]
    assert len(report.lost) == 3


def test_replaced_is_not_lost() -> None:
    """A mark that somebody may have replaced or deleted afterwards need not be there."""
    mark = request(Effect.PUSH, "b", 2, OK)
    made_first = request(Effect.PUT, "a", 0, CREATED)
    after = request(Effect.PUT, "c", 9, OK)
    beside = request(Effect.PUT, "c", 1.5, OK)
    maybe = request(Effect.PUT, "c", 1.5, UNKNOWN)
    for wiper in (after, beside, maybe):
        report = judged(made_first, mark, wiper, end=(Document(D, ("c",)),))
        assert report.faults() == {}


def test_replaced_before_is_lost() -> None:
    """A document that was replaced before the change has to have the change."""
    report = judged(
        request(Effect.PUT, "a", 0, CREATED),
        request(Effect.PUT, "b", 2, OK),
        request(Effect.PUSH, "c", 4, OK),
        end=(Document(D, ("b",)),),
    )
    assert kinds(report) == ["lost"]


def test_doubled() -> None:
    """A mark that is there twice is doubled, acknowledged or not; so is too high a count."""
    report = judged(
        request(Effect.PUT, "a", 0, CREATED),
        request(Effect.PUSH, "b", 2, BROKEN, OK),
        request(Effect.APPEND, "c", 2, BROKEN),
        request(Effect.INCREMENT, "d", 4, UNKNOWN, OK),
        end=(Document(D, ("a", "b", "b", "c", "c"), (), 2),),
    )
    assert kinds(report) == ["doubled"]
    assert len(report.doubled) == 3


def test_doubled_insert() -> None:
    """Two documents of one insert are a double, even if one was deleted by somebody who saw it."""
    insert = inserted("a", 0, BROKEN, made(D))
    both = judged(insert, end=(Document(D, ("a",)), Document(E, ("a",))))
    assert kinds(both) == ["doubled"]
    deletion = request(Effect.DELETE, "b", 0.5, NO_CONTENT, url=E)
    seen = judged(insert, deletion, end=(Document(D, ("a",)),), seen=(Sighting("a", E),))
    assert "doubled" in kinds(seen)


def test_deleted_and_brought_back() -> None:
    """A document that was inserted and deleted must not be there again, nor in another place."""
    insert = inserted("a", 0, made(D))
    deletion = request(Effect.DELETE, "b", 2, NO_CONTENT)
    assert judged(insert, deletion).faults() == {}
    assert kinds(judged(insert, deletion, end=(Document(D, ("a",)),))) == ["resurrected"]
    assert "doubled" in kinds(judged(insert, deletion, end=(Document(E, ("a",)),)))


def test_replaced_and_brought_back() -> None:
    """A change that was answered before others replaced the document must not be there again."""
    entries = (
        request(Effect.PUT, "a", 0, CREATED),
        request(Effect.MERGE, "b", 2, OK),
        request(Effect.PUT, "c", 4, OK),
    )
    again = judged(*entries, end=(Document(D, ("c",), ("b",)),))
    assert kinds(again) == ["resurrected"]
    assert judged(*entries, end=(Document(D, ("c",)),)).faults() == {}


def test_deletion_that_happened_twice() -> None:
    """A retried DELETE that takes the document of a later PUT is seen in the balance."""
    report = judged(
        request(Effect.PUT, "a", 0, CREATED),
        request(Effect.DELETE, "b", 1, BROKEN, BROKEN, NO_CONTENT),
        request(Effect.PUT, "c", 2, CREATED),
    )
    assert kinds(report) == ["unbalanced"]


@pytest.mark.parametrize("there", [True, False])
def test_balance_of_the_unknown(there: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A deletion that nobody was told of leaves the document or not."""
    end = (Document(D, ("a",)),) if there else ()
    report = judged(
        request(Effect.PUT, "a", 0, CREATED), request(Effect.DELETE, "b", 1, UNKNOWN), end=end
    )
    assert report.faults() == {}


def test_creation_that_nobody_was_told_of() -> None:
    """A document is there that was created and deleted once: a retry made it again."""
    report = judged(
        request(Effect.CREATE, "a", 0, CREATED),
        request(Effect.DELETE, "b", 0.5, NO_CONTENT),
        end=(Document(D, ("a",)),),
    )
    assert kinds(report) == ["unbalanced"]


@pytest.mark.parametrize("answer", [NOT_FOUND, UNAVAILABLE, Attempt(0, 0, code="not-sent")])
def test_refused_but_happened(answer: Attempt) -> None:
    """What was refused, or said not to have been written, must not be there."""
    report = judged(
        request(Effect.PUT, "a", 0, CREATED),
        request(Effect.PUSH, "b", 2, answer, keyed=False),
        end=(Document(D, ("a", "b")),),
    )
    assert kinds(report) == ["happened"]
    assert report.refused == 1


def test_one_doubtful_attempt_is_doubt_enough() -> None:
    """Where one attempt may have been carried out, a later refusal to connect denies nothing."""
    report = judged(
        request(Effect.PUT, "a", 0, CREATED),
        request(Effect.PUSH, "b", 2, BROKEN, UNAVAILABLE),
        end=(Document(D, ("a", "b")),),
    )
    assert report.faults() == {}
    assert report.unknown == 1


def test_replays() -> None:
    """Sent again after its answer, a request gets the same one, marked as a replay."""
    again = replace(made(D), replayed=True)
    end = (Document(D, ("a",)),)
    clean = judged(inserted("a", 0, made(D), BROKEN, again), end=end)
    assert clean.faults() == {}
    assert (clean.replays, clean.found_again) == (1, 0)
    late = judged(inserted("a", 0, BROKEN, again), end=end)
    assert late.faults() == {}
    assert (late.replays, late.found_again) == (1, 1)
    for wrong in (
        made(D),
        replace(again, location=E),
        replace(again, content="another"),
        NOT_FOUND,
    ):
        report = judged(inserted("a", 0, made(D), wrong), end=end)
        assert kinds(report) == ["inconsistent"]


def test_replays_after_a_deletion() -> None:
    """A replay to one who asks after another's DELETE was answered is counted as such."""
    again = replace(made(D), replayed=True)
    insert = inserted("a", 0, made(D), BROKEN, BROKEN, BROKEN, again)
    assert judged(insert, request(Effect.DELETE, "b", 2, NO_CONTENT)).after_deletion == 1
    assert judged(insert, request(Effect.DELETE, "b", 9, NO_CONTENT)).after_deletion == 0


def test_unexpected_answers() -> None:
    """An answer that this traffic cannot have is a finding of its own."""
    report = judged(request(Effect.PUT, "a", 0, Attempt(0, 0, status=500, code="internal-error")))
    assert kinds(report) == ["unexpected"]


def test_never_answered() -> None:
    """A request without an answer never settles, so nothing comes after it."""
    assert request(Effect.PUT, "a", 0, UNKNOWN).settled == math.inf


def test_table() -> None:
    """The table has the kills by kind and what was under way at them."""
    history = History((), (Blow("worker", 4), Blow("database", 7), Blow("worker", 2)))
    table = check(history, ()).table()
    assert "{'database': 1, 'worker': 2}" in table
    assert "2 to 7, median 4" in table


def test_bytes_of_a_request_follow_from_it() -> None:
    """Each attempt sends the very same bytes; the key is the mark, where there is one."""
    for effect in Effect:
        keyed = Request("m", effect, D)
        assert spelled(keyed) == spelled(keyed)
        assert spelled(keyed).headers["Idempotency-Key"] == "m"
        assert "Idempotency-Key" not in spelled(replace(keyed, keyed=False)).headers
