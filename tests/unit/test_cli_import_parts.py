"""The pure parts of `demijohn import`: what answers mean, numbering, and the rejects file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.cli.client import ConnectionLost, Problem, Service, Unreachable, parse_problem
from demijohn.cli.delivery import Delivery, Kind, Outcome, judge
from demijohn.cli.handoff import Handoff, Record
from demijohn.cli.rejects import Rejects, reject_line
from demijohn.errors import Fault

URL = "http://service.example"
Answer = Problem | Exception | None

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Scripted(Service):
    """A service whose answers are given."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(URL)
        self.answers = list(answers)

    def insert(self, document: bytes) -> Problem | None:
        """The next answer."""
        del document
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """Time that passes only where the delivery pauses."""

    def __init__(self, *, broken_off: bool = False) -> None:
        self.pauses: list[float] = []
        self._broken_off = broken_off

    def now(self) -> float:
        """The seconds of all pauses."""
        return sum(self.pauses)

    def pause(self, seconds: float) -> bool:
        """Let the seconds pass, unless broken off."""
        self.pauses.append(seconds)
        return self._broken_off


def problem(status: int, code: str, retry_after: float | None = None) -> Problem:
    """An answer of the service."""
    return Problem(status, code, "because", retry_after=retry_after)


def deliver(clock: Clock, *answers: Answer, patience: float = 60) -> Outcome:
    """Send one record to a service that gives these answers; all of them must be used."""
    service = Scripted(*answers)
    outcome = Delivery(service, patience, clock.pause, clock.now).send(b"{}")
    assert service.answers == []
    return outcome


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "overloaded"),
        problem(503, "database-unavailable"),
        problem(503, "shutting-down"),
        problem(429, "too-many-requests"),
        problem(408, "body-timeout"),
    ],
)
def test_what_did_nothing_is_sent_again(answer: Problem) -> None:
    """Where the code says that nothing was done, the record is sent until it is in."""
    assert deliver(Clock(), answer, answer, None).kind is Kind.INSERTED


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "outcome-unknown"),
        problem(500, "internal-error"),
        problem(504, "deadline-exceeded"),
        problem(502, "http-502"),
        problem(503, "http-503"),
        ConnectionLost("reset"),
    ],
)
def test_what_may_have_happened_is_not_sent_again(answer: Answer) -> None:
    """Where the record may be in, it is sent once and found under outcome-unknown."""
    outcome = deliver(Clock(), answer)

    assert outcome.kind is Kind.UNKNOWN
    assert outcome.problem is not None
    assert outcome.problem.code == "outcome-unknown"


def test_retry_after_is_honoured() -> None:
    """The next try comes no sooner than the service asked for."""
    clock = Clock()

    deliver(clock, problem(503, "overloaded", retry_after=7), None)

    assert clock.pauses == [7]


@given(st.floats(min_value=0, max_value=100), st.none() | st.floats(min_value=0, max_value=200))
def test_tries_are_bounded(patience: float, retry_after: float | None) -> None:
    """A record is never tried for longer than it may be, and then the run stops."""
    clock = Clock()
    service = Scripted(*[problem(503, "overloaded", retry_after)] * 1000)

    outcome = Delivery(service, patience, clock.pause, clock.now).send(b"{}")

    assert clock.now() <= patience
    assert outcome.kind is Kind.NOT_TAKEN
    assert outcome.stop is not None


def test_pause_can_be_broken_off() -> None:
    """When the run stops, a record that waits for another try is given back at once."""
    outcome = deliver(Clock(broken_off=True), problem(503, "overloaded"))

    assert (outcome.kind, outcome.stop) == (Kind.NOT_TAKEN, None)


def test_unreachable_matters_only_before_the_first_answer() -> None:
    """A service never reached stops the run at once; one that was may come back."""
    gone = Unreachable(URL, "Connection refused", refused=True)
    clock = Clock()
    delivery = Delivery(Scripted(gone, None, gone, gone, None), 60, clock.pause, clock.now)

    outcomes = [delivery.send(b"{}") for _ in range(3)]

    assert outcomes[0].stop == f"No service at {URL}. Is one running? `demijohn serve` starts one."
    assert [outcome.kind for outcome in outcomes[1:]] == [Kind.INSERTED, Kind.INSERTED]


@pytest.mark.parametrize(
    ("answer", "kind", "stops"),
    [
        (problem(400, "malformed-json"), Kind.REFUSED, False),
        (problem(409, "duplicate-key"), Kind.REFUSED, False),
        (problem(413, "too-large"), Kind.REFUSED, False),
        (problem(413, "http-413"), Kind.REFUSED, False),
        (problem(422, "invalid-document"), Kind.REFUSED, False),
        (problem(400, "http-400"), Kind.NOT_TAKEN, True),
        (problem(401, "unauthenticated"), Kind.NOT_TAKEN, True),
        (problem(403, "forbidden"), Kind.NOT_TAKEN, True),
        (problem(404, "not-found"), Kind.NOT_TAKEN, True),
        (problem(308, "http-308"), Kind.NOT_TAKEN, True),
        (problem(200, "http-200"), Kind.UNKNOWN, True),
    ],
)
def test_who_is_to_blame(answer: Problem, kind: Kind, stops: bool) -> None:  # noqa: FBT001 (a case)
    """What is about the record refuses it; what is about the caller or address ends the run."""
    outcome = judge(answer, URL)

    assert (outcome.kind, outcome.stop is not None) == (kind, stops)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"detail": "x"}', b'{"code": 5}', b"\xff"]
)
def test_strangers_answers_are_no_problems(body: bytes) -> None:
    """An answer without a code is told apart, whatever it holds."""
    parsed = parse_problem(502, "Bad Gateway", body, None)

    assert (parsed.typed, parsed.code) == (False, "http-502")
    assert "502 Bad Gateway" in str(parsed)


