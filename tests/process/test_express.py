"""The express path says what the full path says.

Every request goes to a service with it and to one without, and all that can be seen of it is
compared (tests/support/express_pair.py): answer, connection, log, counts, stored documents.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demijohn.documents.collections import STALE
from demijohn.documents.versions import digest, tag
from demijohn.edge.routes import DOCUMENT, DOCUMENTS, GUIDE
from demijohn.formats.spelling import Spelling
from tests.support.database import Database
from tests.support.express_bson import DOCUMENTS as OF_EVERY_TYPE
from tests.support.express_bson import IDS
from tests.support.express_faults import FAULTS, Fault, environ
from tests.support.express_pair import ON, Pair, paired, side, tells_apart
from tests.support.express_requests import HOT, REQUESTS, Request
from tests.support.express_seeds import ABSENT_ID, PLAIN_ID, SMALL_ID, THINGS
from tests.support.express_seeds import GUIDE as DATA
from tests.support.express_side import Answer, Side
from tests.support.lag import lagging
from tests.support.processes import wait_until

ROUTES = {GUIDE, DOCUMENTS, DOCUMENT}
"""Those that the express path serves."""
JSON = (b"Content-Type: application/json",)
THING = b"/v1/collections/things/documents"
INSERT_DATA = Request(b"POST", b"/data", JSON, b'{"a":1}')
INSERT = Request(b"POST", THING, JSON, b'{"a":1}')
READ = Request(b"GET", b"%b/%b" % (THING, SMALL_ID.encode()))
PUT = replace(INSERT, method=b"PUT", target=READ.target)
PUT_NAMED = replace(PUT, target=b"%b/%b" % (THING, PLAIN_ID.encode()))
PUT_ABSENT = replace(PUT, target=b"%b/%b" % (THING, ABSENT_ID.encode()))
READ_NAMED = Request(b"GET", b"%b/%b" % (THING, PLAIN_ID.encode()))
READ_ABSENT = Request(b"GET", b"%b/%b" % (THING, ABSENT_ID.encode()))
ONCE = (*JSON, b"Idempotency-Key: <key>")
LIST = Request(b"GET", b"/data")
PLAINEST = {
    "an insert into data": (INSERT_DATA, GUIDE, 201),
    "an insert": (INSERT, DOCUMENTS, 201),
    "an insert into data with a key": (replace(INSERT_DATA, headers=ONCE), GUIDE, 201),
    "an insert with a key": (replace(INSERT, headers=ONCE), DOCUMENTS, 201),
    "a replacement": (PUT, DOCUMENT, 200),
    "a replacement by a string": (PUT_NAMED, DOCUMENT, 200),
    "a new document under an id": (PUT_ABSENT, DOCUMENT, 201),
    "a read": (READ, DOCUMENT, 200),
    "a read by a string": (READ_NAMED, DOCUMENT, 200),
    "a read of what is not there": (READ_ABSENT, DOCUMENT, 404),
    "the list": (LIST, GUIDE, 200),
}
TWICE = (b"Accept:", b"Accept:")
ONCE_TOLD_APART = [
    replace(READ, headers=TWICE),
    replace(INSERT_DATA, headers=JSON + TWICE),
    replace(READ, host=b"Host: a..b"),
    replace(INSERT, host=b"Host: %b.example" % (b"x" * 64)),
]
SOME_THOUSAND = 3_000
DRAINING = {"DEMIJOHN_DRAIN_DELAY": "20"}
LONG = 5.0
"""Seconds in which a database that is gone must be told: the product page's two, and as many
again and one for two busy cores."""


@pytest.fixture(scope="module")
def pair(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A service with the express path, and one without."""
    with paired(tmp_path_factory.mktemp("express"), database.uri, ON) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The same, which nobody has opened to others than this machine."""
    local = {"DEMIJOHN_AUTH": ""}
    directory = tmp_path_factory.mktemp("guarded")
    with paired(directory, database.uri, {**ON, **local}, local) as found:
        yield found


def _each(
    requests: st.SearchStrategy[Request], count: int, compare: Callable[[Request], object]
) -> int:
    """Draw so many requests and compare each; how many there were."""
    asked = 0

    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(request=requests)
    def run(request: Request) -> None:
        nonlocal asked
        asked += 1
        compare(request)

    run()
    return asked


@pytest.mark.parametrize(
    "count", [350, pytest.param(20_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_the_paths_cannot_be_told_apart(pair: Pair, count: int) -> None:
    """Whatever is asked, however: the same answer, log line, counts and stored documents.

    A third of the requests, and some of each route, were served by the express path, and none by
    the service without one.
    """
    before = pair.served()
    with pair.counting_alike():
        asked = _each(REQUESTS, count, pair.compare)
    served = pair.served() - before
    assert served.keys() == ROUTES
    assert served.total() > asked / 3
    assert pair.sides[1].served() == {}


@pytest.mark.parametrize("name", PLAINEST)
def test_the_plainest_requests_are_served(pair: Pair, name: str) -> None:
    """What the express path is there for goes through it, and is counted once."""
    request, route, status = PLAINEST[name]
    (told,), served = pair.served_of(request)
    assert told.answers[0].status == status
    assert served == {route: 1}


@pytest.fixture(params=FAULTS)
def sabotaged(
    request: pytest.FixtureRequest, pair: Pair, database: Database, tmp_path: Path
) -> Iterator[tuple[Pair, Fault]]:
    """A pair whose service under test is wrong in one thing, and what that is."""
    broken = {**ON, **environ(tmp_path / "fault", request.param)}
    with (
        side(tmp_path, database.uri, "tested", broken) as tested,
        closing(Pair(tested, pair.sides[1])) as found,
    ):
        yield found, FAULTS[request.param]


def test_a_path_that_differs_is_found(sabotaged: tuple[Pair, Fault]) -> None:
    """The control: an express path that is wrong in one thing does not pass."""
    pair, fault = sabotaged
    assert tells_apart(pair, fault.requests, SOME_THOUSAND)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_path_that_differs_is_found_among_all_requests(sabotaged: tuple[Pair, Fault]) -> None:
    """The same where nobody knows what is wrong: each fault by the requests of the test itself."""
    pair, _ = sabotaged
    assert tells_apart(pair, REQUESTS, SOME_THOUSAND)


@pytest.mark.parametrize("request_", ONCE_TOLD_APART)
def test_what_once_told_them_apart(pair: Pair, request_: Request) -> None:
    """Requests to which the express path once gave another answer."""
    for _ in range(2):  # the first has what is known of collections fresh for the second
        pair.compare(request_)


@pytest.mark.parametrize(
    "count", [25, pytest.param(1_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_pipelined_requests_are_answered_in_order(pair: Pair, count: int) -> None:
    """Several in one segment, hot ones and others: all answered, each in its turn."""

    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(requests=st.lists(HOT, min_size=2, max_size=6))
    def run(requests: list[Request]) -> None:
        numbered = [_numbered(each, number) for number, each in enumerate(requests)]
        answers = pair.compare(*numbered).answers
        turns = [each.header(b"x-request-id") for each in answers]
        assert turns == [b"turn-%d" % number for number in range(len(requests))]

    run()


def _numbered(request: Request, number: int) -> Request:
    own = b"X-Request-Id: turn-%d" % number
    return replace(request, headers=(*request.headers, own), ends=False)


@pytest.mark.parametrize("request_", [INSERT_DATA, INSERT], ids=["data", "v1"])
def test_a_body_that_comes_slowly(pair: Pair, request_: Request) -> None:
    """In forty pieces it is the same body, and the express path serves it."""
    for framing in ("length", "chunked"):
        (told,), served = pair.served_of(replace(request_, pieces=40, framing=framing))
        assert told.answers[0].status == 201
        assert served.total() == 1


@pytest.mark.parametrize("wish", [None, b"Accept: application/ejson", b"If-None-Match: *"])
def test_documents_of_every_type(pair: Pair, wish: bytes | None) -> None:
    """What other clients have stored is read alike: every type of BSON, in each spelling."""
    headers = () if wish is None else (wish,)
    before = pair.served()
    with pair.laid({THINGS: OF_EVERY_TYPE}):
        for identity in IDS:
            pair.compare(Request(b"GET", b"%b/%b" % (THING, str(identity).encode()), headers))
    assert (pair.served() - before).total() == (len(IDS) if wish is None else 0)


def test_copies_that_are_good(pair: Pair) -> None:
    """With its own tag each document is 304 on both, with another's 200."""
    with pair.laid({THINGS: OF_EVERY_TYPE}):
        for identity, document in list(zip(IDS, OF_EVERY_TYPE, strict=True))[::6]:
            own = tag(digest(document), Spelling.PLAIN).encode()
            for given_, status in ((own, 304), (b'"other.p"', 200)):
                target = b"%b/%b" % (THING, str(identity).encode())
                request = Request(b"GET", target, (b"If-None-Match: " + given_,))
                assert pair.compare(request).answers[0].status == status


