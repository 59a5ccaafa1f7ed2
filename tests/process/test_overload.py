"""The measurement of overload itself: every request is accounted for, in every row."""

from __future__ import annotations

import socket
import threading

from demijohn.front.descriptors import room_for
from tests.bench.database import documents, fill
from tests.bench.overload import HEADINGS, REQUESTS, measure
from tests.support.database import Database
from tests.support.open_loop import LOST, MOST_CONNECTIONS, asking, at_quantile, closed, offer
from tests.support.raw_http import head
from tests.support.service import Service


def test_every_request_is_in_the_table(service: Service, database: Database) -> None:
    """Each kind at each rate has a row, and nothing that was offered is left out of it."""
    room_for(2 * MOST_CONNECTIONS)
    with documents(database.uri) as kept:
        kept.delete_many({})
        fill(kept, 10)
        loads = measure(service.url, 0.4, 0.1, times=(0.5, 2.0))
        kept.delete_many({})
    assert [(each.request, each.times) for each in loads] == [
        (name, times) for name in REQUESTS for times in (0.5, 2.0)
    ]
    for load in loads:
        ended = load.ended
        assert ended.offered == ended.statuses.total() + ended.unsent
        assert set(ended.statuses) <= {200, 201, 503}
        assert len(ended.accepted) > 0
        assert len(load.cells()) == len(HEADINGS)


def test_what_is_lost_is_told() -> None:
    """A connection that ends without an answer counts as such, and not as refused in time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            for _ in range(3):
                accepted, _ = listener.accept()
                accepted.recv(1000)
                accepted.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended = offer(url, head("GET", "/"), rate=30, seconds=0.1)
        thread.join()
    assert ended.statuses == {LOST: 3}
    assert ended.accepted == []


def test_what_was_due_is_offered_late_as_well(service: Service) -> None:
    """All that fell due in a time over which the generator slept is sent after it."""
    ended = offer(service.url, head("GET", "/"), rate=100_000, seconds=0.001)
    assert ended.offered == ended.statuses.total() == 100
    assert ended.accepted


def test_a_closed_crowd_asks_again(service: Service) -> None:
    """Each client sends its next request when it has its answer, until the end."""
    goes_on = iter([True] * 20)
    ended = asking(service.url, head("GET", "/"), 4, lambda: next(goes_on, False))
    assert ended.statuses == {200: 24}
    assert ended.offered == 24


def test_a_crowd_ends_with_its_time(service: Service) -> None:
    """Each of them has asked once at least, however late the generator comes to it."""
    ended = closed(service.url, head("GET", "/"), clients=4, seconds=0.1)
    assert ended.statuses.keys() == {200}
    assert ended.offered == ended.statuses[200] >= 4


def test_quantiles() -> None:
    """Of the values themselves, none between them."""
    values = [float(each) for each in range(100, 0, -1)]
    assert [at_quantile(values, each) for each in (0.0, 0.5, 0.99, 1.0)] == [1, 51, 100, 100]
    assert at_quantile([], 0.5) != at_quantile([], 0.5)  # not a number
