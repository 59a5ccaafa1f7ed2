"""The drill's client counts what happens on the wire, and sends nothing twice."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient

from demijohn.drill import load
from demijohn.drill.account import settle
from demijohn.drill.load import Load, Plan
from demijohn.drill.outcomes import MARKER, Failure, Lane, Line, Result
from demijohn.drill.ranges import Ranges
from demijohn.drill.streams import BALLAST, Check, ballast
from demijohn.store.markers import Markers
from tests.conftest import Starter
from tests.support.database import Database, free_port
from tests.support.processes import LONG, wait_until
from tests.support.service import clean_environ

Behaviour = Callable[["Peer"], bool]
"""What a server does with one request; whether the connection goes on."""


class Peer:
    """One connection, as the server has it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.answered = 0
        self.is_post = False
        self._read = b""

    def request(self) -> bool:
        """Read one request whole; False at the connection's end."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                return False
        head, _, rest = self._read.partition(b"\r\n\r\n")
        length = next(
            (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if b"Length" in line), 0
        )
        self._read = rest
        while len(self._read) < length:
            if not self._more():
                return False
        self._read = self._read[length:]
        self.is_post = head.startswith(b"POST")
        return True

    def answer(self, status: str | None = None, extra: str = "", body: bytes = b"ok") -> None:
        """A proper answer: the one that was asked for, unless a status says otherwise."""
        status = status or ("201 Created" if self.is_post else "200 OK")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        self.sock.sendall(head.encode() + body)
        self.answered += 1

    def _more(self) -> bool:
        data = self.sock.recv(65_536)
        self._read += data
        return bool(data)


class Server:
    """A server with one behaviour, and the number of whole requests that it has seen."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.seen = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self._behaviour = behaviour
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def close(self) -> None:
        """Let every thread end."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in [self._acceptor, *self._threads]:
            thread.join(30)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=[sock]))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        peer = Peer(sock)
        with sock:
            try:
                while peer.request():
                    with self._lock:
                        self.seen += 1
                    if not self._behaviour(peer):
                        return
            except ConnectionError:
                return


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """A server with this behaviour."""
    server = Server(behaviour)
    try:
        yield server
    finally:
        server.close()


def loaded(url: str, rate: float = 100, seconds: float = 1.5, timeout: float = LONG) -> Result:
    """Load that address for a moment."""
    lines: list[Line] = []
    plan = Plan(url, "run", rate, rate, 20, seconds=seconds, timeout=timeout, asks_first=False)

    async def run() -> None:
        await Load(plan, lines.append).run()

    asyncio.run(run())
    result = lines[-1].result
    assert result is not None
    return result


def kinds(result: Result) -> set[Failure]:
    """How requests failed, the lane left out."""
    return {each.kind for each in result.failures}


def answers_well(peer: Peer) -> bool:
    """As it should be."""
    peer.answer()
    return True


def resets(peer: Peer) -> bool:
    """The connection ends with a reset, after the request was read."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def closes(_peer: Peer) -> bool:
    """The connection ends without a word."""
    return False


def says(status: str) -> Behaviour:
    """That status, properly."""

    def behaviour(peer: Peer) -> bool:
        peer.answer(status)
        return True

    return behaviour


def sends(text: bytes) -> Behaviour:
    """These bytes, and then the connection's end."""

    def behaviour(peer: Peer) -> bool:
        peer.sock.sendall(text)
        return False

    return behaviour


def never_answers(peer: Peer) -> bool:
    """Nothing, until the client leaves."""
    peer.sock.recv(1)
    return False


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (resets, Failure.RESET),
        (closes, Failure.CLOSED),
        (says("500 Internal Server Error"), Failure.SERVER_ERROR),
        (says("503 Service Unavailable"), Failure.SERVER_ERROR),
        (says("404 Not Found"), Failure.UNEXPECTED),
        (says("401 Unauthorized"), Failure.DENIED),
        (says("403 Forbidden"), Failure.DENIED),
        (says("429 Too Many Requests"), Failure.LIMITED),
        (says("204 No Content"), Failure.UNEXPECTED),
        (sends(b"SSH-2.0-OpenSSH\r\n\r\n"), Failure.UNEXPECTED),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), Failure.SHORT),
        (sends(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nshort"), Failure.SHORT),
        (sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"),
         Failure.SHORT),
        (sends(b"HTTP/1.1 200 OK\r\nContent-"), Failure.SHORT),
        (never_answers, Failure.TIMED_OUT),
    ],
)  # fmt: skip
def test_each_failure_is_counted_as_what_it_is_and_never_sent_again(
    behaviour: Behaviour, kind: Failure
) -> None:
    """Every request fails in that one way, in both kinds of lanes, and was seen exactly once."""
    # Long where none is to time out: on a busy machine this server is slow, too. What does time out
    # is to have been sent before it does, and read, though all of it stands still in between.
    timeout = 4 if kind is Failure.TIMED_OUT else LONG
    with serving(behaviour) as server:
        result = loaded(server.url, timeout=timeout)

    assert kinds(result) == {kind}
    assert {each.lane for each in result.failures} == {Lane.KEEP_ALIVE, Lane.ONE_SHOT}
    assert result.failed == server.seen == result.offered - result.unsent > 0
    assert (result.done, result.acknowledged) == (0, [])


