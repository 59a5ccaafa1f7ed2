"""Clients that insert into `data` in every way at the same time, and what is held against them.

=================  ================================================================================
lost               a document was acknowledged, and is not there
doubled            a document is there more than once
not his own        `Location`, or the body, has another document than the client has sent
refused but there  a document was refused, and is there
wrong answer       an answer that this client cannot have: a refusal of what nothing speaks against,
                   an acknowledgement of an id that was there before, a failure
unanswered         the connection ended without a whole answer
=================  ================================================================================
"""

from __future__ import annotations

import itertools
import json
import socket
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.support.database import Documents
from tests.support.raw_http import RawAnswer, connect, head, read_answer

NAME = "data"
GUIDE = "/data"
V1 = f"/v1/collections/{NAME}/documents"
TAKEN = "taken"
"""An id that is there before anybody begins."""
LINES = 6
"""Documents of an upload; the one in the middle has an id that is taken."""
NOT_DONE = frozenset(("database-unavailable", "overloaded"))
"""Failures that say that nothing was written."""
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A request: its documents by their marks, and the answers that it may have."""

    path: str
    body: bytes
    marks: tuple[str, ...]
    statuses: frozenset[int]
    headers: tuple[str, ...] = ("Content-Type: application/json",)
    refused: tuple[int, ...] = ()
    """The lines of an upload that must be refused, counted from 1."""

    @property
    def raw(self) -> bytes:
        """What goes over the wire."""
        length = f"Content-Length: {len(self.body)}"
        return head("POST", self.path, length, *self.headers) + self.body


@dataclass(slots=True)
class Sent:
    """A wish that was sent, and what came of it."""

    wish: Wish
    answer: RawAnswer | None = None
    """None where there was none, or not the whole of it."""

    @property
    def status(self) -> int:
        """Of the answer; 0 where there was none."""
        return 0 if self.answer is None else self.answer.status

    @property
    def code(self) -> str:
        """Of a problem."""
        return "" if self.answer is None or self.status < 400 else self.lines()[0]["code"]

    def lines(self) -> list[dict[str, Any]]:
        """Of the answer to an upload: the failures, and the summary last."""
        assert self.answer is not None
        return [json.loads(line) for line in self.answer.body.splitlines()]

    def failed(self) -> set[int]:
        """The places of the documents that were refused."""
        if self.status == 200:
            return {each["line"] - 1 for each in self.lines()[:-1]}
        is_refused = 400 <= self.status < 500 or self.code in NOT_DONE
        return set(range(len(self.wish.marks))) if is_refused else set()

    def acknowledged(self) -> list[str]:
        """The marks of the documents that are said to be there."""
        if self.status not in (200, 201):
            return []
        failed = self.failed()
        return [mark for at, mark in enumerate(self.wish.marks) if at not in failed]

    def refused(self) -> list[str]:
        """The marks of the documents that are said not to be there."""
        return [self.wish.marks[at] for at in self.failed()]


def wishes(name: str) -> Iterator[Wish]:
    """One client's requests, of all kinds in turn, for ever; names differ from client to client."""
    # A key that another test has used would get the answer of then.
    run = uuid.uuid4().hex[:8]
    for turn in itertools.count():
        mark = f"{name}-{turn}-{run}"
        yield _one(GUIDE, f"{mark}-guide")
        yield _one(V1, f"{mark}-plain")
        yield _one(GUIDE, f"{mark}-taken", TAKEN, statuses=(409,))
        yield _one(V1, f"{mark}-own", f"{mark}/id é")
        yield _one(V1, f"{mark}-shared", f"shared-{turn}", statuses=(201, 409))
        yield _upload(f"{mark}-line")
        yield _one(V1, f"{mark}-keyed", keyed=True)


