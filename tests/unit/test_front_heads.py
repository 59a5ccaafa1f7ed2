"""Request heads in their several forms."""

from __future__ import annotations

import pytest

from demijohn.front.heads import framing, origin_form


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        ([], b""),
        ([(b"content-length", b"0")], b""),
        ([(b"content-length", b"7")], b"content-length: 7\r\n"),
        ([(b"transfer-encoding", b"chunked")], b"transfer-encoding: chunked\r\n"),
    ],
)
def test_framing(headers: list[tuple[bytes, bytes]], line: bytes) -> None:
    """A body is framed by its length or by its coding, or there is none."""
    assert framing([(b"host", b"x"), *headers]) == line


@pytest.mark.parametrize(
    ("target", "wanted", "host"),
    [
        (b"http://a.example/p?q=1", b"/p?q=1", b"a.example"),
        (b"http://a.example:81", b"/", b"a.example:81"),
        (b"http://[::1]:5000/p", b"/p", b"[::1]:5000"),
    ],
)
def test_absolute_form(target: bytes, wanted: bytes, host: bytes) -> None:
    """The target's own host takes the place of the header, however often that was sent."""
    headers = [(b"host", b"other"), (b"accept", b"*/*"), (b"host", b"third")]
    assert origin_form(target, headers) == (wanted, [(b"accept", b"*/*"), (b"host", host)])
