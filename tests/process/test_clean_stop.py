"""A stop under load is clean: whoever got a connection gets a whole answer."""

from __future__ import annotations

import http.client
import math
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support.api import Api
from tests.support.database import Database
from tests.support.processes import wait_until
from tests.support.raw_http import connect, head, read_answer

BODY = b'{"n":1}'
POST = head("POST", "/data", "Content-Type: application/json", f"Content-Length: {len(BODY)}")


@dataclass
class Load:
    """Clients that never retry, each in a thread, until the service refuses connections."""

    port: int
    thought: float
    """Seconds between two requests on a kept connection."""
    patience: float
    """Seconds within which a client has to ask again: the service's delay. Who stood still for
    longer has no claim to his connection."""
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def is_going(self) -> bool:
        """Whether clients of both kinds have been answered often."""
        return self.counts["one-shot"] > 50 and self.counts["keep-alive"] > 20

    def one_shot(self) -> None:
        """A connection a request."""
        while True:
            try:
                connection = connect(self.port)
            except ConnectionRefusedError:
                return
            with connection:
                self._note("one-shot", partial(_ask, connection))

    def keep_alive(self) -> None:
        """One connection for as long as the service keeps it."""
        while True:
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                client.connect()
            except ConnectionRefusedError:
                return
            closes, since = False, math.inf
            while not closes:
                latest, since = since + self.patience, time.monotonic()
                closes = self._note("keep-alive", partial(_ask_again, client, latest))
                time.sleep(self.thought)
            client.close()

    def _note(self, kind: str, ask: Callable[[], bool]) -> bool:
        try:
            closes = ask()
        except TooLateError:
            return True
        except (OSError, EOFError, http.client.HTTPException) as error:
            self.failures.append(f"{kind}: {error!r}")
            return True
        self.counts[kind] += 1
        return closes


def _ask(connection: socket.socket) -> bool:
    """Ask once; whether the connection ends with the answer."""
    connection.sendall(POST + BODY)
    answer = read_answer(connection)
    if answer.status != 201 or not answer.whole:
        raise EOFError(answer)
    return True


class TooLateError(Exception):
    """The client stood still for so long that its connection may have been closed meanwhile."""


def _ask_again(client: http.client.HTTPConnection, latest: float) -> bool:
    """Ask on a kept connection; whether it ends with the answer.

    A failure of what was not sent by the `latest` moment is a TooLateError.
    """
    sent = math.inf
    try:
        client.request("POST", "/data", BODY, {"Content-Type": "application/json"})
        sent = time.monotonic()
        answer = client.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        if min(sent, time.monotonic()) > latest:
            raise TooLateError from error
        raise
    if answer.status != 201:
        raise EOFError(answer.status)
    return answer.will_close


def _stop_under_load(
    database: Database, own_service: Starter, *, delay: str, thought: float
) -> Load:
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_DRAIN_DELAY": delay}
    service = own_service({**settings, "DEMIJOHN_WORKERS": "2"})
    Api(service.url).insert({})
    load = Load(service.port, thought, patience=float(delay) or math.inf)
    kinds = [load.one_shot] * 3 + [load.keep_alive] * 8
    threads = [threading.Thread(target=kind, daemon=True) for kind in kinds]
    for thread in threads:
        thread.start()
    wait_until(load.is_going, "all kinds of clients are served")
    assert service.stop(signal.SIGTERM) == Exit.OK
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return load


def test_no_request_fails_when_the_service_stops(database: Database, own_service: Starter) -> None:
    """With a drain delay: keep-alive and one-shot clients without retries, no failure at all."""
    for _ in range(3):
        load = _stop_under_load(database, own_service, delay="1", thought=0.02)
        assert load.failures == []


def test_without_a_delay_keep_alive_clients_are_cut_off(
    database: Database, own_service: Starter
) -> None:
    """The control: what the delay is for shows when it is not there, and nothing else does."""
    failures = _stop_under_load(database, own_service, delay="0", thought=1.0).failures
    assert failures
    assert all(each.startswith("keep-alive") for each in failures)
