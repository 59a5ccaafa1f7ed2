"""Heads of requests: targets, headers, media types, traces, keys, and which of them are plain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httptools
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from demijohn.auth.keys import Presented, parse
from demijohn.documents.records import Key
from demijohn.edge.context import CONTEXT, Context
from demijohn.edge.tellers import PLAINLY, Asked
from demijohn.errors import (
    BadParameter,
    NotAcceptable,
    Unauthenticated,
    UnsupportedMediaType,
)
from demijohn.formats import media_types
from demijohn.front.heads import framing, origin_form
from demijohn.front.plain import LARGEST, WATCHED, Line, line_of
from demijohn.telemetry import trace
from demijohn.web.negotiation import read_asked, read_key
from demijohn.web.requests import require_media
from tests.support.express_headers import HARMLESS, JSON, TELLING, Lines, lines_of
from tests.support.fuzz import attempt, fuzz
from tests.support.fuzz_texts import spoilt

Pairs = list[tuple[bytes, bytes]]
_APPLICATION = Flask("fuzzed")
PATHS = st.one_of(
    st.sampled_from([b"/data", b"/v1/collections/people/documents", b"/data/", b"/", b"*"]),
    st.builds(
        lambda name, id_: b"/v1/collections/%b/documents%b" % (name, id_),
        st.sampled_from(
            [b"a", b"_a", b"system.x", b"a..b", b"a.b", b"%61", b"x" * 121, b".a", b"-"]
        ),
        st.sampled_from(
            [b"", b"/", b"/65a1f0c2b9d4e83a7c15f206", b"/65A1F0C2B9D4E83A7C15F20", b"/x"]
        ),
    ),
)
HEADERS = st.lists(
    HARMLESS.map(lambda line: (line,)) | JSON.map(lambda line: (line,)) | TELLING, max_size=5
)
HOSTS = st.sampled_from(
    [
        b"Host: x",
        b"host: a.example:80",
        b"Host: [::1]",
        b"Host: ",
        b"Host: a b",
        b"Host: \xff",
        b"X: y",
    ]
)


def pairs(lines: list[Lines]) -> Pairs:
    """Header lines as the server hands them on: names in small letters, values without blanks."""
    split = (line.partition(b":") for each in lines for line in each)
    return [(name.strip().lower(), value.strip()) for name, _, value in split]


@st.composite
def scopes(draw: st.DrawFn) -> dict[str, Any]:
    """Heads as the server hands them on."""
    return {
        "method": draw(st.sampled_from(["GET", "POST", "PUT", "get", "HEAD"])),
        "raw_path": draw(spoilt(PATHS, most=1)),
        "query_string": draw(st.sampled_from([b"", b"", b"", b"a=1", b"&"])),
        "headers": [*pairs([(draw(HOSTS),)]), *pairs(draw(HEADERS))],
    }


BODIES = st.sampled_from([b"", b"{}", b"x" * LARGEST, b"x" * (LARGEST + 1)])


@fuzz(2500)
@given(scopes(), BODIES)
def test_what_is_plain(scope: dict[str, Any], body: bytes) -> None:
    """A head is plain or it is not; a plain one says nothing that has to be looked at."""
    headers = scope["headers"]
    line = line_of(scope, body)
    # The order of headers is nobody's business, and neither are those that nobody looks at.
    assert line_of({**scope, "headers": headers[::-1]}, body) == line
    assert line_of({**scope, "headers": [*headers, (b"x-other", b"\xff")]}, body) == line
    if line is not None:
        check_plain(line, scope, body)


def check_plain(line: Line, scope: dict[str, Any], body: bytes) -> None:
    """Hold a request that is taken for plain to being so, by other words than the service's."""
    assert not scope["query_string"]
    assert len(body) <= LARGEST
    assert scope["method"] == line.method
    assert (line.method in ("POST", "PUT")) == bool(body)
    assert line.method != "POST" or line.id is None
    assert line.method != "PUT" or line.id is not None
    assert line.is_list == (line.id is None and not body)
    assert (line.key is not None) == any(name == b"idempotency-key" for name, _ in scope["headers"])
    assert line.key is None or line.method == "POST"
    assert re.fullmatch(r"[A-Za-z0-9.-][A-Za-z0-9._-]{0,119}", line.collection)
    headers = scope["headers"]
    names = [name for name, _ in headers]
    assert names.count(b"host") == 1
    for name in WATCHED:
        assert names.count(name) <= 1
    assert all(value in WATCHED.get(name, (value,)) for name, value in headers)


