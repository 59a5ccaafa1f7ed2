"""An upload's lines: what each refused one is told, and how the upload ends."""

from __future__ import annotations

from demijohn.documents.bulk import Batch, Read
from demijohn.edge.handover import Step
from demijohn.edge.reply import dump
from demijohn.errors import MalformedJson, Problem, TooLarge
from demijohn.formats.ndjson import Lines
from demijohn.store.documents import Store

LARGEST_ANSWER = 64 * 1024
"""Bytes that are said in one step, and one line more."""
LONGEST_DETAIL = 500
"""Characters."""


class Intake:
    """Inserts the documents of an NDJSON upload as they come (`edge.handover.Upload`).

    Between two steps it holds the text of one line, and of what has come last.
    """

    def __init__(
        self, store: Store, batch: Batch, read: Read, limit: int, *, is_extended: bool
    ) -> None:
        """Take what inserts, how a line is read, and the most bytes of one."""
        self.is_extended = is_extended
        self._store = store
        self._batch = batch
        self._read = read
        self.longest = limit
        self._lines = Lines(limit)
        self._is_whole = False
        self._inserted = self._failed = 0

    @property
    def held(self) -> int:
        """Bytes that have come and are not done with."""
        return self._lines.held

    def feed(self, chunk: bytes) -> None:
        """Keep what has come."""
        self._lines.feed(chunk)

    def end(self) -> None:
        """What has come last is the end."""
        self._lines.end()
        self._is_whole = True

    def step(self, room: int) -> Step:
        """Insert a batch of lines, and tell which of them were refused."""
        said = _Said()
        size = self._fill(room, said)
        done = self._batch.insert(self._store)
        for number, problem in done.problems.items():
            said.refuse(number, problem)
        self._inserted += len(done.ids)
        self._failed += len(said.lines)
        answer = said.text()
        if size is None and self._is_whole and said.failure is None:
            answer += self._summary()
        return Step(answer, is_last=size is None, needs=size or 0, failure=said.failure)

    def _fill(self, room: int, said: _Said) -> int | None:
        """Read lines until there are enough; the size of the next, None where it is to come."""
        while said.failure is None and (size := self._lines.size()) is not None:
            enough = self._batch.is_full or said.size >= LARGEST_ANSWER
            if enough or room < size <= self.longest:
                return min(size, self.longest)
            line = self._lines.take()
            try:
                self._add(line.number, line.text)
            except Problem as problem:
                said.refuse(line.number, problem)
        return None

    def _add(self, number: int, text: bytes | None) -> None:
        if text is None:
            raise TooLarge(f"The line is longer than the {self.longest:,} bytes taken here.")
        self._batch.add(number, self._read(text))

    def _summary(self) -> bytes:
        return dump({"inserted": self._inserted, "failed": self._failed, "done": True})


class _Said:
    """What is said in one step."""

    def __init__(self) -> None:
        self.lines: dict[int, bytes] = {}
        self.size = 0
        self.failure: Problem | None = None
        """The first problem that is no document's own."""

    def refuse(self, number: int, problem: Problem) -> None:
        self.lines[number] = _line(number, problem)
        self.size += len(self.lines[number])
        if self.failure is None and problem.is_failure:
            self.failure = problem

    def text(self) -> bytes:
        return b"".join(self.lines[number] for number in sorted(self.lines))


def told(problem: Problem, place: str = "") -> dict[str, object]:
    """What is said of a document that was refused; `place` is its own JSON Pointer."""
    pointer = problem.faults[0].pointer if problem.faults else ""
    return {
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail[:LONGEST_DETAIL],
        "pointer": place + pointer,
    }


def _line(number: int, problem: Problem) -> bytes:
    said = told(problem)
    if isinstance(problem, MalformedJson):
        # Of a line its first is the only one, which says nothing.
        detail = problem.detail.replace("The body", "The line", 1)
        said["detail"] = detail.replace("line 1, ", "", 1)
    return dump({"line": number, **said})
