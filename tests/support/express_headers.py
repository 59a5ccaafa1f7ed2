"""Header lines that a request may have: which change nothing, and which the service looks at."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from demijohn.documents.versions import digest, tag
from demijohn.formats.spelling import Spelling
from tests.support.express_seeds import SMALL

Lines = tuple[bytes, ...]
_SMALL_TAG = tag(digest(SMALL), Spelling.PLAIN).encode()
JSON = st.sampled_from(
    [
        b"Content-Type: application/json",
        b"content-type: application/json; charset=utf-8",
        b"CONTENT-TYPE:application/json",
    ]
)
HARMLESS = st.sampled_from(
    [
        *(b"Accept: */*", b"accept: application/json", b"ACCEPT:", b"Accept:*/*"),
        b"Accept: application/json, text/plain, */*",
        *(b"User-Agent: curl/8.5.0", b"Accept-Encoding: gzip, br", b"Accept-Language: de"),
        *(b"Connection: keep-alive", b"Cache-Control: no-cache", b"Cookie: session=1"),
        *(b"X-Request-Id: own-1", b"x-request-id: " + b"y" * 129, b"X-Request-Id: a b"),
        b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        *(b"Traceparent: 00-zz-b7ad6b7169203331-01", b"tracestate: a=1", b"X-Forwarded-For: ::1"),
        *(b"Content_Type: text/plain", b"If_None_Match: *", b"Idempotency_Key: x", b"Accept_: x"),
        *(b"Range: bytes=0-1", b"If-Modified-Since: Thu, 26 Nov 2026 00:00:00 GMT", b"DNT: 1"),
        *(
            b"Authorization: Basic eDp5",
            b"Origin: http://x.example",
            b"X-HTTP-Method-Override: PUT",
        ),
    ]
)
"""Those to which the express path answers all the same."""
_VALUES: dict[bytes, list[bytes]] = {
    b"Accept": [
        *(b"*/*", b"", b"application/json", b"application/ejson", b"application/*", b"text/html"),
        *(b"application/ejson; mode=canonical", b"application/json;q=0", b"*/*;q=0", b",", b"*"),
        *(b"application/json;q=0, */*", b"application/ejson, application/json;q=0.5", b"garbage"),
        *(
            b"APPLICATION/JSON",
            b"application/json; charset=UTF-8",
            b"application/json;x=1",
            b"\xff",
        ),
        *(b"text/html, */*;q=0.8", b"application/ejson;q=0.1, */*;q=0.2", b"application/x-ndjson"),
    ],
    b"Content-Type": [
        *(b"", b"text/plain", b"application/ejson", b"application/x-ndjson", b"application/*"),
        *(b"Application/JSON", b"application/json;charset=UTF-8", b"application/json;charset=\xff"),
        *(b"application/json; charset=latin-1", b'application/json; charset="utf-8"', b"json"),
        *(b"application/json;", b"application/json; x", b"application/merge-patch+json", b";"),
        *(b"application/json,application/json", b"application/ejson; mode=canonical", b"\xff"),
        *(b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"a/json\t"),
    ],
    b"Content-Encoding": [b"identity", b"Identity", b"gzip", b"", b"identity, identity"],
    b"If-Match": [b"*", b"", _SMALL_TAG, b'"x.p"', b"W/" + _SMALL_TAG, b"garbage", b'"'],
    b"If-None-Match": [b"*", b"", _SMALL_TAG, b'"x.p"', b"W/" + _SMALL_TAG, b"garbage", b"\xff"],
    b"Prefer": [
        *(b"return=minimal", b"return=representation", b"respond-async", b"", b"Return=Minimal"),
        *(b"return=minimal;x, return=representation", b'return="minimal"', b"return", b"\xff"),
    ],
    b"Idempotency-Key": [b"<key>", b'"<key>"', b" <key>", b"a,b", b"", b"x" * 256, b"\xff"],
    b"Expect": [b"100-continue", b"100-Continue", b"200-ok", b""],
    b"Connection": [b"close", b"Close", b"keep-alive, close", b"Upgrade", b"x"],
    b"Transfer-Encoding": [b"gzip, chunked", b"identity", b"", b"chunked, chunked"],
    b"Content-Length": [b"0", b"1", b"", b"x", b"-1", b"+1", b"99999999999999999999"],
    b"X-Forwarded-For": [b"", b"8.8.8.8", b"::1, 8.8.8.8", b"x"],
    b"Forwarded": [b"for=127.0.0.1", b"for=8.8.8.8", b";", b""],
    b"X-Request-Id": [b"own-2", b"", b"\xff", b"a\tb", b"x" * 128],
    b"traceparent": [
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"",
    ],
    b"Upgrade": [b"h2c", b"websocket"],
    b"Trailer": [b"If-Match"],
    b"If-Range": [b'"x"'],
    b"Access-Control-Request-Method": [b"POST"],
    b"X-Odd \tname": [b"1"],
    b"Bad\x01name": [b"1"],
    b"X-Long": [b"x" * 15_000, b"x" * 17_000],
    b"X-Folded": [b"a\r\n b"],
}
_MOST_READ = (b"Accept", b"Content-Type", b"Content-Encoding", b"Idempotency-Key", b"Prefer")
_NAMES = [*_VALUES, *_MOST_READ * 2, b"If-Match", b"If-None-Match", b"If-None-Match"]
_SPELLINGS: tuple[Callable[[bytes], bytes], ...] = (
    bytes.lower,
    bytes.upper,
    bytes.title,
    bytes,
    bytes,
    bytes,
)


@st.composite
def lines_of(draw: st.DrawFn, name: bytes) -> Lines:
    """Lines of one header, mostly one line, in good forms and bad."""
    values = draw(
        st.lists(
            st.sampled_from(_VALUES[name]), min_size=1, max_size=draw(st.sampled_from([1, 1, 1, 2]))
        )
    )
    return tuple(b"%b: %b" % (draw(st.sampled_from(_SPELLINGS))(name), each) for each in values)


TELLING = st.sampled_from(_NAMES).flatmap(lines_of)
"""Those that the service, or what it is built on, looks at."""
