"""How `demijohn import` sends records: what answers mean, and what is sent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps, loads
from hypothesis import given
from hypothesis import strategies as st

from demijohn.cli.client import ConnectionLost, Problem, Refused, Service, Unreachable
from demijohn.cli.delivery import Delivery, Kind, Outcome
from demijohn.cli.handoff import Record
from demijohn.cli.identity import Identity

URL = "http://service.example"
Answer = Exception | Callable[["Scripted", list[bytes]], Iterator[bytes]]


class Scripted(Service):
    """A service whose answers are given, with a collection of what they have it keep."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(URL, "things")
        self.answers = list(answers)
        self.sent: list[list[bytes]] = []
        self.stored: dict[str, dict[str, object]] = {}

    @contextmanager
    def upload(self, lines: bytes, *, extended: bool) -> Iterator[Iterator[bytes]]:
        """The next answer."""
        del extended
        self.sent.append(lines.splitlines())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield answer(self, self.sent[-1])

    def search(self, asked: bytes) -> Iterator[bytes]:
        """The documents with these ids."""
        (asked_ids,) = loads(asked)["filter"]["_id"].values()
        ids = {str(each): each for each in asked_ids}
        found = [
            self.stored[each] | {"_id": own} for each, own in ids.items() if each in self.stored
        ]
        return (dumps(each, json_options=CANONICAL_JSON_OPTIONS).encode() for each in found)

    def keep(self, line: bytes) -> bool:
        """Insert a document unless its `_id` is taken."""
        document = json.loads(line)
        return self.stored.setdefault(document["_id"], document) is document


def said(number: int, status: int, code: str) -> bytes:
    """A line about a document that was refused."""
    return json.dumps({"line": number, "status": status, "code": code, "detail": "no"}).encode()


def works(service: Scripted, lines: list[bytes]) -> Iterator[bytes]:
    """Insert what can be, and tell so to the end."""
    failed = 0
    for number, line in enumerate(lines, 1):
        if not service.keep(line):
            failed += 1
            yield said(number, 409, "duplicate-key")
    yield json.dumps({"inserted": len(lines) - failed, "failed": failed, "done": True}).encode()


def dies(after: int) -> Answer:
    """Insert so many and be gone, with what there was to be told about them."""

    def answer(service: Scripted, lines: list[bytes]) -> Iterator[bytes]:
        yield from list(works(service, lines[:after]))[:-1]
        raise ConnectionLost("reset")

    return answer


def loses(service: Scripted, lines: list[bytes]) -> Iterator[bytes]:
    """Insert all, and tell nothing."""
    list(works(service, lines))
    yield from ()
    raise ConnectionLost("reset")


def fails(*told: bytes) -> Answer:
    """Tell this much, without the sums, and end."""
    return lambda _service, _lines: iter(told)


class Clock:
    """Time that passes only where the delivery pauses."""

    def __init__(self, *, broken_off: bool = False) -> None:
        self.pauses: list[float] = []
        self._broken_off = broken_off

    def now(self) -> float:
        """The seconds of all pauses, and those before."""
        return 100 + sum(self.pauses)

    def pause(self, seconds: float) -> bool:
        """Let the seconds pass, unless broken off."""
        self.pauses.append(seconds)
        return self._broken_off


def refused(status: int, code: str, retry_after: float | None = None) -> Refused:
    """A problem in place of an answer."""
    return Refused(URL, Problem(status, code, "because", retry_after=retry_after))


def delivery(service: Service, clock: Clock, patience: float = 60) -> Delivery:
    """One to this service."""
    return Delivery(service, Identity(extended=False), patience, clock.pause, clock.now)


def deliver(service: Scripted, *raws: bytes, clock: Clock | None = None) -> Outcome:
    """Send records, numbered from 11, together; all answers must be used."""
    records = [Record(number, raw) for number, raw in enumerate(raws, 11)]
    outcome = delivery(service, clock or Clock()).send(records)
    assert service.answers == []
    return outcome


