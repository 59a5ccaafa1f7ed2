"""One of two services that are held against each other: what it answers, logs, counts, stores."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from bson.raw_bson import RawBSONDocument
from pymongo.database import Database as Stored

from tests.support.keys import Caller
from tests.support.raw_http import connect, head
from tests.support.service import Service

SILENCE = 20.0
"""Seconds after which an answer that has not come is taken as none."""
IDLE = 2.0
"""Seconds for which an idle connection is still used."""
SENTINEL = head("GET", "/livez")
"""What is asked to see whether a connection stays open; it is not logged."""
BODILESS = (204, 304)
COUNTED = re.compile(r"^(demijohn_(?:requests|problems|streams_cut)_total\S*) (\S+)$", re.MULTILINE)
SERVED = re.compile(r'^demijohn_express_requests_total\{route="([^"]+)"\} (\S+)$', re.MULTILINE)
Lying = dict[str, list[bytes]]


@dataclass(frozen=True)
class Answer:
    """An answer as it came, its headers in their order; `is_whole` where no byte was missing."""

    line: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    is_whole: bool = True

    @property
    def status(self) -> int:
        """Its status; 999 where this is no answer at all, but what has come in place of one."""
        return int(self.line.split()[1]) if self.line.startswith(b"HTTP/") else 999

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its name in lower case."""
        return next((value for each, value in self.headers if each.lower() == name), None)


@dataclass(frozen=True)
class Told:
    """All that one service has let be seen of one request."""

    answers: tuple[Answer, ...]
    stays_open: bool
    lines: tuple[dict[str, Any], ...] = ()
    stored: Lying = field(default_factory=dict)


def read_answer(stream: BinaryIO, *, bodiless: bool = False) -> Answer | None:
    """The next answer; None where the connection has ended before one."""
    line = stream.readline()
    if not line:
        return None
    if not line.startswith(b"HTTP/"):
        return Answer(line, (), stream.read(), is_whole=False)
    headers = []
    while (each := stream.readline()) not in (b"\r\n", b""):
        name, _, value = each.partition(b":")
        headers.append((name, value.strip()))
    answer = Answer(line, tuple(headers), b"")
    is_interim = answer.status < 200
    if bodiless or is_interim or answer.status in BODILESS:
        return answer
    if answer.header(b"transfer-encoding") is not None:
        body = _read_chunks(stream)
        return Answer(line, answer.headers, body, body.endswith(b"0\r\n\r\n"))
    length = answer.header(b"content-length")
    if length is None:
        return Answer(line, answer.headers, stream.read())  # it ends with the connection
    body = stream.read(int(length))
    return Answer(line, answer.headers, body, len(body) == int(length))


def _read_chunks(stream: BinaryIO) -> bytes:
    """A chunked body as it came, its framing and all."""
    text = b""
    while (size := stream.readline()).endswith(b"\r\n"):
        text += size + stream.read(int(size, 16) + 2)
        if int(size, 16) == 0:
            break
    return text


class Line:
    """A connection that is kept for as long as the service keeps it."""

    def __init__(self, port: int) -> None:
        """Connect to the service on this port."""
        self.socket = connect(port, SILENCE)
        self._stream = self.socket.makefile("rb")

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send the pieces, a moment apart; a service that has closed meanwhile has its reasons."""
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.01)
            try:
                self.socket.sendall(piece)
            except ConnectionError:
                return

    def end(self) -> None:
        """Close this side of it."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def read(self, *, bodiless: bool = False) -> list[Answer]:
        """The final answer to one request behind its interim ones; nothing at the end."""
        answers = []
        try:
            while (answer := read_answer(self._stream, bodiless=bodiless)) is not None:
                answers.append(answer)
                if answer.status >= 200:
                    break
        except OSError:
            return answers  # cut, or silent for too long
        return answers

    def read_all(self, *, bodiless: bool = False) -> list[Answer]:
        """All answers until the connection ends; the first one's request may have been HEAD."""
        answers: list[Answer] = []
        while more := self.read(bodiless=bodiless and not answers):
            answers += more
        return answers

    def is_open(self) -> bool:
        """Whether one more request is answered."""
        self.send([SENTINEL])
        return [each.status for each in self.read()] == [200]

    def close(self) -> None:
        """Close it."""
        self._stream.close()
        self.socket.close()


