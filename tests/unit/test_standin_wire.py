"""How the stand-in cuts streams into messages: nothing lost or added, wherever they are cut."""

from __future__ import annotations

import itertools
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from tests.support.standin import standalone, wire

BODIES = st.dictionaries(st.sampled_from(["hello", "find", "x"]), st.text(max_size=200), min_size=1)


def _pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(ends)]


@given(st.lists(BODIES, min_size=1, max_size=5), st.lists(st.integers(0, 10_000), max_size=20))
def test_messages_pass_unchanged(bodies: list[dict[str, Any]], cuts: list[int]) -> None:
    """Whatever pieces a stream comes in, the same bytes go out, and each message is seen once."""
    stream = b"".join(wire.request(n, body) for n, body in enumerate(bodies))
    sent: list[bytes] = []
    seen: list[int] = []

    def pick(data: bytes) -> None:
        seen.append(wire.request_id_of(data))

    relay = wire.Relay(pick, sent.append)
    for piece in _pieces(stream, cuts):
        relay.feed(piece)
    assert b"".join(sent) == stream
    assert seen == list(range(len(bodies)))


@given(st.lists(BODIES, min_size=1, max_size=5), st.lists(st.integers(0, 10_000), max_size=20))
def test_one_kind_is_changed(bodies: list[dict[str, Any]], cuts: list[int]) -> None:
    """A message that is picked is changed as a whole; those around it are not."""
    stream = b"".join(wire.request(n, body) for n, body in enumerate(bodies))
    sent = bytearray()

    def pick(data: bytes) -> wire.Change | None:
        if wire.command_of(data) != b"hello":
            return None
        return lambda raw: wire.with_body(raw, lambda body: {**body, "changed": True})

    relay = wire.Relay(pick, sent.extend)
    for piece in _pieces(stream, cuts):
        relay.feed(piece)
    expected = [
        {**body, "changed": True} if next(iter(body)) == "hello" else body for body in bodies
    ]
    assert bytes(sent) == b"".join(wire.request(n, body) for n, body in enumerate(expected))


def test_what_is_not_changed_keeps_its_bytes() -> None:
    """An answer loses its cluster time and nothing else: keys written twice, dates past 9999."""
    twice = b"\x10a\x00\x01\x00\x00\x00\x10a\x00\x02\x00\x00\x00"
    found = RawBSONDocument((len(twice) + 5).to_bytes(4, "little") + twice + b"\x00")
    kept = {"value": found, "at": bson.DatetimeMS(2**60), "n": [1, bson.Int64(1), 1.0]}
    raw = wire.request(7, {**kept, "operationTime": bson.Timestamp(1, 1), "ok": 1.0})
    assert wire.with_body(raw, standalone.as_standalone) == wire.request(7, {**kept, "ok": 1.0})
