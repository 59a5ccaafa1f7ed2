"""The client's address: by the word of trusted proxies, and nobody else's."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.auth.address import MOST_HOPS, Proxies, subject

PROXY, INNER = "10.0.0.1", "10.0.0.2"
CLIENT = "203.0.113.7"
FORGED = "6.6.6.6"
TRUSTED = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


def client(
    forwarded: str | None = None, x_forwarded_for: str | None = None, peer: str | None = PROXY
) -> str | None:
    """Whose request it is, where 10.0.0.0/8 and fd00::/8 are proxies."""
    return Proxies(TRUSTED).client(peer, forwarded, x_forwarded_for)


@pytest.mark.parametrize("peer", [CLIENT, "2001:db8::1", "::ffff:203.0.113.7", "", "unix:", None])
@pytest.mark.parametrize("header", [FORGED, f"{FORGED}, {PROXY}", "127.0.0.1", ""])
def test_nobody_else_is_believed(peer: str | None, header: str) -> None:
    """What a peer that is no trusted proxy says of others changes nothing."""
    assert client(None, header, peer) == peer
    assert client(f"for={header}", None, peer) == peer


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    """By default no header counts, not even from this machine."""
    assert Proxies([]).client("127.0.0.1", f"for={FORGED}", FORGED) == "127.0.0.1"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (CLIENT, CLIENT),
        (f"{FORGED}, {CLIENT}", CLIENT),
        (f"{FORGED},{CLIENT},{INNER}", CLIENT),
        (f"{FORGED}, {INNER}, {CLIENT}, {INNER}", CLIENT),
        (f" \t{CLIENT}\t ", CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        (f"{CLIENT}:_hidden", CLIENT),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        (f"::ffff:{CLIENT}", CLIENT),
        (f"[::ffff:{CLIENT}]:1", CLIENT),
        (f"{CLIENT}, ::ffff:{INNER}", CLIENT),
        (f"{CLIENT}, fd00::2", CLIENT),
        ("fe80::1%eth0", "fe80::1"),
        # Nobody but proxies: the farthest.
        (INNER, INNER),
        (f"fd00::9,{INNER}", "fd00::9"),
        # Nothing that is an address: the last that is known.
        ("", PROXY),
        (",", PROXY),
        (f"{FORGED},", PROXY),
        (f"{FORGED}, ,{INNER}", INNER),
        (f"{FORGED}, unknown", PROXY),
        (f"{FORGED}, unknown, {INNER}", INNER),
        (f"{FORGED}, _hidden", PROXY),
        (f'{FORGED}, "{CLIENT}"', PROXY),
        (f"{FORGED} {CLIENT}", PROXY),
        (f"{CLIENT}:", PROXY),
        (f"{CLIENT}:x", PROXY),
        (f"{CLIENT}:80:80", PROXY),
        ("[2001:db8::1", PROXY),
        ("[2001:db8::1]x", PROXY),
        (f"{CLIENT}%x", PROXY),
        ("203.0.113.07", PROXY),
        ("3405803783", PROXY),
        (f"for={CLIENT}", PROXY),
        ("localhost", PROXY),
        ("²⁰³.0.113.7", PROXY),
        (f"{FORGED}\x00", PROXY),
    ],
)
def test_x_forwarded_for_is_read_from_the_right(header: str, found: str) -> None:
    """The right-most entry that is no trusted proxy; junk leaves the last address that is known."""
    assert client(None, header) == found


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"for={CLIENT}", CLIENT),
        (f"For={FORGED}, fOR={CLIENT}", CLIENT),
        (f"for={FORGED},for={CLIENT};proto=https;by={INNER},for={INNER}", CLIENT),
        (f"proto=http ; for={CLIENT}", CLIENT),
        (f'for="{CLIENT}:4711"', CLIENT),
        (f'for="{CLIENT}:_port"', CLIENT),
        ('for="[2001:db8::1]"', "2001:db8::1"),
        ('for="[2001:db8::1]:4711"', "2001:db8::1"),
        (f'for="[::ffff:{CLIENT}]"', CLIENT),
        (f'for={CLIENT};host="a,for={FORGED}"', CLIENT),
        (f'for={CLIENT};host="a;for={FORGED};b,c="', CLIENT),
        # A client that leaves something open at the left changes nothing at the right.
        (f'for=", for={CLIENT}', CLIENT),
        (f'for="{FORGED}, for={CLIENT}', CLIENT),
        (f'host="a\\", for={CLIENT}', CLIENT),
        (f"for={FORGED};, for={CLIENT}", CLIENT),
        (f",, for={CLIENT}", CLIENT),
        # Nobody but proxies: the farthest.
        (f"for={INNER}", INNER),
        # Nothing that is an address: the last that is known.
        ("", PROXY),
        (f"for={FORGED}, for=unknown", PROXY),
        (f"for={FORGED}, for=_hidden, for={INNER}", INNER),
        (f'for={FORGED}, for="_hidden"', PROXY),
        (f"for={FORGED}, proto=https", PROXY),
        (f"for={FORGED},", PROXY),
        (f"for={FORGED}, ,for={INNER}", INNER),
        (f"for={FORGED};", PROXY),
        (f"for={FORGED};for={CLIENT}", PROXY),
        (f"for={FORGED}, for=", PROXY),
        (f'for={FORGED}, for=""', PROXY),
        (f"for={FORGED}, for={CLIENT} junk", PROXY),
        (f"for={FORGED} for={CLIENT}", PROXY),
        (f'for={FORGED}, for={CLIENT};host="a\\"b"', PROXY),
        (f'for={CLIENT};host="a\\",for={FORGED};b=\\"c"', PROXY),
        ("for=[2001:db8::1]", PROXY),
        (f"xfor={CLIENT}", PROXY),
        (CLIENT, PROXY),
    ],
)
def test_forwarded_is_read_from_the_right(header: str, found: str) -> None:
    """RFC 7239: pairs, quotes, brackets, ports; the same rule as of the older header."""
    assert client(header) == found


def test_both_headers_count_where_they_agree() -> None:
    """Which of the two is the proxy's nobody knows: if they differ, neither counts."""
    assert client(f"for={CLIENT}", CLIENT) == CLIENT
    assert client(f"for={FORGED}, for={CLIENT}", f"{CLIENT}, {INNER}") == CLIENT
    assert client(f"for={FORGED}", CLIENT) == PROXY
    assert client(f"for={CLIENT}", FORGED) == PROXY
    assert client("junk", CLIENT) == PROXY