class Side:
    """A service with one worker, and the database that is its own."""

    def __init__(
        self, service: Service, stored: Stored[RawBSONDocument], key: str | None = None
    ) -> None:
        """Take a service that listens, what it stores into, as another client sees it, and a key.

        The key is for what is asked of it beside the requests that are compared.
        """
        self.service = service
        self.stored = stored
        self.api = Caller(service.url, key)
        self._line: Line | None = None
        self._used = 0.0
        self._log = service._log_path.open(encoding="utf-8")
        self._begun = ""

    def ask(self, pieces: Iterable[bytes], *, bodiless: bool) -> tuple[list[Answer], bool]:
        """What it answers on a connection that is kept, and whether that stays open."""
        line = self._kept() or Line(self.service.port)
        line.send(pieces)
        answers = line.read(bodiless=bodiless)
        stays = bool(answers) and answers[-1].is_whole and line.is_open()
        if not stays:
            line.close()
        self._line = line if stays else None
        self._used = time.monotonic()
        return answers, stays

    def _kept(self) -> Line | None:
        """The connection that is kept; one that has long been idle may be about to be closed."""
        if self._line is not None and time.monotonic() - self._used > IDLE:
            self._line.close()
            self._line = None
        return self._line

    def ask_and_end(self, pieces: Iterable[bytes], *, bodiless: bool) -> list[Answer]:
        """What it answers on a connection whose other side is closed behind the request."""
        line = Line(self.service.port)
        line.send(pieces)
        line.end()
        answers = line.read_all(bodiless=bodiless)
        line.close()
        return answers

    def lines(self, count: int) -> list[dict[str, Any]]:
        """What it has logged of requests since it was last asked: so many lines, or all in time."""
        found = self._new_lines()
        until = time.monotonic() + SILENCE
        while len(found) < count and time.monotonic() < until:
            time.sleep(0.001)
            found += self._new_lines()
        return found

    def _new_lines(self) -> list[dict[str, Any]]:
        whole, _, self._begun = (self._begun + self._log.read()).rpartition("\n")
        parsed = [json.loads(each) for each in whole.splitlines() if each.startswith("{")]
        return [each for each in parsed if each["event"] == "request"]

    def lying(self) -> Lying:
        """The stored bytes of every document, by collection, the service's own left out."""
        names = [each for each in self.stored.list_collection_names() if each[0] != "_"]
        found = {each: sorted(bytes(one.raw) for one in self.stored[each].find()) for each in names}
        return {name: documents for name, documents in found.items() if documents}

    def restore(self, seeds: Mapping[str, list[bytes]], lying: Lying) -> None:
        """Have nothing lie there but the seeds, given what does."""
        for name in lying.keys() | seeds.keys():
            if lying.get(name, []) != (wanted := seeds.get(name, [])):
                self.stored[name].delete_many({})
                if wanted:
                    self.stored[name].insert_many(map(RawBSONDocument, wanted))

    def counts(self) -> dict[str, float]:
        """How many requests it has answered, by all their labels, and how many problems."""
        return {name: float(count) for name, count in COUNTED.findall(self._metrics())}

    def served(self) -> dict[str, float]:
        """How many requests its express path has answered, by route."""
        return {route: float(count) for route, count in SERVED.findall(self._metrics())}

    def _metrics(self) -> str:
        return self.api.get("/metrics").body.decode()

    def close(self) -> None:
        """Close what it holds; the service goes on."""
        if self._line is not None:
            self._line.close()
        self._log.close()
        self.api.close()
