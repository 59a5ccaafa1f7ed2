"""Request ids and W3C trace context."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.telemetry.trace import begin

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_trace_is_joined() -> None:
    """The caller's trace id and flags go on, under a span of our own."""
    trace = begin(None, f"00-{TRACE}-{SPAN}-01")
    assert (trace.trace_id, trace.parent_id, trace.flags) == (TRACE, SPAN, "01")
    assert trace.response == f"00-{TRACE}-{trace.span_id}-01"
    assert trace.span_id != SPAN


def test_a_later_version_is_joined() -> None:
    """Fields that a later version appends are passed over (Trace Context, section 3.2.4)."""
    assert begin(None, f"cc-{TRACE}-{SPAN}-01-more").trace_id == TRACE


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_a_broken_trace_is_not_joined(bad: str) -> None:
    """What is not valid starts a new trace."""
    trace = begin(None, bad)
    assert trace.trace_id not in (TRACE, "0" * 32)
    assert trace.parent_id is None


@given(st.text(max_size=200))
def test_only_sane_ids_are_kept(text: str) -> None:
    """Whatever a caller sends, the id can break neither a header nor a line of a log."""
    assert re.fullmatch(r"[A-Za-z0-9._:/+=@-]{1,128}", begin(text, None).request_id)


def test_ids_differ() -> None:
    """Two requests are two."""
    first, second = begin(None, None), begin(None, None)
    assert first.request_id != second.request_id
    assert first.trace_id != second.trace_id
    assert begin("mine", None).request_id == "mine"
