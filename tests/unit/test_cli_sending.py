"""The run of an import, with threads, against services that answer by the record."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from demijohn.cli.client import ConnectionLost, Problem, Service
from demijohn.cli.handoff import Record
from demijohn.cli.interrupts import Interrupts
from demijohn.cli.rejects import Rejects
from demijohn.cli.sending import Sending, Tally

FORBIDDEN = Problem(403, "forbidden", "not you")
BUSY = Problem(503, "overloaded", "later")


class Answering(Service):
    """A service that answers by the record's number, and knows how many it had at one time."""

    def __init__(self, answer: Callable[[int], Problem | None]) -> None:
        super().__init__("http://service.example")
        self.asked: list[int] = []
        self._answer = answer
        self._lock = threading.Lock()

    def insert(self, document: bytes) -> Problem | None:
        """What the test says about this record."""
        number = int(document)
        with self._lock:
            self.asked.append(number)
        return self._answer(number)


def send(directory: Path, service: Service, records: int, concurrency: int = 4) -> Sending:
    """Send records 1 to `records`, each with its number as its text."""
    rejects = Rejects(directory / "rejects", append=False)
    sending = Sending(service, rejects, Interrupts(), concurrency, patience=0)
    for number in range(1, records + 1):
        if not sending.offer(Record(number, str(number).encode())):
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


def test_first_record_is_tried_alone(tmp_path: Path) -> None:
    """Where the caller is refused, one record was sent, and none is counted or kept."""
    service = Answering(lambda _: FORBIDDEN)

    sending = send(tmp_path, service, 2000)

    assert service.asked == [1]
    assert "403 forbidden: not you" in str(sending.stopped_by)
    assert (sending.tally.settled, sending.done, rejected(tmp_path)) == (0, 0, set())


def test_records_not_taken_are_left_or_refused(tmp_path: Path) -> None:
    """When the run stops, all up to `done` are settled: in, or in the rejects file."""
    sending = send(tmp_path, service := Answering(lambda n: BUSY if n > 100 else None), 2000)

    assert sending.stopped_by is not None
    assert (sending.tally.inserted, sending.done, rejected(tmp_path)) == (100, 100, set())
    assert max(service.asked) < 200

    late = threading.Event()

    def one_busy(number: int) -> Problem | None:
        if number == 10:
            late.wait(60)
            return BUSY
        if number == 11:
            late.set()
        return None

    sending = send(tmp_path, Answering(one_busy), 2000)
    assert sending.done >= 11
    assert rejected(tmp_path) == {10}
    assert sending.tally == Tally(inserted=sending.done - 1, refused=1)


def test_nothing_but_unknown_outcomes_ends_the_run(tmp_path: Path) -> None:
    """Where every answer is lost from some record on, the rest is not sent into the dark."""

    def lost(number: int) -> None:
        if number > 50:
            raise ConnectionLost("reset")

    sending = send(tmp_path, Answering(lost), 2000)

    assert sending.stopped_by is not None
    assert sending.done < 200
    assert rejected(tmp_path) == set(range(51, sending.done + 1))


def test_rejects_that_cannot_be_written_end_the_run(tmp_path: Path) -> None:
    """A refused record that can't be kept is named, and nothing more is sent."""
    refusing = Answering(lambda n: Problem(422, "invalid-document", "no") if n == 5 else None)

    sending = send(tmp_path / "missing", refusing, 2000)

    assert "Record 5 was refused" in str(sending.stopped_by)
    assert sending.done < 200