TARGETS = st.one_of(
    PATHS,
    st.builds(
        lambda scheme, host, rest: scheme + host + rest,
        st.sampled_from([b"http://", b"https://", b"HTTP://", b"//", b"http:/", b""]),
        st.sampled_from(
            [
                b"a.example",
                b"[::1]",
                b"[::1",
                b"a:81",
                b"a:99999",
                b"a:",
                b":1",
                b"u@h",
                b"\xc3\xa9",
            ]
        ),
        st.sampled_from([b"", b"/", b"/p?q=1", b"?q", b"#f", b"/\xff", b"/p q", b"/%zz"]),
    ),
)


@fuzz(1500)
@given(spoilt(TARGETS, most=2) | st.binary(max_size=20), HEADERS, HOSTS)
def test_targets(target: bytes, lines: list[Lines], host: bytes) -> None:
    """A target in any form is a path with one host, or what the parser of heads refuses."""
    headers = [*pairs([(host,)]), *pairs(lines)]
    try:
        path, others = origin_form(target, headers)
    except httptools.HttpParserError:
        return
    assert (path, others) == (target, headers) or path.startswith((b"/", b"?"))
    if (path, others) != (target, headers):
        assert [name for name, _ in others].count(b"host") == 1
        assert [each for each in others if each[0] != b"host"] == [
            each for each in headers if each[0] != b"host"
        ]


class Parser:
    """What the parser of heads hands on, with nothing made of it."""

    def __init__(self) -> None:
        """Begin without any."""
        self.headers: Pairs = []
        self.framed: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """A head is whole: how its body is framed can be told of every one that passes."""
        self.framed.append(framing(self.headers))
        self.headers.clear()


@fuzz(1500)
@given(spoilt(st.lists(HARMLESS | TELLING.map(b"\r\n".join), max_size=5).map(b"\r\n".join), most=2))
def test_framing(head: bytes) -> None:
    """How a body is framed is told for every head that the parser of heads lets through."""
    parser = Parser()
    try:
        httptools.HttpRequestParser(parser).feed_data(b"POST / HTTP/1.1\r\n" + head + b"\r\n\r\n")
    except httptools.HttpParserError:
        return
    for framed in parser.framed:
        assert not framed or framed.startswith((b"content-length: ", b"transfer-encoding: "))


@contextmanager
def requested(lines: Lines) -> Iterator[None]:
    """A request with these header lines, as the framework hands them on."""
    headers = Headers([(name.decode(), value.decode("latin-1")) for name, value in pairs([lines])])
    context = Context("POST", "/", None, trace.begin(None, None), 0.0)
    environ = {CONTEXT: context}
    with _APPLICATION.test_request_context(
        "/", method="POST", headers=headers, environ_overrides=environ
    ):
        yield


NEGOTIATED = st.sampled_from(
    [b"Accept", b"Content-Type", b"Prefer", b"If-Match", b"If-None-Match", b"Idempotency-Key"]
)


def _values(name: bytes) -> st.SearchStrategy[Lines]:
    """Lines of one header, sometimes with a value that is spoilt."""
    fits = re.compile(rb"[^\0\r\n]*")
    spoiled = spoilt(lines_of(name).map(lambda lines: lines[0].partition(b": ")[2]), most=2)
    return spoiled.filter(lambda value: fits.fullmatch(value) is not None).map(
        lambda value: (name + b": " + value,)
    )