def test_the_list_of_every_type(pair: Pair) -> None:
    """`GET /data` streams the same bytes, of an empty collection and of one of many chunks."""
    with pair.laid({DATA: OF_EVERY_TYPE}):
        for request in (LIST, replace(LIST, version=b"HTTP/1.0"), replace(LIST, ends=True)):
            assert len(pair.compare(request).answers[0].body) > 300_000
    with pair.laid({}, alone=True):
        assert pair.compare(LIST).answers[0].body == b"3\r\n[]\n\r\n0\r\n\r\n"


def _drains(one: Side) -> bool:
    return one.api.get("/readyz").status == 503


def _is_back(pair: Pair) -> bool:
    return [told.answers[0].status for told in pair.both(INSERT, is_stored=False)] == [201, 201]


def _lost(answer: Answer) -> str:
    """The code of the 503 that a database which is gone means."""
    assert answer.status == 503
    assert answer.header(b"retry-after") is not None
    return str(json.loads(answer.body)["code"])


def test_a_database_that_goes_and_comes_back(own_database: Database, tmp_path: Path) -> None:
    """Both say so in the same words and in time, and both go on by themselves."""
    requests = (READ, INSERT, LIST)
    with paired(tmp_path, own_database.uri, ON) as pair:
        for request in requests:
            pair.compare(request)
        own_database.stop()
        # What may be sent to a server that is not known to be gone has more than one answer.
        for told in pair.both(INSERT, is_stored=False):
            assert _lost(told.answers[0]) in ("database-unavailable", "outcome-unknown")
        time.sleep(STALE)  # what is known of the collections is too old for both
        for request in requests:
            with ExitStack() as stack:
                lags = [stack.enter_context(lagging(each.service.url)) for each in pair.sides]
                began = time.monotonic()
                told = pair.compare(request, is_stored=False)
                took = time.monotonic() - began
            assert took < LONG + max(each.seconds for each in lags)
            assert _lost(told.answers[0]) == "database-unavailable"
        own_database.start()
        wait_until(partial(_is_back, pair), "it is back")
        with pair.laid({}):
            for request in requests:
                pair.compare(request)


