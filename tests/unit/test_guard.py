"""The guard of an unconfigured service: this machine may ask, nobody else."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.auth.guard import check_local
from demijohn.errors import Forbidden

LOCAL = ("127.0.0.1", "localhost:5000")


def refused(
    peer: str | None,
    host: str | None,
    forwarded: str | None = None,
    x_forwarded_for: str | None = None,
) -> bool:
    """Whether the guard says no."""
    try:
        check_local(peer, host, forwarded, x_forwarded_for)
    except Forbidden:
        return True
    return False


@pytest.mark.parametrize(
    ("peer", "host", "x_forwarded_for"),
    [("10.0.0.1", "localhost", None), ("::1", "evil.example", None), ("::1", "[::1]", "10.0.0.1")],
)
def test_a_refusal_says_what_to_set(peer: str, host: str, x_forwarded_for: str | None) -> None:
    """Whoever is refused learns the setting that would let them in."""
    with pytest.raises(Forbidden, match="DEMIJOHN_AUTH=open"):
        check_local(peer, host, None, x_forwarded_for)


@pytest.mark.parametrize(
    "peer",
    ["127.0.0.1", "::1", "127.8.9.10", "::ffff:127.0.0.1", "::FFFF:7f00:1", "0:0:0:0:0:0:0:1"],
)
@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:5000",
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:5000",
        "localhost:",
    ],
)
def test_this_machine_may(peer: str, host: str) -> None:
    """A loopback peer that asks for this machine by a name of its own is let through."""
    assert not refused(peer, host)


@pytest.mark.parametrize(
    "peer",
    [
        None,
        "",
        "unix:",
        "10.0.0.1",
        "0.0.0.0",
        "::",
        "::2",
        "::ffff:10.0.0.1",
        "fe80::1",
        "localhost",
        "127.0.0.1 ",
        "127.0.0.01",
        "127.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "[::1]",
    ],
)
def test_other_peers_may_not(peer: str | None) -> None:
    """A peer elsewhere, an unknown one and one that is no address are refused."""
    assert refused(peer, "localhost")


@given(st.ip_addresses())
def test_every_address_is_judged_by_loopback(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Any address passes as peer, and as forwarded address, exactly when it is loopback."""
    inner = getattr(address, "ipv4_mapped", None) or address
    loopback = str(inner).startswith("127.") or str(inner) == "::1"
    quoted = f'"[{address}]"' if address.version == 6 else str(address)
    assert refused(str(address), "localhost") is not loopback
    assert refused(*LOCAL, x_forwarded_for=str(address)) is not loopback
    assert refused(*LOCAL, forwarded=f"for={quoted}") is not loopback


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":5000",
        "evil.example",
        "evil.example:5000",
        "localhost.evil.example",
        "localhost.",
        "evil.example#localhost",
        "user@localhost",
        "localhost:x",
        "localhost:80:80",
        "::1",
        "[::1",
        "[::1]x",
        "[::2]",
        "localhost, evil.example",
        "localhost localhost",
        "127.0.0.2",
        "0.0.0.0",
        " localhost",
        "localhost\n",
        "127.0.0.1.nip.example",
        "2130706433",
        "ⅼocalhost",
        "localhoſt",
    ],
)
def test_other_hosts_may_not_be_meant(host: str | None) -> None:
    """A Host that is missing, malformed or another's (as with DNS rebinding) is refused."""
    assert refused("127.0.0.1", host)


@pytest.mark.parametrize(
    "header",
    [
        "127.0.0.1",
        "::1",
        "127.0.0.1, ::1,127.0.0.9",
        "127.0.0.1:4711",
        "[::1]",
        "[::1]:4711",
        "::ffff:127.0.0.1",
        " 127.0.0.1 ",
    ],
)
def test_a_proxy_for_this_machine_may(header: str) -> None:
    """X-Forwarded-For with loopback addresses alone changes nothing."""
    assert not refused(*LOCAL, x_forwarded_for=header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "127.0.0.1,",
        "10.0.0.1",
        "127.0.0.1, 10.0.0.1",
        "10.0.0.1, 127.0.0.1",
        "unknown",
        "localhost",
        "::1, 2001:db8::1",
        "[::1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "[10.0.0.1]:1",
        "127.0.0.1 10.0.0.1",
        "for=127.0.0.1",
        '"127.0.0.1"',
    ],
)
def test_a_proxy_for_others_may_not(header: str) -> None:
    """One address elsewhere in X-Forwarded-For, or anything unclear, is refused."""
    assert refused(*LOCAL, x_forwarded_for=header)


@pytest.mark.parametrize(
    "header",
    [
        "for=127.0.0.1",
        'For="[::1]:4711"',
        'for="127.0.0.1:80"',
        "by=10.0.0.1;for=127.0.0.1;proto=http",
        'for=127.0.0.1, for="[::1]"',
        "for=127.0.0.1 ; proto=https ,FOR=127.0.0.2",
        'host="a,b;c";for=127.0.0.1',
    ],
)
def test_forwarded_for_this_machine_may(header: str) -> None:
    """Forwarded (RFC 7239) whose every `for` is a loopback address changes nothing."""
    assert not refused(*LOCAL, forwarded=header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        ";",
        "for=",
        "for=10.0.0.1",
        "for=127.0.0.1,for=10.0.0.1",
        "for=10.0.0.1,for=127.0.0.1",
        "for=10.0.0.1;for=127.0.0.1",
        "for=127.0.0.1;for=10.0.0.1",
        "for=unknown",
        "for=_hidden",
        'for="_hidden"',
        "proto=https",
        "for=127.0.0.1,proto=https",
        "proto=https,for=127.0.0.1",
        "for=[::1]",
        'for="[::1]',
        'for="127.0.0.1\\"',
        "for=127.0.0.1;",
        "for=127.0.0.1,",
        "for=127.0.0.1 for=10.0.0.1",
        "127.0.0.1",
        'for=127.0.0.1;host="',
        'for="[2001:db8::1]:80"',
        'proto="for=127.0.0.1"',
        "xfor=127.0.0.1",
        'for=""',
    ],
)
def test_forwarded_for_others_may_not(header: str) -> None:
    """One `for` elsewhere, an element without one, or anything unclear is refused."""
    assert refused(*LOCAL, forwarded=header)


def test_both_headers_count() -> None:
    """With both headers there, each has to name this machine."""
    assert not refused(*LOCAL, "for=127.0.0.1", "127.0.0.1")
    assert refused(*LOCAL, "for=10.0.0.1", "127.0.0.1")
    assert refused(*LOCAL, "for=127.0.0.1", "10.0.0.1")


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_text_gets_through_or_crashes(a: str, b: str, c: str, d: str) -> None:
    """Arbitrary text in all four places ends in a refusal, never in another error."""
    assert refused(a, b, c, d)
    assert refused(*LOCAL, forwarded=c)