@pytest.mark.parametrize(
    "answer",
    [
        refused(503, "overloaded"),
        refused(503, "database-unavailable"),
        refused(503, "shutting-down"),
        refused(429, "too-many-requests"),
        refused(408, "body-timeout"),
        refused(503, "outcome-unknown"),
        refused(500, "internal-error"),
        refused(504, "deadline-exceeded"),
        refused(502, "http-502"),
        fails(said(1, 503, "database-unavailable")),
        fails(said(1, 503, "outcome-unknown")),
        fails(),
        dies(0),
        dies(1),
        dies(3),
        loses,
    ],
)
def test_what_is_not_settled_is_sent_again(answer: Answer) -> None:
    """After whatever failure, each record is in once, and counts as inserted."""
    service = Scripted(answer, works)

    outcome = deliver(service, b'{"n": 1}', b'{"_id": "own", "n": 2}', b'{"n": 3}')

    assert outcome == Outcome()
    assert sorted(str(each["n"]) for each in service.stored.values()) == ["1", "2", "3"]
    assert service.sent[-1] == service.sent[0], "with the same ids"


def test_a_duplicate_at_first_was_there_before() -> None:
    """It is refused, equal or not; and stays so when the answer is cut behind it."""
    for answers in ([works], [dies(2), works]):
        service = Scripted(*answers)
        service.stored = {"a": {"_id": "a", "n": 1}}

        outcome = deliver(service, b'{"_id": "a", "n": 1}', b'{"n": 2}')

        assert {number: each.code for number, each in outcome.refused.items()} == {
            11: "duplicate-key"
        }
        assert len(service.stored) == 2


def test_a_duplicate_of_another_document_is_refused() -> None:
    """Whose `_id` was taken before its answer got lost is not said to be in."""
    service = Scripted(loses, works)
    service.stored = {"a": {"_id": "a", "n": "theirs"}}

    outcome = deliver(service, b'{"_id": "a", "n": "ours"}', b'{"_id": "b", "n": 2}')

    assert list(outcome.refused) == [11]
    assert service.stored["a"] == {"_id": "a", "n": "theirs"}


@pytest.mark.parametrize("last", [b'{"_id": "a", "n": 2}', b'{"_id": "a", "n": 1}'])
def test_duplicates_in_one_input(last: bytes) -> None:
    """Of two records with one `_id` the first is in, the other refused, lost answer or not."""
    for answers in ([works], [loses, works], [dies(1), works], [dies(1), loses, works]):
        service = Scripted(*answers)

        outcome = deliver(service, b'{"_id": "a", "n": 1}', last)

        assert list(outcome.refused) == [12]
        assert service.stored == {"a": {"_id": "a", "n": 1}}


def test_order_of_fields_and_types_of_numbers_count() -> None:
    """What is stored is compared as BSON: a document that is only alike is another one."""
    for stored in ({"_id": "a", "y": 1, "x": 1}, {"_id": "a", "x": 1.0, "y": 1}):
        service = Scripted(loses, works)
        service.stored = {"a": stored}

        assert list(deliver(service, b'{"_id": "a", "x": 1, "y": 1}').refused) == [11]


def test_refusals_are_told_once() -> None:
    """What was refused before the answer was cut is not sent again."""
    service = Scripted(fails(said(2, 422, "invalid-document")), works)

    outcome = deliver(service, b'{"n": 1}', b'{"$n": 2}', b'{"n": 3}')

    assert list(outcome.refused) == [12]
    assert [len(lines) for lines in service.sent] == [3, 2]


@pytest.mark.parametrize(
    "sums",
    [
        {"inserted": 2, "failed": 0, "done": True},
        {"inserted": 3, "failed": 1, "done": True},
        {"inserted": 3, "failed": 0, "done": False},
        {"done": True},
    ],
)
def test_sums_that_do_not_agree_settle_nothing(sums: dict[str, object]) -> None:
    """An answer that counts otherwise than the records that were sent is no answer."""
    service = Scripted(fails(json.dumps(sums).encode()), works)

    assert deliver(service, b"{}", b"{}", b"{}") == Outcome()