@pytest.mark.parametrize("name", PLAINEST)
def test_the_guard_stands_before_both(guarded: Pair, name: str) -> None:
    """Without DEMIJOHN_AUTH neither path answers whoever comes from elsewhere, in any way."""
    request, _, status = PLAINEST[name]
    before = guarded.served()
    for more in (b"X-Forwarded-For: 8.8.8.8", b"Forwarded: for=8.8.8.8"):
        told = guarded.compare(replace(request, headers=(*request.headers, more)))
        assert told.answers[0].status == 403
    assert guarded.compare(replace(request, host=b"Host: x.example")).answers[0].status == 403
    assert guarded.served() == before
    assert guarded.compare(request).answers[0].status == status


def test_a_service_that_is_about_to_stop(database: Database, tmp_path: Path) -> None:
    """While it drains it serves on, and says with each answer that the connection ends."""
    with paired(tmp_path, database.uri, {**ON, **DRAINING}, DRAINING) as pair:
        for request, _, _ in PLAINEST.values():
            pair.compare(request)
        for one in pair.sides:
            one.service.process.send_signal(signal.SIGTERM)
            wait_until(partial(_drains, one), "it drains")
        for request, route, status in PLAINEST.values():
            (told,), served = pair.served_of(request)
            answer = told.answers[0]
            assert (answer.status, answer.header(b"connection")) == (status, b"close")
            assert served == {route: 1}
