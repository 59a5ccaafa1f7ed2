"""The parts of the run, each of which measures, and adds its section to the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from tests.bench import tables
from tests.bench.contenders import (
    CONTENDERS,
    FLOOR,
    FULL_PATH,
    KEYS,
    LIMITS,
    OURS,
    QUIET,
    TWO_WORKERS,
    Contender,
    Running,
    made_keys,
)
from tests.bench.database import Documents, durable, fill
from tests.bench.entrants import Entrant, Generator, Posted, Read, ceilings
from tests.bench.listing import AT_ONCE, list_all
from tests.bench.load import Request
from tests.bench.report import Report
from tests.bench.rounds import Plan, Round, get_all, post_all
from tests.bench.tables import Results
from tests.bench.targets import GETS, POSTS

PRICE = "The price of each guarantee"
USUAL = 16
"""Connections at which the price of guarantees is measured, and the bare driver's threads."""
_MANY = 64
_SCHEMA = b"""{"schema":{"type":"object","required":["name"],"properties":{\
"name":{"type":"string"},"born":{"type":"integer"},"fields":{"items":{"type":"string"}}}}}"""
_SLOW = _SCHEMA.replace(b'"items":{', b'"items":{"pattern":"^[a-z]*$",')
"""One that does not say beforehand what a document takes: a thread looks."""
_LOAD_NOTE = """\
Medians (least–most) of {rounds} interleaved rounds of {seconds} s, each after {warm_up} s of
warm-up. CPU is user and system time of the contender's own processes, not of the database, by the
answers given; ratios are of each round.
{more}
"""
_POST_NOTE = """\
New documents may exceed the acknowledged ones by what was in flight when the load stopped; an
acknowledged one that is not there at once is WRONG."""
_LIST_NOTE = """\
Medians (least–most) of {rounds} interleaved reads of {size:,} documents. Growth is what the first
read after the start, and then {at_once} at one time, took above rest, over all processes of the
contender.
"""
_PRICE_NOTE = """\
`POST`, {connections} connections, one worker, against the first row in the same round. `/v1`
answers with the document and its version. A `PUT` is one of a new document. With an
Idempotency-Key, the write and the record of it are one transaction. Limits are so high that they
refuse nothing. A schema with a pattern is one to which documents are held in a thread.
"""
_SCALE_NOTE = "The load generator and the database share the machine's cores with the workers."


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int = 3
    seconds: int = 4
    warm_up: int = 1
    posts: tuple[int, ...] = (USUAL, _MANY, 1)
    """Connections."""
    gets: tuple[int, ...] = (USUAL, _MANY)
    scale: int = _MANY
    documents: int = 10_000
    is_emptied: bool = True
    """Whether each round of `POST` begins with an empty collection."""

    def plan(self, connections: int) -> Plan:
        """So many connections at this size."""
        return Plan(connections, self.rounds, self.seconds, self.warm_up, self.is_emptied)

    def note(self, more: str = "") -> str:
        """What the figures of a load mean."""
        sizes = {"rounds": self.rounds, "seconds": self.seconds, "warm_up": self.warm_up}
        return _LOAD_NOTE.format(**sizes, more=more)


SHORT = Size(1, 1, 0, (USUAL,), (USUAL,), USUAL, 500, is_emptied=False)
"""Enough to see that the harness works. The Python server takes seconds to drop a collection."""


@dataclass(slots=True)
class Stage:
    """What all parts work with; contenders that have been started go on until the stack closes."""

    size: Size
    directory: Path
    uri: str
    kept: Documents
    chosen: Sequence[Contender]
    """The contenders of the tables."""
    generator: Generator
    stack: ExitStack
    out: Report
    results: Results = field(default_factory=Results)
    _running: dict[str, Running] = field(default_factory=dict)
    _is_filled: bool = False

    def running(self, contender: Contender) -> Running:
        """The contender, started on first use."""
        if contender.name not in self._running:
            directory = self.directory / f"contender-{len(self._running)}"
            started = contender.started(directory, self.uri)
            self._running[contender.name] = self.stack.enter_context(started)
        return self._running[contender.name]

    def posted(self, contender: Contender) -> Posted:
        """The contender as one that is sent documents to `/data`."""
        return Posted(contender.name, self.running(contender), self.generator)

    def read(self, contender: Contender) -> Read:
        """The contender as one that is asked for documents by id."""
        request = Request(contender.one or "", ids=self.size.documents)
        return Read(contender.name, self.running(contender), self.generator, request)

    def fill(self) -> None:
        """Exactly as many documents as the size says, until somebody is sent some."""
        if not self._is_filled:
            self.kept.drop()
            fill(self.kept, self.size.documents)
            self._is_filled = True

    def post_all(self, entrants: Sequence[Entrant], connections: int) -> dict[str, list[Round]]:
        """Have each in turn take documents."""
        self._is_filled = False
        return post_all(entrants, self.kept, self.size.plan(connections))