def test_a_mapped_proxy_is_a_proxy() -> None:
    """A server that listens on both kinds of address sees IPv4 peers as mapped ones."""
    assert client(None, CLIENT, f"::ffff:{PROXY}") == CLIENT


def test_hops_are_bounded() -> None:
    """A header of nothing but proxies' addresses is not read without end."""
    header = ",".join([FORGED, *[INNER] * MOST_HOPS])
    assert client(None, header) == INNER
    assert client(None, header.partition(f"{INNER},")[0] + INNER) == FORGED


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_crashes_or_forges(left: str, junk: str) -> None:
    """Whatever a client writes at the left, what the proxy adds at the right is what counts."""
    assert client(None, f"{left},{CLIENT}") == CLIENT
    assert client(f"{left},for={CLIENT}") == CLIENT
    assert client(junk, junk) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::9"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_addresses_of_one_client(one: str, other: str) -> None:
    """Limits count a /64 as one client, and a mapped address as what it maps."""
    assert subject(one) == subject(other)


def test_addresses_of_two_clients() -> None:
    """Others are others, and what is no address is itself."""
    names = ["2001:db8::1", "2001:db8:0:1::1", "203.0.113.7", "203.0.113.8", "x:y", None]
    assert len({subject(each) for each in names}) == len(names)
