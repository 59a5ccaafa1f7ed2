"""The run of an import, with threads, against services that answer by the record."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from demijohn.cli.client import ConnectionLost, Problem, Refused, Service
from demijohn.cli.handoff import Record
from demijohn.cli.identity import Identity
from demijohn.cli.interrupts import Interrupts
from demijohn.cli.rejects import Rejects
from demijohn.cli.sending import Limits, Sending, Tally

INVALID = HTTPStatus.UNPROCESSABLE_ENTITY
FORBIDDEN = Problem(403, "forbidden", "not you")
BUSY = Problem(503, "overloaded", "later")


class Answering(Service):
    """A service that answers by the number of the first record, and knows which it was sent."""

    def __init__(self, answer: Callable[[int], Problem | None]) -> None:
        super().__init__("http://service.example", "things")
        self.asked: list[int] = []
        self._answer = answer
        self._lock = threading.Lock()

    @contextmanager
    def upload(self, lines: bytes, *, extended: bool) -> Iterator[Iterator[bytes]]:
        """What the test says about these records: a 422 is about the first, others about all."""
        del extended
        numbers = [json.loads(line)["n"] for line in lines.splitlines()]
        with self._lock:
            self.asked += numbers
        problem = self._answer(numbers[0])
        if problem and problem.status != INVALID:
            raise Refused(self.url, problem)
        failed = 1 if problem else 0
        told = [{"line": 1, "status": INVALID, "code": problem.code}] if problem else []
        sums = {"inserted": len(numbers) - failed, "failed": failed, "done": True}
        yield iter([json.dumps(each).encode() for each in (*told, sums)])


def send(directory: Path, service: Service, records: int, concurrency: int = 4) -> Sending:
    """Send records 1 to `records`, each with its number in it, at most 100 in a request."""
    rejects = Rejects(directory / "rejects", append=False)
    identity, limits = Identity(extended=False), Limits(concurrency, patience=0)
    sending = Sending(service, identity, rejects, Interrupts(), limits)
    for number in range(1, records + 1):
        raw = json.dumps({"n": number, "padding": "x" * 10_000})
        if not sending.offer(Record(number, raw.encode())):
            break
    sending.finish()
    rejects.close()
    return sending


def rejected(directory: Path) -> set[int]:
    """The numbers in the rejects file."""
    path = directory / "rejects"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return {json.loads(line)["record"] for line in lines}


def test_every_record_is_sent_once(tmp_path: Path) -> None:
    """Many threads share the records without loss or repetition."""
    service = Answering(lambda _: None)

    sending = send(tmp_path, service, 2000, concurrency=16)

    assert sorted(service.asked) == list(range(1, 2001))
    assert (sending.tally.inserted, sending.done) == (2000, 2000)
    assert sending.stopped_by is None


def test_first_request_is_tried_alone(tmp_path: Path) -> None:
    """Where the caller is refused, one request was sent, and none is counted or kept."""
    service = Answering(lambda _: FORBIDDEN)

    sending = send(tmp_path, service, 2000)

    assert service.asked == [1]
    assert "403 forbidden: not you" in str(sending.stopped_by)
    assert (sending.tally.settled, sending.done, rejected(tmp_path)) == (0, 0, set())


def test_records_not_taken_are_left(tmp_path: Path) -> None:
    """When the run stops, all up to `done` are in, and no other is."""
    sending = send(tmp_path, Answering(lambda n: BUSY if n > 100 else None), 2000, concurrency=1)

    assert "took nothing for 0 seconds" in str(sending.stopped_by)
    assert sending.tally == Tally(inserted=sending.done)
    assert 100 <= sending.done < 300
    assert rejected(tmp_path) == set()


def test_records_not_taken_before_others_are_refused(tmp_path: Path) -> None:
    """When the run stops, what is behind them is in, so they are in the rejects file."""
    late = threading.Event()

    def one_busy(number: int) -> Problem | None:
        if number == 2:
            late.wait(60)
            return BUSY
        # With three more threads, and a hundred records to a request: one behind it is in.
        if number > 300:
            late.set()
        return None

    sending = send(tmp_path, Answering(one_busy), 2000)

    busy = rejected(tmp_path)
    assert 2 in busy
    assert sending.done > max(busy)
    assert sending.tally == Tally(inserted=sending.done - len(busy), refused=len(busy))


def test_lost_answers_end_the_run(tmp_path: Path) -> None:
    """Those whose answer never came are kept, with the `_id` that they were sent with."""

    def lost(number: int) -> None:
        if number > 50:
            raise ConnectionLost("reset")

    sending = send(tmp_path, service := Answering(lost), 2000, concurrency=1)

    kept = [json.loads(line) for line in (tmp_path / "rejects").read_bytes().splitlines()]
    assert sending.stopped_by is not None
    assert [line["record"] for line in kept] == service.asked[-len(kept) :]
    assert {line["code"] for line in kept} == {"outcome-unknown"}
    assert all(len(line["document"]["_id"]) == 24 for line in kept)
    assert sending.tally == Tally(inserted=sending.done - len(kept), unknown=len(kept))


def test_rejects_that_cannot_be_written_end_the_run(tmp_path: Path) -> None:
    """A refused record that can't be kept is named, and nothing more is sent."""
    refusing = Answering(lambda n: Problem(INVALID, "invalid-document", "no") if n > 1 else None)

    sending = send(tmp_path / "missing", refusing, 5000)

    assert "was refused" in str(sending.stopped_by)
    assert "cannot be written" in str(sending.stopped_by)
    assert sending.done < 5000