def test_refused_connections_are_counted() -> None:
    """Where nobody listens, every request is refused, and none is tried again."""
    result = loaded(f"http://127.0.0.1:{free_port()}")

    assert kinds(result) == {Failure.REFUSED}
    assert result.failed == result.offered > 0


def test_what_is_unreachable_says_why() -> None:
    """In the system's words: an address to which there can be no connection at all."""
    result = loaded("http://255.255.255.255:80")

    assert kinds(result) == {Failure.UNREACHABLE}
    assert {each.fault for each in result.failures} == {"[Errno 101] Network is unreachable"}


def test_a_generator_that_stood_still_has_offered_what_was_due_before_it_was_told() -> None:
    """To fall, or to stop: a pause just before it takes nothing away from the rate."""
    lines: list[Line] = []
    plan = Plan(f"http://127.0.0.1:{free_port()}", "run", 100, 100, 20, asks_first=False)

    async def run() -> None:
        load = Load(plan, lines.append)
        running = asyncio.create_task(load.run())
        for told in (load.fall, load.stop):
            await asyncio.sleep(0.2)
            time.sleep(0.5)  # noqa: ASYNC251 — nothing else of this process comes to its turn
            told()
        await running

    asyncio.run(run())
    result = lines[-1].result

    assert result is not None
    assert result.offered_at_full >= 100 * result.full_load
    at_lowest = result.offered - result.offered_at_full
    assert at_lowest >= int(20 * (result.seconds - result.full_load))


def test_what_this_machine_has_no_means_to_send_is_told_apart() -> None:
    """Where no more files may be open, a request is not sent, and that is how it is counted."""

    def slowly(peer: Peer) -> bool:
        time.sleep(0.3)
        peer.answer()
        return True

    words = ("--run", "run", "--rate", "200", "--max-rate", "200", "--low-rate", "20")
    command = [sys.executable, "-m", "demijohn", "drill", "load", *words, "--seconds", "2"]
    with serving(slowly) as server:
        said = subprocess.run(
            ["sh", "-c", 'ulimit -n 32; exec "$@"', "sh", *command, "--url", server.url],
            env=clean_environ({}),
            capture_output=True,
            check=True,
            timeout=LONG,
        )
    result = Line.model_validate_json(said.stdout.splitlines()[-1]).result

    assert result is not None
    assert kinds(result) == {Failure.EXHAUSTED}
    assert result.exhausted == {"[Errno 24] Too many open files": result.failed}
    assert result.done > 0


def test_a_good_service_has_no_failures() -> None:
    """The control of the tests above: the same harness, and every request ends well."""
    with serving(answers_well) as server:
        result = loaded(server.url)

    assert (result.failed, result.done) == (0, server.seen)
    assert result.offered - result.unsent == server.seen > 0
    assert all(lane.connections <= 1 for lane in result.lanes)
    assert all(lane.longest == lane.requests for lane in result.lanes)


def test_a_keep_alive_connection_that_dies_under_a_request_is_a_failure() -> None:
    """A service that drops every second request of a connection is not saved by a repetition."""

    def drops_second(peer: Peer) -> bool:
        if peer.answered:
            return False
        peer.answer()
        return True

    with serving(drops_second) as server:
        result = loaded(server.url)

    assert result.charged() == {Lane.KEEP_ALIVE: {Failure.CLOSED: result.failed}}
    assert result.failed > 0
    assert result.done + result.failed == result.offered - result.unsent == server.seen


def test_an_announced_close_is_heeded() -> None:
    """After `Connection: close` the next request goes over a new connection, and none fails."""

    def announces(peer: Peer) -> bool:
        peer.answer(extra="Connection: close\r\n")
        return False

    with serving(announces) as server:
        result = loaded(server.url)

    assert (result.failed, result.done) == (0, server.seen)
    assert all(lane.connections == lane.requests for lane in result.lanes)
    assert all((lane.longest, lane.seconds) == (1, []) for lane in result.lanes)
    assert result.idle_closes == 0