@fuzz(1500)
@given(st.lists(NEGOTIATED.flatmap(_values), max_size=3), st.booleans())
def test_negotiation(lines: list[Lines], has_body: bool) -> None:  # noqa: FBT001 - drawn
    """Any headers are a wish that can be met, or a refusal of one of the kinds that there are."""
    every: Lines = tuple(line for each in lines for line in each)
    with requested(every):
        asked = attempt(lambda: read_asked(has_body=has_body), BadParameter, NotAcceptable)
        key = attempt(lambda: read_key(b"{}"), BadParameter)
        attempt(lambda: require_media(*media_types.DOCUMENTS), UnsupportedMediaType)
        is_plain = all(
            value in WATCHED.get(name, (value,)) for name, value in pairs([every])
        ) and len({name for name, _ in pairs([every])}) == len(every)
        if is_plain and isinstance(asked, Asked):
            assert asked == PLAINLY
        assert key is None or "Idempotency-Key" in request.headers
        assert key is None or isinstance(key, Key | BadParameter)


HEX32, HEX16 = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACES = st.builds(
    lambda version, trace_id, span_id, flags, rest: f"{version}-{trace_id}-{span_id}-{flags}{rest}",
    st.sampled_from(["00", "00", "01", "ff", "0", "FF"]),
    st.sampled_from([HEX32, HEX32, "0" * 32, HEX32.upper(), HEX32[1:]]),
    st.sampled_from([HEX16, HEX16, "0" * 16, HEX16[:-1] + "g"]),
    st.sampled_from(["00", "01", "ff", "1", ""]),
    st.sampled_from(["", "", "-", "-x", " ", "\n"]),
)


@fuzz(1000)
@given(
    st.none() | st.text(max_size=5) | st.text("aA0._:/+=@- \n\0", max_size=130),
    st.none() | TRACES | spoilt(TRACES.map(str.encode)).map(lambda raw: raw.decode("latin-1")),
)
def test_traces(request_id: str | None, traceparent: str | None) -> None:
    """Whatever a caller sends, the request has an id and a trace that are safe in any header."""
    begun = trace.begin(request_id, traceparent)
    assert re.fullmatch(r"[A-Za-z0-9._:/+=@-]{1,128}", begun.request_id)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", begun.response)
    assert set(begun.trace_id) != {"0"}
    if begun.parent_id is not None:
        assert traceparent is not None
        assert f"-{begun.trace_id}-{begun.parent_id}-{begun.flags}" in traceparent


SECRET = "0123456789abcdef" * 4
KEYS = st.builds(
    lambda scheme, blank, lead, id_, secret: f"{scheme}{blank}{lead}{id_}_{secret}",
    st.sampled_from(["Bearer", "bearer", "BEARER", "Basic", "", "Bearer "]),
    st.sampled_from([" ", "  ", "", "\t", "\n"]),
    st.sampled_from(["dj_", "dj_", "DJ_", "dj-", ""]),
    st.sampled_from([SECRET[:16], SECRET[:16].upper(), SECRET[:15], "é" * 16]),
    st.sampled_from([SECRET, SECRET.upper(), SECRET[1:], SECRET + "0", SECRET + "\n", "٠" * 64]),
)


@fuzz(1500)
@given(
    KEYS
    | spoilt(KEYS.map(str.encode)).map(lambda raw: raw.decode("latin-1"))
    | st.text(max_size=210)
)
def test_keys(header: str) -> None:
    """A header is a key, of which nothing but an id and a digest is kept, or is told as none."""
    found = attempt(lambda: parse(header), Unauthenticated)
    if isinstance(found, Presented):
        words = header.split()
        assert len(words) == 2
        assert words[0].lower() == "bearer"
        assert words[1].lower().startswith(f"dj_{found.id}_")
        assert words[1].lower().removeprefix(f"dj_{found.id}_") not in repr(found)
        assert parse(f"Bearer {words[1].lower()}") == found
    else:
        assert isinstance(found, Unauthenticated)
        assert SECRET[:15] not in found.detail.lower()