def post(stage: Stage) -> None:
    """`POST /data`, at each number of connections."""
    for connections in stage.size.posts:
        entrants: list[Entrant] = [stage.posted(each) for each in stage.chosen]
        if connections == USUAL:
            entrants += ceilings(durable(stage.uri))
        found = stage.post_all(entrants, connections)
        stage.results.post[connections] = found
        title = f"`POST /data`, connections: {connections}"
        stage.out.add(title, stage.size.note(_POST_NOTE), tables.loads(found), found)


def get(stage: Stage) -> None:
    """`GET` of one document, at each number of connections."""
    stage.fill()
    for connections in stage.size.gets:
        entrants = [stage.read(each) for each in stage.chosen if each.one]
        found = get_all(entrants, stage.kept, stage.size.plan(connections))
        stage.results.get[connections] = found
        title = f"`GET` by id, connections: {connections}"
        more = f"Ids at random from {stage.size.documents:,}."
        stage.out.add(title, stage.size.note(more), tables.loads(found), found)


def whole(stage: Stage) -> None:
    """The whole collection out."""
    chosen = [each for each in stage.chosen if each.lists]
    size, rounds = stage.size.documents, stage.size.rounds
    stage.fill()
    found = list_all(chosen, stage.directory, stage.uri, size, rounds)
    stage.results.listing = found
    note = _LIST_NOTE.format(rounds=rounds, size=size, at_once=AT_ONCE)
    stage.out.add("`GET /data`, the whole collection", note, tables.listings(found), found)


def price(stage: Stage) -> None:
    """What each guarantee costs."""
    found = stage.post_all(_priced(stage), USUAL)
    stage.results.price = found
    note = _PRICE_NOTE.format(connections=USUAL)
    stage.out.add(PRICE, note, tables.prices(found), found)


def _priced(stage: Stage) -> list[Entrant]:
    ours = stage.running(OURS)
    _require_schema(ours, "priced", _SCHEMA)
    _require_schema(ours, "slow", _SLOW)

    def to(collection: str, what: str, *, is_keyed: bool = False, is_put: bool = False) -> Posted:
        path = f"/v1/collections/{collection}/documents"
        request = Request(path, is_keyed=is_keyed, is_put=is_put)
        return Posted(f"demijohn, {what}", ours, stage.generator, request, collection)

    return [
        stage.posted(OURS),
        stage.posted(FLOOR),
        stage.posted(QUIET),
        stage.posted(FULL_PATH),
        *_shown(stage),
        to("data", "/v1"),
        to("priced", "/v1, under a schema"),
        to("slow", "/v1, under a schema with a pattern"),
        to("data", "/v1, with an Idempotency-Key", is_keyed=True),
        to("data", "/v1, `PUT` under an id of the client's", is_put=True),
    ]


def _shown(stage: Stage) -> Iterator[Posted]:
    """Those that ask for keys, asked with one."""
    _, whole, held = made_keys()
    for contender, key, more in (
        (KEYS, whole, ""),
        (KEYS, held, " held to rows"),
        (LIMITS, whole, ""),
    ):
        request = Request(authorization=key)
        running = stage.running(contender)
        yield Posted(contender.name + more, running, stage.generator, request)


def _require_schema(ours: Running, collection: str, schema: bytes) -> None:
    answer = urllib3.request(
        *("PUT", f"{ours.url}/v1/collections/{collection}"),
        body=schema,
        headers={"Content-Type": "application/json"},
        retries=False,
    )
    if answer.status not in (200, 201):
        raise RuntimeError(f"the schema is not taken: {answer.data!r}")


def scale(stage: Stage) -> None:
    """Two workers against one."""
    plan = stage.size.plan(stage.size.scale)
    both = (OURS, TWO_WORKERS)
    posts = stage.post_all([stage.posted(each) for each in both], plan.connections)
    stage.fill()
    gets = get_all([stage.read(each) for each in both], stage.kept, plan)
    stage.results.scale = {POSTS: posts, GETS: gets}
    for question, found in stage.results.scale.items():
        title = f"Two workers against one: {question}, connections: {plan.connections}"
        stage.out.add(title, stage.size.note(_SCALE_NOTE), tables.loads(found), found)


PARTS: Mapping[str, Callable[[Stage], None]] = {
    "get": get,
    "list": whole,
    "post": post,
    "price": price,
    "scale": scale,
}
"""By the names that the command knows."""


def chosen(words: Sequence[str]) -> list[Contender]:
    """The contenders whose names have one of the words, the service always first; all for none."""
    named = [each for each in CONTENDERS if any(word in each.name for word in words)]
    return [OURS, *(each for each in named if each is not OURS)] if words else list(CONTENDERS)
