"""Whose request it is: the address of the client, seen through the proxies that are trusted.

A client can write any `Forwarded` (RFC 7239) or `X-Forwarded-For` it likes; a proxy adds, at the
right end, the address that it was asked from. So both are read from the right, by nobody's word
but that of a trusted proxy, and reading ends at the first entry that is none itself: that is the
client. Where there is no such entry, or it says nothing that is an address (`unknown`, `_hidden`,
junk), it is the last proxy whose address is known. Where both headers are there and do not name
the same client, one of them was written by whoever asks, and nobody knows which: then neither
counts, and the address is that of the proxy which is connected here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_HOPS = 32
"""Entries of a header that are looked at: nobody has as many proxies of his own."""
_PORT = r":(?:[0-9]{1,5}|_[A-Za-z0-9._-]+)"
_NODE = re.compile(rf"\[(?P<v6>[^\[\]]+)\](?:{_PORT})?|(?P<v4>[0-9.]+){_PORT}|(?P<bare>[^\[\]]+)")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the "token" of RFC 9110
_RIAP = re.compile(rf'[ \t]*(?:({_TOKEN})|"([^"\\]*)")=({_TOKEN})[ \t]*')
"""A pair of `Forwarded`, spelt backwards."""
_A_SITE = 64
"""Bits of an IPv6 address that are one customer's to give away (RFC 6177)."""


class Proxies:
    """The proxies whose word is taken for whom they pass on."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        """Take their addresses and networks; without any, the peer is always the client."""
        self._trusted = trusted

    def client(
        self, peer: str | None, forwarded: str | None, x_forwarded_for: str | None
    ) -> str | None:
        """The client's address. `peer` is the connection's other end, None where unknown.

        The others are header values, several lines of one joined with commas, None where absent.
        """
        if not self._trusted or peer is None:
            return peer
        known = parsed(peer)
        if known is None or not self._is_trusted(known):
            return peer
        found = set()
        if forwarded is not None:
            found.add(self._beyond(known, forwarded_nodes(forwarded)))
        if x_forwarded_for is not None:
            found.add(self._beyond(known, reversed(x_forwarded_for.rsplit(",", MOST_HOPS))))
        return str(found.pop() if len(found) == 1 else known)

    def _beyond(self, known: Address, nodes: Iterable[str | None]) -> Address:
        for node, _ in zip(nodes, range(MOST_HOPS), strict=False):
            address = node_address(node)
            if address is None:
                break
            known = address
            if not self._is_trusted(known):
                break
        return known

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def subject(address: str | None) -> str:
    """What limits count an address as: IPv6 by its /64, of which one client has all."""
    if address is None or ":" not in address:
        return address or ""
    found = parsed(address)
    if not isinstance(found, ipaddress.IPv6Address):
        return address if found is None else str(found)
    return f"{int(found) >> (found.max_prefixlen - _A_SITE):x}::/{_A_SITE}"


def parsed(text: str) -> Address | None:
    """An address, that of IPv4 where it is mapped into IPv6; None for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # Without the zone behind a %, which is not of the address and may be any text.
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


def node_address(node: str | None) -> Address | None:
    """The address in an entry of either header, without brackets and port; None without one."""
    found = _NODE.fullmatch(node.strip(" \t")) if node is not None else None
    return None if found is None else parsed(found["v6"] or found["v4"] or found["bare"])


def forwarded_nodes(header: str) -> Iterator[str | None]:
    """Each `for=` of a Forwarded header, from the right.

    None for an element without one, or with two, and for what is no element; behind that, none
    follow. From the right because the left is the client's: a quote that it leaves open there
    would swallow what proxies have added. A quote that a proxy has escaped is no pair either.
    """
    mirrored = header[::-1]
    position = 0
    nodes: list[str] = []
    while (pair := _RIAP.match(mirrored, position)) is not None:
        if pair[3][::-1].lower() == "for":
            nodes.append((pair[1] or pair[2])[::-1])
        separator = mirrored[pair.end() : pair.end() + 1]
        position = pair.end() + 1
        if separator == ";":
            continue
        if len(nodes) != 1 or separator not in ("", ","):
            break
        yield nodes.pop()
        if not separator:
            return
    yield None