def _one(
    path: str,
    mark: str,
    id_: str | None = None,
    *,
    statuses: Sequence[int] = (201,),
    keyed: bool = False,
) -> Wish:
    document = {"mark": mark} if id_ is None else {"_id": id_, "mark": mark}
    key = (f"Idempotency-Key: {mark}",) if keyed else ()
    headers = ("Content-Type: application/json", *key)
    return Wish(path, json.dumps(document).encode(), (mark,), frozenset(statuses), headers)


def _upload(mark: str) -> Wish:
    marks = tuple(f"{mark}-{at}" for at in range(LINES))
    documents: list[dict[str, str]] = [{"mark": each} for each in marks]
    middle = LINES // 2
    documents[middle]["_id"] = TAKEN
    return Wish(
        V1,
        "\n".join(map(json.dumps, documents)).encode(),
        marks,
        frozenset((200,)),
        ("Content-Type: application/x-ndjson",),
        refused=(middle + 1,),
    )


@dataclass
class Client:
    """One connection, opened again after it has ended; nothing is sent twice."""

    port: int
    sent: list[Sent] = field(default_factory=list)
    _connection: socket.socket | None = None

    def ask(self, wish: Wish) -> Sent:
        """Send it and wait for the answer. Raises ConnectionRefusedError before it is sent."""
        if self._connection is None:
            self._connection = connect(self.port, SECONDS)
        sent = Sent(wish)
        self.sent.append(sent)
        try:
            self._connection.sendall(wish.raw)
            answer = read_answer(self._connection)
        except (EOFError, OSError):
            self.close()
            return sent
        sent.answer = answer if answer.whole else None
        if not answer.whole or answer.headers.get("connection") == "close":
            self.close()
        return sent

    def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def play(
    port: int, name: str, goes_on: Callable[[int], bool], *, is_stopped: bool = False
) -> list[Sent]:
    """Be one client for as long as `goes_on`, which is told how many requests it has sent.

    With `is_stopped`, until the service takes no more connections.
    """
    client = Client(port)
    try:
        for wish in wishes(name):
            if not goes_on(len(client.sent)):
                break
            client.ask(wish)
    except ConnectionRefusedError:
        if not is_stopped:
            raise
    finally:
        client.close()
    return client.sent


def judge(everyone: Iterable[Sent], stored: Documents) -> dict[str, list[str]]:
    """What is wrong, by kind; empty where every promise was kept."""
    there = {str(each["_id"]): each["mark"] for each in stored.find()}
    times = Counter(there.values())
    faults: dict[str, list[str]] = defaultdict(list)
    for sent in everyone:
        for kind, marks in _faults(sent, there, times).items():
            if marks:
                faults[kind] += marks
    return dict(faults)


def _faults(sent: Sent, there: dict[str, str], times: Counter[str]) -> dict[str, list[str]]:
    marks = sent.wish.marks
    words = [f"{sent.status} {sent.code} {' '.join(marks)}"]
    is_answered = sent.answer is not None
    return {
        "lost": [mark for mark in sent.acknowledged() if not times[mark]],
        "doubled": [mark for mark in marks if times[mark] > 1],
        "refused but there": [mark for mark in sent.refused() if times[mark]],
        "not his own": words if sent.status == 201 and not _is_own(sent, there) else [],
        "wrong answer": words if is_answered and not _is_right(sent) else [],
        "unanswered": [] if is_answered else words,
    }


def _is_own(sent: Sent, there: dict[str, str]) -> bool:
    assert sent.answer is not None
    (mark,) = sent.wish.marks
    id_ = unquote(sent.answer.headers["location"].rpartition("/")[2])
    body = json.loads(sent.answer.body)
    return there.get(id_) == mark and (sent.wish.path == GUIDE or body["mark"] == mark)


def _is_right(sent: Sent) -> bool:
    if sent.status not in sent.wish.statuses:
        return False
    if sent.status != 200:
        return True
    *failures, summary = sent.lines()
    refused = sent.wish.refused
    told = [(each["line"], each["code"]) for each in failures]
    count = {"inserted": LINES - len(refused), "failed": len(refused), "done": True}
    return told == [(line, "duplicate-key") for line in refused] and summary == count
