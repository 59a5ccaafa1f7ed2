"""Requests as bytes: hot ones, hot ones with something amiss, and some that are far from hot.

Most are hot but for one thing, since that is where a fast path goes wrong. What a request is
otherwise (its framing, how it is cut into pieces, whether the client then closes its side) is drawn
with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote

from hypothesis import strategies as st

from tests.support.express_bodies import BAD, GOOD, LARGE, MAX_BODY
from tests.support.express_headers import HARMLESS, JSON, TELLING, lines_of
from tests.support.express_seeds import (
    ABSENT_ID,
    GUIDE,
    HELD,
    LARGE_ID,
    NAMED_ID,
    PLAIN_ID,
    SLOW,
    SMALL_ID,
    STRICT,
    THINGS,
)

KEY = b"<key>"
"""Stands in a request for an idempotency key that no other request has."""
Targets = st.SearchStrategy[bytes]
_FRAMING = (b"content-length", b"transfer-encoding")


@dataclass(frozen=True)
class Request:
    """A request. `headers` are whole lines, without what frames the body."""

    method: bytes
    target: bytes
    headers: tuple[bytes, ...] = ()
    body: bytes = b""
    framing: str = "length"
    """`length`, `chunked`, `cut` where less comes than was said, `trailing` where more does."""
    version: bytes = b"HTTP/1.1"
    host: bytes | None = b"Host: localhost"
    pieces: int = 1
    ends: bool = False
    """Whether the client closes its side behind it."""

    @property
    def must_end(self) -> bool:
        """Whether the service would wait for more unless the client closes its side."""
        is_odd = any(each.lower().startswith(_FRAMING) for each in self.headers)
        return self.ends or is_odd or self.framing in ("cut", "trailing")

    @property
    def is_too_large(self) -> bool:
        """Whether its body is refused for its size."""
        return len(self.body) > MAX_BODY

    def raw(self, key: bytes) -> list[bytes]:
        """What goes over the wire, piece by piece."""
        lines = [b"%b %b %b" % (self.method, self.target, self.version)]
        lines += [] if self.host is None else [self.host]
        lines += [*self.headers, *self._framed(), b"", b""]
        text = b"\r\n".join(lines) + self._coded()
        return _cut(text.replace(KEY, key), self.pieces)

    def _framed(self) -> list[bytes]:
        if self.framing == "chunked":
            return [b"Transfer-Encoding: chunked"]
        more = {"cut": 5, "trailing": -1}.get(self.framing, 0)
        length = max(len(self.body) + more, 0)
        return [b"Content-Length: %d" % length] if length or self.method == b"POST" else []

    def _coded(self) -> bytes:
        if self.framing != "chunked":
            return self.body
        half = len(self.body) // 2
        parts = [each for each in (self.body[:half], self.body[half:]) if each]
        return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in parts) + b"0\r\n\r\n"


def _cut(text: bytes, count: int) -> list[bytes]:
    size = -(-len(text) // count)
    return [text[at : at + size] for at in range(0, len(text), size)]


# Targets

_PLAIN_NAMES = st.sampled_from([GUIDE, THINGS, STRICT, "A-b_c.d", "n" * 120, HELD, SLOW]).map(
    str.encode
)
_NAMES = st.sampled_from([GUIDE, THINGS, THINGS, HELD, SLOW, STRICT]).map(str.encode)
_ODD_NAMES = st.sampled_from(
    [
        *(b"", b"_x", b"_collections", b"system.x", b"a..b", b".a", b"a.", b"..", b".", b"n" * 121),
        *(b"a$b", b"a%20b", b"%C3%A9", b"%64ata", b"a%2Fb", b"things%00", b"%FF", b"\xc3\xa9"),
        *(b"things/", b"/things", b"things;x=1", b"things:find", b"th+ings"),
    ]
)
_IDS = st.sampled_from(
    [
        SMALL_ID,
        SMALL_ID.upper(),
        SMALL_ID.replace("b", "B"),
        ABSENT_ID,
        LARGE_ID,
        PLAIN_ID,
        PLAIN_ID,
    ]
).map(str.encode)
_ODD_IDS = st.sampled_from(
    [
        *(SMALL_ID[1:], SMALL_ID + "0", SMALL_ID + "/", "/" + SMALL_ID, SMALL_ID + "%20"),
        *("%36" + SMALL_ID[1:], SMALL_ID[:-1] + "g", SMALL_ID + "%0A", SMALL_ID + ";a", "new"),
        *(quote(NAMED_ID, safe=""), quote(NAMED_ID), '%7B"$oid":"' + SMALL_ID + '"%7D', "{}", "."),
        *("%7B%22$numberInt%22:%225%22%7D", "5", "%22" + SMALL_ID + "%22", "%FF", "%", "..", "%2E"),
        *(
            PLAIN_ID.lower(),
            PLAIN_ID + "é",
            PLAIN_ID.replace("A", "%41"),
            "." + PLAIN_ID,
            "x" * 129,
        ),
    ]
).map(str.encode)
_INSERTS: Targets = st.just(b"/data") | _PLAIN_NAMES.map(
    lambda name: b"/v1/collections/%b/documents" % name
)


def _documents(names: Targets, ids: Targets) -> Targets:
    return st.tuples(names, ids).map(lambda two: b"/v1/collections/%b/documents/%b" % two)


_ODD_TARGETS = st.one_of(
    _ODD_NAMES.map(lambda name: b"/v1/collections/%b/documents" % name),
    _NAMES.map(lambda name: b"/v1/collections/%b/documents" % name),
    _documents(_ODD_NAMES, _IDS),
    _documents(_NAMES, _ODD_IDS),
    st.sampled_from(
        [
            *(b"/data/", b"//data", b"/Data", b"/%64ata", b"/./data", b"/v1/../data", b"/data%00"),
            *(b"/data%20", b"/data;x=1", b"/data%3F", b"/data#x", b"/dat\xc3\xa9", b"/data\xff"),
            *(b"http://localhost/data", b"http://localhost:1/data", b"HTTP://x.example/data"),
            *(b"*", b"", b"data", b"/v1/collections/things/documents/", b"/v1/collections"),
            *(b"/v1/Collections/things/documents", b"/v2/collections/things/documents"),
            *(b"/v1/collections/things/documents//", b"/v1/collections//documents", b"/x"),
        ]
    ),
)
_QUERIES = st.sampled_from(
    [b"?", b"?x=1", b"?limit=2", b"??", b"?%FF", b"?&", b"?a=1&a=2", b"?fields=n", b"?x=%00"]
)
_METHODS = st.sampled_from(
    [*(b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"GET", b"POST"), b"TRACE", b"PURGE", b"X"]
)
_HOSTS = st.sampled_from(
    [
        None,
        *(b"Host: 127.0.0.1:5000", b"host: LOCALHOST", b"Host:", b"Host: a..b", b"Host: x y"),
        *(b"Host: " + b"x" * 64 + b".example", b"Host: \xff", b"Host: localhost:x", b"Host: [::1"),
        *(b"Host: localhost\r\nHost: localhost", b"Host: localhost\r\nHost: evil.example"),
        *(
            b"Host: evil.example",
            b"Host: user@localhost",
            b"Host: localhost/x",
            b"Host: -.-",
            b"Host: .x",
            b"Host: x.",
        ),
    ]
)
_FRAMINGS = st.sampled_from(["chunked", "cut", "trailing"])


# Requests

_HARMLESS_LISTS = st.lists(HARMLESS, max_size=3).map(tuple)
_POSTS = st.builds(
    lambda target, kind, others, body: Request(b"POST", target, (kind, *others), body),
    _INSERTS,
    JSON,
    _HARMLESS_LISTS,
    GOOD,
)
_GETS = st.builds(
    lambda target, others: Request(b"GET", target, others),
    _documents(_NAMES, _IDS),
    _HARMLESS_LISTS,
)
PUTS = st.builds(
    lambda target, kind, others, body: Request(b"PUT", target, (kind, *others), body),
    _documents(_NAMES, _IDS),
    JSON,
    _HARMLESS_LISTS,
    GOOD,
)
"""Replacements, and new documents under ids."""
_LISTS = st.builds(lambda others: Request(b"GET", b"/data", others), _HARMLESS_LISTS)
_MANNER = st.builds(
    lambda request, framing, pieces, ends: replace(
        request, framing=framing, pieces=pieces, ends=ends
    ),
    _POSTS | PUTS | _GETS | _LISTS,
    st.sampled_from(["length"] * 5 + ["chunked"]),
    st.sampled_from([1, 1, 1, 1, 2, 3]),
    st.sampled_from([False] * 9 + [True]),
)
HOT = st.one_of(_POSTS, _POSTS, PUTS, _GETS, _GETS, _LISTS, _MANNER)
"""Requests that the express path serves, but for documents that do not fit a schema or an id, and
where a condition is demanded."""


@st.composite
def _amiss(draw: st.DrawFn) -> Request:
    """A hot request that is not quite one."""
    request = draw(_POSTS | _POSTS | PUTS | _GETS | _LISTS)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        request = draw(_altered(request))
    return request


def _altered(request: Request) -> st.SearchStrategy[Request]:
    ways = [
        *[TELLING.flatmap(lambda lines: _with_header(request, lines))] * 4,
        _METHODS.map(lambda method: replace(request, method=method)),
        _QUERIES.map(lambda query: replace(request, target=request.target + query)),
        _HOSTS.map(lambda host: replace(request, host=host)),
        _ODD_TARGETS.map(lambda target: replace(request, target=target)),
        _FRAMINGS.map(lambda framing: replace(request, framing=framing, body=request.body or b"x")),
        st.just(replace(request, version=b"HTTP/1.0")),
    ]
    if request.method in (b"POST", b"PUT"):
        ways += [(BAD | LARGE).map(lambda body: replace(request, body=body))] * 3
    else:
        ways += [(BAD | GOOD).map(lambda body: replace(request, body=body))]
    return st.one_of(ways)


def _with_header(request: Request, lines: tuple[bytes, ...]) -> st.SearchStrategy[Request]:
    """The request with these lines among its own, in place of those of their name or beside."""
    name = lines[0].partition(b":")[0].lower()
    others = tuple(each for each in request.headers if each.partition(b":")[0].lower() != name)
    return st.sampled_from([(*others, *lines), (*others, *lines), (*request.headers, *lines)]).map(
        lambda headers: replace(request, headers=headers)
    )


def with_header(name: bytes) -> st.SearchStrategy[Request]:
    """Hot requests with lines of this header."""
    return st.tuples(_POSTS | PUTS | _GETS, lines_of(name)).flatmap(lambda two: _with_header(*two))


WITH_QUERY = st.builds(
    lambda request, query: replace(request, target=request.target + query),
    _POSTS | PUTS | _GETS,
    _QUERIES,
)
"""Hot requests but for their parameters."""
_FAR = st.builds(
    Request,
    method=_METHODS,
    target=_ODD_TARGETS | _INSERTS | _documents(_NAMES, _IDS | _ODD_IDS),
    headers=st.lists(HARMLESS | JSON | TELLING.map(b"\r\n".join), max_size=5).map(tuple),
    body=GOOD | BAD,
    host=st.just(b"Host: localhost") | _HOSTS,
    ends=st.booleans(),
)
AMISS = _amiss()
"""Hot requests with something about them that the full path looks at."""
REQUESTS = st.one_of(HOT, HOT, HOT, HOT, AMISS, AMISS, AMISS, AMISS, _FAR)


def shown(requests: st.SearchStrategy[Request], keys: Iterable[str]) -> st.SearchStrategy[Request]:
    """The requests, each with one of the keys."""
    lines = [f"Authorization: Bearer {each}".encode() for each in keys]
    return st.builds(
        lambda request, line: replace(request, headers=(*request.headers, line)),
        requests,
        st.sampled_from(lines),
    )