@given(json_values)
def test_any_json_is_read_as_a_problem(value: object) -> None:
    """Whatever JSON a service answers with, the client does not fall over it."""
    body = {"code": "a-code", "detail": value, "errors": value}
    listed = {"code": "a-code", "errors": [value, {"pointer": "/a", "detail": value}]}

    assert parse_problem(422, "", json.dumps(body).encode(), None).code
    assert parse_problem(422, "", json.dumps(listed).encode(), None).code


@given(json_values)
def test_rejected_json_keeps_its_own_bytes(value: object) -> None:
    """A line of the rejects file holds the record as it was written, on one line."""
    raw = json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")

    line = reject_line(Record(3, raw), problem(422, "invalid-document"))

    assert line.count(b"\n") == 1
    kept = json.loads(line)["document"]
    assert kept in (value, raw.decode("utf-8", "backslashreplace"))


def test_rejected_numbers_are_not_reparsed() -> None:
    """2^64 and 1.50 stand in the rejects file as they stood in the input."""
    raw = b'{"n": 18446744073709551616, "x": 1.50, "x": 1e400}'

    line = reject_line(Record(1, raw), Problem(422, "c", "d", (Fault("/n", "too large"),)))

    assert line.endswith(b'"document":' + raw + b"}\n")
    assert json.loads(line)["pointer"] == "/n"


@pytest.mark.parametrize("raw", [b"NaN", b"-Infinity", b"1 2", b"", b"[" * 100_000, b'"\xff"'])
def test_what_is_no_json_is_kept_as_a_string(raw: bytes) -> None:
    """Text that JSON parsers elsewhere would not take does not spoil its line."""
    line = reject_line(Record(1, raw), problem(400, "malformed-json"))

    assert json.loads(line)["document"] == raw.decode("utf-8", "backslashreplace")


@given(st.binary())
def test_any_bytes_are_kept_as_valid_json(raw: bytes) -> None:
    """Whatever the record is, its line is JSON."""
    line = reject_line(Record(1, raw), problem(400, "malformed-json"))

    assert json.loads(line)["record"] == 1


@pytest.mark.parametrize(("append", "lines"), [(False, 1), (True, 2)])
def test_rejects_file_begins_with_its_first_line(
    append: bool,  # noqa: FBT001 (a case)
    lines: int,
    tmp_path: Path,
) -> None:
    """Without a refusal there is no file; with one an older file goes or stays, as asked."""
    path = tmp_path / "r.ndjson"
    Rejects(path, append=False).close()
    assert not path.exists()

    path.write_bytes(b"{}\n")
    rejects = Rejects(path, append=append)
    rejects.write(Record(1, b"{}"), problem(422, "c"))
    rejects.close()

    assert len(path.read_bytes().splitlines()) == lines


def test_handoff_is_bounded_in_number_and_bytes() -> None:
    """It takes no more than it may hold, but always one record, of whatever size."""
    few = Handoff(most_records=2, most_bytes=100)
    assert [few.offer(Record(n, b"x"), 0) for n in (1, 2, 3)] == [True, True, False]

    small = Handoff(most_records=10, most_bytes=100)
    assert small.offer(Record(1, b"x" * 1000), 0)
    assert not small.offer(Record(2, b"x"), 0)
    first = small.take()
    assert first is not None
    assert not small.offer(Record(2, b"x"), 0), "what is under way still takes its room"
    small.settle(first)
    assert small.offer(Record(2, b"x"), 0)


def _take_two(handoff: Handoff) -> tuple[Record, Record]:
    first, second = handoff.take(), handoff.take()
    assert first is not None
    assert second is not None
    return first, second


def test_handoff_knows_what_is_settled() -> None:
    """Discarded records were never taken; those written off can't be settled afterwards."""
    handoff = Handoff(10, 100)
    for number in (1, 2, 3):
        handoff.offer(Record(number, b"x"), 0)
    first, second = _take_two(handoff)

    handoff.end(discard=True)

    assert handoff.take() is None
    assert handoff.last_taken == 2
    assert handoff.settle(second)
    assert not handoff.wait_settled(0)
    assert handoff.write_off() == [first]
    assert not handoff.settle(first)
    assert handoff.wait_settled(0)


def test_handoff_gives_all_before_its_end() -> None:
    """Ended without discarding, what was offered is still taken, in its order."""
    handoff = Handoff(10, 100)
    records = [Record(number, b"x") for number in (1, 2, 3)]
    for record in records:
        handoff.offer(record, 0)

    handoff.end(discard=False)

    assert [handoff.take() for _ in range(4)] == [*records, None]