@pytest.mark.parametrize(
    "line", [b"[]", b"5", b'{"line": 0}', said(9, 422, "c"), b"x", b'{"line": [], "status": 422}']
)
def test_strange_lines_settle_nothing(line: bytes) -> None:
    """A line that is none of this service's does not end the import with a defect."""
    assert deliver(Scripted(fails(line), works), b"{}") == Outcome()


def test_retry_after_is_honoured() -> None:
    """The next try comes no sooner than the service asked for."""
    clock = Clock()

    deliver(Scripted(refused(503, "overloaded", 7), works), b"{}", clock=clock)

    assert clock.pauses == [7]


@given(st.floats(min_value=0, max_value=100), st.none() | st.floats(min_value=0, max_value=200))
def test_tries_are_bounded(patience: float, retry_after: float | None) -> None:
    """A failure is never borne for longer than it may be, and then the run stops."""
    clock = Clock()
    service = Scripted(*[refused(503, "overloaded", retry_after)] * 1000)

    outcome = delivery(service, clock, patience).send([Record(1, b"{}")])

    assert sum(clock.pauses) <= patience
    assert (outcome.kind, set(outcome.left)) == (Kind.NOT_TAKEN, {1})
    assert outcome.stop is not None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(503, "overloaded"), Kind.NOT_TAKEN),
        (refused(500, "internal-error"), Kind.UNKNOWN),
        (dies(1), Kind.UNKNOWN),
        (loses, Kind.UNKNOWN),
        (fails(said(1, 503, "database-unavailable")), Kind.NOT_TAKEN),
        (fails(said(1, 422, "c"), said(2, 503, "database-unavailable")), Kind.NOT_TAKEN),
        (fails(said(2, 503, "database-unavailable")), Kind.UNKNOWN),
        (fails(said(1, 503, "outcome-unknown")), Kind.UNKNOWN),
    ],
)
def test_only_what_may_be_in_is_unknown(answer: Answer, kind: Kind) -> None:
    """Broken off, records are unknown where one may have got in, and else to be sent again."""
    outcome = deliver(Scripted(answer), b'{"n": 1}', b'{"n": 2}', clock=Clock(broken_off=True))

    assert (outcome.kind, outcome.stop) == (kind, None)
    assert outcome.left == {11, 12} - set(outcome.refused)
    assert outcome.problem is not None
    assert (outcome.problem.code == "outcome-unknown") == (kind is Kind.UNKNOWN)


def test_unreachable_matters_only_before_the_first_answer() -> None:
    """A service never reached stops the run at once; one that was may come back."""
    gone = Unreachable(URL, "Connection refused", refused=True)
    sender = delivery(Scripted(gone, works, gone, gone, works), Clock())

    outcomes = [sender.send([Record(number, b"{}")]) for number in (1, 2, 3)]

    assert outcomes[0].stop == f"No service at {URL}. Is one running? `demijohn serve` starts one."
    assert outcomes[1:] == [Outcome(), Outcome()]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(400, "bad-parameter"), Kind.NOT_TAKEN),
        (refused(400, "http-400"), Kind.NOT_TAKEN),
        (refused(403, "forbidden"), Kind.NOT_TAKEN),
        (refused(404, "not-found"), Kind.NOT_TAKEN),
        (refused(413, "http-413"), Kind.NOT_TAKEN),
        (refused(308, "http-308"), Kind.NOT_TAKEN),
        (refused(200, "http-200"), Kind.UNKNOWN),
    ],
)
def test_what_every_record_would_meet_ends_the_run(answer: Refused, kind: Kind) -> None:
    """What is about the caller, the collection or the address is not tried with other records."""
    outcome = deliver(Scripted(answer), b"{}", b"{}")

    assert (outcome.kind, set(outcome.left), outcome.refused) == (kind, {11, 12}, {})
    assert outcome.stop is not None


def test_one_record_too_large_for_what_is_in_between() -> None:
    """A proxy that takes no such body refuses that record, if it was alone."""
    outcome = deliver(Scripted(refused(413, "http-413")), b'{"a": "xxx"}')

    assert (list(outcome.refused), set(outcome.left), outcome.stop) == ([11], set(), None)
