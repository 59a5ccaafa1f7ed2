"""Two services held against each other: all that is seen of one request has to be the same.

What a service makes up itself (ids, its part of a trace, the date) is put as a word in place of it,
wherever it stands: in a header, in the body, in the log, in the stored document.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pymongo
from bson import ObjectId
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from demijohn.documents.collections import FRESH
from demijohn.documents.versions import digest
from tests.support.database import Database
from tests.support.express_bodies import MAX_BODY
from tests.support.express_bson import IDS
from tests.support.express_requests import Request
from tests.support.express_seeds import (
    ABSENT_ID,
    ALL_CONFIGURED,
    CONFIGURED,
    LARGE_ID,
    ROWS,
    SEEDS,
    SMALL_ID,
)
from tests.support.express_side import SILENCE, Answer, Lying, Side, Told
from tests.support.keys import GUESSES_WITHOUT_END, keeping, new_key
from tests.support.service import serving

KNOWN_IDS = {*map(ObjectId, (SMALL_ID, LARGE_ID, ABSENT_ID)), *IDS}
"""Those that no service makes."""
_OF_THE_MOMENT = ("timestamp", "ms", "pid")
ON, OFF = {"DEMIJOHN_EXPRESS": "on"}, {"DEMIJOHN_EXPRESS": "off"}
SETTINGS = {
    "DEMIJOHN_WORKERS": "1",
    "DEMIJOHN_AUTH": "open",  # or the guard would keep odd hosts from either path
    "DEMIJOHN_MAX_BODY": str(MAX_BODY),
    "DEMIJOHN_HEAD_TIMEOUT": "10",
    "DEMIJOHN_BODY_TIMEOUT": "10",
}
KEYED = {"DEMIJOHN_AUTH": "keys", **GUESSES_WITHOUT_END}
TRIES = 10
UNTOLD = 0.05
"""Seconds in which a request that was not answered is logged, if it is."""
Words = dict[bytes, bytes]


class Pair:
    """The service under test, and the one that it has to be the same as."""

    def __init__(self, tested: Side, reference: Side) -> None:
        """Take both; they must have been started alike but for what is under test."""
        self.sides = (tested, reference)
        self.seeds: Lying = SEEDS
        """What lies in both databases before each request."""
        self._threads = ThreadPoolExecutor(len(self.sides))
        self._run = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()

    def prepare(self, configured: Mapping[str, str]) -> None:
        """Configure the collections and put in what every request finds there."""
        for side in self.sides:
            for name, configuration in configured.items():
                answer = side.api.put(f"/v1/collections/{name}", configuration)
                assert answer.status in (200, 201), answer.body
            side.restore(self.seeds, side.lying())
            side.lines(len(configured))

    def compare(self, *requests: Request, is_stored: bool = True) -> Told:
        """Send them to both, several of them in one segment; what both have told.

        All that is seen is held against each other, what is stored where `is_stored`. Raises
        AssertionError where it differs. Afterwards all lies there as before.
        """
        tested, reference = self.both(*requests, is_stored=is_stored)
        assert tested == reference, _difference(tested, reference, requests)
        return tested

    def both(self, *requests: Request, is_stored: bool = True) -> tuple[Told, Told]:
        """What each of them tells, asked at the same time; see `compare`."""
        key = f"{self._run}-{next(self._numbers)}".encode()
        ask = partial(self._told, requests=requests, key=key, is_stored=is_stored)
        tested, reference = self._threads.map(ask, self.sides)
        return tested, reference

    def served_of(self, *requests: Request) -> tuple[list[Told], Counter[str]]:
        """Compare each by itself: what they tell, and what the express path served, by route.

        It serves what it knows the collection of. So each has been asked before, and all is asked
        once more where meanwhile there was time for that to grow old.
        """
        for _ in range(TRIES):
            began = time.monotonic()
            for each in requests:
                self.compare(each)
            before = self.served()
            told = [self.compare(each) for each in requests]
            served = self.served() - before
            if served.total() == len(requests) or time.monotonic() - began < FRESH:
                break
        return told, served

    def served(self) -> Counter[str]:
        """How many requests the express path under test has answered, by route."""
        return Counter(self.sides[0].served())

    @contextmanager
    def laid(self, documents: Lying, *, alone: bool = False) -> Iterator[None]:
        """Have these lie there in this block, beside what does anyway unless they are `alone`."""
        kept = {} if alone else self.seeds
        names = kept.keys() | documents.keys()
        self._lay({each: sorted(kept.get(each, []) + documents.get(each, [])) for each in names})
        try:
            yield
        finally:
            self._lay(SEEDS)

    def _lay(self, seeds: Lying) -> None:
        self.seeds = seeds
        for side in self.sides:
            side.restore(seeds, side.lying())

    @contextmanager
    def counting_alike(self) -> Iterator[None]:
        """Hold the counts of requests and problems in this block against each other."""
        before = [Counter(side.counts()) for side in self.sides]
        yield
        until = time.monotonic() + SILENCE
        while True:
            tested, reference = (
                Counter(side.counts()) - counted
                for side, counted in zip(self.sides, before, strict=True)
            )
            # A request whose client has left may be counted later than anybody can see.
            if tested == reference or time.monotonic() > until:
                break
            time.sleep(UNTOLD)
        assert tested == reference, (tested - reference, reference - tested)

    def close(self) -> None:
        """End its threads; the services go on."""
        self._threads.shutdown()

    def _told(
        self, side: Side, *, requests: Sequence[Request], key: bytes, is_stored: bool
    ) -> Told:
        told = _asked(side, requests, key)
        if is_stored:
            told = replace(told, stored=side.lying())
            side.restore(self.seeds, told.stored)
        if any(each.is_too_large for each in requests):
            told = _without_connection(told)
        return in_words(told, b"".join(piece for each in requests for piece in each.raw(key)))


def _difference(tested: Told, reference: Told, requests: Sequence[Request]) -> str:
    """In what they differ, for whoever reads the failure."""
    lines = [repr(b"".join(each.raw(b"key")))[:2_000] for each in requests]
    for each in fields(Told):
        two = getattr(tested, each.name), getattr(reference, each.name)
        if two[0] != two[1]:
            lines += [f"{each.name}: {repr(two[0])[:2_000]}", f"  and not: {repr(two[1])[:2_000]}"]
    return "\n".join(lines)


def _asked(side: Side, requests: Sequence[Request], key: bytes) -> Told:
    """What a service has answered and logged."""
    bodiless = requests[0].method == b"HEAD"
    if len(requests) > 1:
        together = b"".join(piece for each in requests for piece in each.raw(key))
        answers, stays = side.ask_and_end([together], bodiless=bodiless), False
    elif requests[0].must_end:
        answers, stays = side.ask_and_end(requests[0].raw(key), bodiless=bodiless), False
    else:
        answers, stays = side.ask(requests[0].raw(key), bodiless=bodiless)
    logged = sum(map(_is_logged, answers))
    if not answers:
        time.sleep(UNTOLD)
    return Told(tuple(answers), stays, tuple(side.lines(logged)))


def _is_logged(answer: Answer) -> bool:
    """Whether it is of a request; what is no HTTP is refused, and counted, as a connection."""
    is_refusal = (answer.header(b"content-type") or b"").startswith(b"text/plain")
    return answer.header(b"x-request-id") is not None and not is_refusal


def _without_connection(told: Told) -> Told:
    """The same but for whether the connection stays open.

    After a body that is too large it does where all of it had come already: that is the network's
    affair.
    """
    answers = tuple(
        replace(each, headers=tuple(two for two in each.headers if two[0] != b"connection"))
        for each in told.answers
    )
    return replace(told, answers=answers, stays_open=False)


def in_words(told: Told, request: bytes) -> Told:
    """The same with words for what the service has made up; `request` is what it was sent."""
    words = _of_documents(told.stored, request.lower())
    for answer in told.answers:
        words |= _of_answer(answer, request.lower())
    for line in told.lines:  # also of a request whose answer did not go out
        words |= _of_line(line, request.lower())
    answers = tuple(_worded(each, words) for each in told.answers)
    lines = tuple(
        {
            name: _in_words(str(value).encode(), words)
            for name, value in line.items()
            if name not in _OF_THE_MOMENT
        }
        for line in told.lines
    )
    stored = {
        name: sorted(_stored_in_words(each, words) for each in documents)
        for name, documents in told.stored.items()
    }
    return replace(told, answers=answers, lines=lines, stored=stored)


def _of_documents(stored: Lying, request: bytes) -> Words:
    """The words for ids of stored documents that the request has not brought, and their versions.

    An address in an answer gets its word by this too: it has to be that of what is stored.
    """
    words: Words = {}
    for document in (each for documents in stored.values() for each in documents):
        identity = RawBSONDocument(document, DEFAULT_RAW_BSON_OPTIONS)["_id"]
        if isinstance(identity, ObjectId) and identity not in KNOWN_IDS:
            made = str(identity).encode()
            if made not in request:
                words |= {made: b"<id>", digest(document).encode(): b"<version>"}
    return words


def _of_answer(answer: Answer, request: bytes) -> Words:
    """The words for what stands in an answer, and was not in its request."""
    request_id = answer.header(b"x-request-id") or b""
    _, trace, span, _ = (answer.header(b"traceresponse") or b"---").split(b"-")
    return _identities(request_id, trace, span, request)


def _of_line(line: Mapping[str, Any], request: bytes) -> Words:
    request_id, trace, span = (
        line[name].encode() for name in ("request_id", "trace_id", "span_id")
    )
    return _identities(request_id, trace, span, request)


def _identities(request_id: bytes, trace: bytes, span: bytes, request: bytes) -> Words:
    made = {request_id: b"<request>", trace: b"<trace>", span: b"<span>"}
    return {text: word for text, word in made.items() if text and text.lower() not in request}


def _worded(answer: Answer, words: Words) -> Answer:
    headers = tuple(
        (name, b"<date>" if name.lower() == b"date" else _in_words(value, words))
        for name, value in answer.headers
    )
    return replace(answer, headers=headers, body=_in_words(answer.body, words))


def _in_words(text: bytes, words: Words) -> bytes:
    for made, word in words.items():
        text = text.replace(made, word)
    return text


def _stored_in_words(document: bytes, words: Words) -> bytes:
    for made, word in words.items():
        if word == b"<id>":
            document = document.replace(ObjectId(made.decode()).binary, word)
    return document


@contextmanager
def side(
    directory: Path, uri: str, name: str, settings: Mapping[str, str], key: str | None = None
) -> Iterator[Side]:
    """A service of the block's own, which stores into the database `name` of that server.

    A setting that is empty is left out.
    """
    given = {**SETTINGS, "MONGODB_URI": uri, "DEMIJOHN_DATABASE": name, **settings}
    given = {each: value for each, value in given.items() if value}
    with (
        pymongo.MongoClient[RawBSONDocument](uri, document_class=RawBSONDocument) as client,
        serving(directory, given) as service,
        closing(Side(service, client[name], key)) as made,
    ):
        yield made


@contextmanager
def paired(
    directory: Path,
    uri: str,
    tested: Mapping[str, str],
    reference: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Pair]:
    """Two services on one database server, given what is peculiar to each; prepared."""
    with (
        side(directory, uri, "tested", tested) as one,
        side(directory, uri, "reference", {**OFF, **reference}) as other,
        closing(Pair(one, other)) as pair,
    ):
        pair.prepare(CONFIGURED)
        yield pair


@contextmanager
def keyed_pair(
    directory: Path, database: Database, tested: Mapping[str, str] = ON
) -> Iterator[tuple[Pair, dict[str, str]]]:
    """Two services that ask for keys, every collection under a schema; and the keys' texts."""
    made = {name: new_key("*:admin", rows=rows) for name, rows in ROWS.items()}
    texts = {name: text for name, (_, text) in made.items()}
    sides = [("keyed-tested", tested), ("keyed-reference", OFF)]
    for name, _ in sides:
        with keeping(database, name) as kept:
            for key, _ in made.values():
                kept.add(key)
    with ExitStack() as stack:
        begin = partial(side, directory, database.uri, key=texts["whole"])
        one, other = (stack.enter_context(begin(name, {**given, **KEYED})) for name, given in sides)
        pair = stack.enter_context(closing(Pair(one, other)))
        pair.prepare(ALL_CONFIGURED)
        yield pair, texts


def tells_apart(pair: Pair, requests: st.SearchStrategy[Request], most: int) -> bool:
    """Whether one of so many requests tells the paths apart; it stops at the first."""

    @settings(
        max_examples=most,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(request=requests)
    def compare(request: Request) -> None:
        pair.compare(request)

    try:
        compare()
    except AssertionError:
        return True
    return False