def test_a_connection_closed_while_idle_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unannounced close between two requests is seen before the next one, and counted apart."""
    # So many at this rate that no lane has a request on its way when the close arrives, though all
    # of it stands still for three seconds: each has its turn every four.
    monkeypatch.setattr(load, "LANES", 64)

    def closes_after(peer: Peer) -> bool:
        peer.answer()
        return False

    with serving(closes_after) as server:
        result = loaded(server.url, rate=20, seconds=5)

    assert (result.failed, result.offered - result.unsent) == (0, server.seen)
    assert result.idle_closes > 0


def test_what_falls_due_while_the_generator_sleeps_is_offered() -> None:
    """A generator that stands still up to the end and beyond it sends what was due before that."""
    lines: list[Line] = []

    async def run(plan: Plan) -> None:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.8)
        await Load(plan, lines.append).run()

    with serving(answers_well) as server:
        asyncio.run(run(Plan(server.url, "run", 100, 100, 20, seconds=0.5, asks_first=False)))

    result = lines[-1].result
    assert result is not None
    assert result.offered - result.unsent == server.seen
    assert result.offered >= 50


def test_a_generator_that_falls_behind_says_so() -> None:
    """Requests wait for a slow service at the client, and count as late."""

    def slow(peer: Peer) -> bool:
        threading.Event().wait(0.3)
        peer.answer()
        return True

    with serving(slow) as server:
        result = loaded(server.url, rate=200, seconds=1.5)

    assert result.late > 0
    assert result.offered == server.seen + result.unsent


def test_what_is_cut_off_at_the_end_is_counted_too() -> None:
    """A backlog is given up unsent and said to be; nothing that was sent goes unmentioned."""

    def slower(peer: Peer) -> bool:
        threading.Event().wait(0.9)
        peer.answer()
        return True

    with serving(slower) as server:
        result = loaded(server.url, rate=200, seconds=1.5)

    markers = len(Ranges(result.acknowledged)) + len(Ranges(result.unknown))
    assert result.unsent > 0
    assert result.done + result.failed == server.seen == result.offered - result.unsent
    assert markers >= server.seen // 2 - 32


def stored(database: Database, run: str) -> list[dict[str, Any]]:
    """A run's markers in the database."""
    with MongoClient[dict[str, Any]](database.uri) as client:
        return list(client["flask_db"]["data"].find({MARKER: run}))


def test_acknowledged_markers_are_in_the_database(database: Database, own_service: Starter) -> None:
    """Against the real service nothing fails, and what was acknowledged is there, once each."""
    service = own_service({"MONGODB_URI": database.uri})

    result = loaded(service.url, rate=200, seconds=3)

    with Markers(database.uri, "flask_db", MARKER) as markers:
        account = settle(
            Ranges(result.acknowledged), Ranges(result.unknown), markers.numbers("run")
        )
        deleted = markers.delete("run")
    assert result.failed == 0
    assert account.holds
    due = (result.offered + 1) // 2  # the first request is a marker, and then every other one
    assert due - result.unsent <= account.acknowledged == account.found == deleted <= due
    assert stored(database, "run") == []


def test_a_marker_that_is_missing_or_doubled_is_found(
    database: Database, own_service: Starter
) -> None:
    """The control: one marker taken away and one put in again behind the service's back."""
    service = own_service({"MONGODB_URI": database.uri})
    result = loaded(service.url, rate=100, seconds=1)
    with MongoClient[dict[str, Any]](database.uri) as client:
        documents = client["flask_db"]["data"]
        documents.delete_one({MARKER: "run", "n": 7})
        documents.insert_one({MARKER: "run", "n": 3})

    with Markers(database.uri, "flask_db", MARKER) as markers:
        account = settle(Ranges(result.acknowledged), Ranges(), markers.numbers("run"))
        markers.delete("run")

    assert not account.holds
    assert (list(account.lost), list(account.doubled)) == ([7], [3])


def test_a_drain_loses_no_request_and_no_stream(database: Database, own_service: Starter) -> None:
    """Over SIGTERM to the service, with a client on it that heeds `Connection: close`.

    The load ends within the drain's delay, as it does on a cluster, where it moves to another
    pod; streams that were open go on to their ends.
    """
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_DRAIN_DELAY": "6"}
    service = own_service(settings)
    lines: list[Line] = []
    plan = Plan(service.url, "drained", 50, 50, 20, has_streams=True, asks_first=False)

    async def run() -> None:
        drill = Load(plan, lines.append)
        loop = asyncio.get_running_loop()
        # Four seconds before the drain's delay is over: so long all of it may stand still.
        loop.call_later(6, service.process.terminate)
        loop.call_later(8, drill.stop)
        await drill.run()

    asyncio.run(run())
    wait_until(lambda: service.process.poll() is not None, "the service ends")
    with Markers(database.uri, "flask_db", MARKER) as markers:
        deleted = markers.delete("drained")

    result = lines[-1].result
    assert result is not None
    assert service.process.returncode == 0
    assert result.failures == []
    assert len(result.streams) >= 2
    assert deleted == result.ballast + len(Ranges(result.acknowledged))


def test_a_stream_that_ends_too_soon_is_short() -> None:
    """Proper HTTP is not enough: a stream without its last byte or a ballast document fails."""
    whole = [ballast("run", number) for number in range(BALLAST)]
    bodies = {
        "whole": b"[" + b",".join(whole) + b"]",
        "no end": b"[" + b",".join(whole),
        "one missing": b"[" + b",".join(whole[:40] + whole[41:]) + b"]",
        "empty": b"",
    }

    verdicts = {}
    for name, body in bodies.items():
        check = Check("run")
        for start in range(0, len(body), 65_000):
            check.feed(body[start : start + 65_000])
        verdicts[name] = check.is_whole()

    assert verdicts == {"whole": True, "no end": False, "one missing": False, "empty": False}
