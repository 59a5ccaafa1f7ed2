"""The chaos suite's table: each request, and what is found of it, in the line of its fault."""

from __future__ import annotations

from dataclasses import replace

from tests.support.chaos.account import Account
from tests.support.chaos.checker import check
from tests.support.chaos.history import Attempt, Blow, Effect, Entry, History, Request

OK = Attempt(0, 0, status=200)
BROKEN = Attempt(0, 0)
GONE = Attempt(0, 0, status=404, code="not-found")
WRONG = Attempt(0, 0, status=500, code="internal-error")


def sent(mark: str, at: float, answer: Attempt) -> Entry:
    """A push into a document of its own, which is not there at the end."""
    attempt = replace(answer, sent=at, ended=at + 1)
    return Entry(Request(mark, Effect.PUSH, f"/{mark}", keyed=False), (attempt,))


def table(*entries: Entry) -> list[list[str]]:
    """The lines of a run in which the link was cut from 10 on, and a worker killed from 20 on."""
    blows = (Blow("link cut", 3, 10), Blow("kill worker", 9, 20), Blow("kill worker", 12, 30))
    history = History(entries, blows)
    lines = Account(history, check(history, ())).table().splitlines()
    return [line.rsplit(maxsplit=8) for line in lines[:-1]] + [lines[-1:]]


def test_requests_are_counted_where_they_began() -> None:
    """By what was done at that time; what came before all of it is the first one's."""
    _, kill, cut, everything, _ = table(
        sent("a", 1, BROKEN), sent("b", 19, GONE), sent("c", 25, BROKEN), sent("d", 31, GONE)
    )
    assert kill == ["kill worker", "2", "2", "0", "1", "1", "0", "0", "0"]
    assert cut == ["link cut", "1", "2", "0", "1", "1", "0", "0", "0"]
    assert everything == ["all", "3", "4", "0", "2", "2", "0", "0", "0"]


def test_findings_stand_in_the_line_of_their_request() -> None:
    """What is lost has a column; what no order explains, and a wrong answer, are violations."""
    head, kill, cut, everything, _ = table(sent("a", 12, OK), sent("b", 25, WRONG))
    assert head[-3:] == ["lost", "doubled", "violations"]
    assert cut[-3:] == ["1", "0", "1"]
    assert kill[-3:] == ["0", "0", "1"]
    assert everything[-3:] == ["1", "0", "2"]


def test_writes_in_flight_are_those_at_the_kills() -> None:
    """The least and the median of them; the other faults do not count."""
    assert table()[-1] == ["writes in flight at 2 kills: least 9, median 10.5, most 12"]
