"""The guard of a service that nobody has configured: it answers its own machine, nobody else.

The peer's address alone would not do. With DNS rebinding a page on the web gives its own host
name the address 127.0.0.1; the visitor's browser then sends the page's requests here, from this
machine, and lets the page read the answers. Such a request still carries the page's name in
`Host`, so `Host` must be one of this machine's. A reverse proxy on this machine makes every
caller's peer a loopback address; it names the caller in `X-Forwarded-For` or `Forwarded`
(RFC 7239), so those must name this machine as well.

(A page that asks for `localhost` openly, without rebinding, is held off by the browser: a
request with a JSON body needs a preflight, and answers here carry no CORS headers.)
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from demijohn.errors import Forbidden

_LOCAL_PEERS = frozenset(("127.0.0.1", "::1"))
_LOCAL_HOSTS = frozenset(("localhost", "127.0.0.1", "[::1]"))
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]*)?")
_ADDRESS = re.compile(r"\[(?P<v6>[^\[\]]+)\](?::[0-9]+)?|(?P<v4>[0-9.]+):[0-9]+|(?P<bare>[^\[\]]+)")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the "token" of RFC 9110
_PAIR = re.compile(rf'[ \t]*({_TOKEN})=(?:({_TOKEN})|"([^"\\]*)")[ \t]*')


def check_local(
    peer: str | None, host: str | None, forwarded: str | None, x_forwarded_for: str | None
) -> None:
    """Pass a request from this machine to this machine; raise Forbidden for any other.

    `peer` is the address of the connection's other end, the rest are header values (several
    lines of one header joined with commas), None where absent. What can't be parsed is refused,
    and so are an unknown peer and a missing `Host`.
    """
    if peer not in _LOCAL_PEERS and not _is_loopback(peer or ""):
        raise _refusal("this request comes from elsewhere")
    if host is None or not _is_local_host(host):
        raise _refusal("this request's Host header names another")
    if x_forwarded_for is not None:
        _check_all(x_forwarded_for.split(","))
    if forwarded is not None:
        _check_all(_forwarded_addresses(forwarded))


def _refusal(reason: str) -> Forbidden:
    return Forbidden(
        f"Without DEMIJOHN_AUTH the service answers only its own machine, and {reason}. "
        "DEMIJOHN_AUTH=open opens it to everyone who can reach it."
    )


def _is_local_host(host: str) -> bool:
    if host in _LOCAL_HOSTS:
        return True
    found = _HOST.fullmatch(host)
    return found is not None and found[1].lower() in _LOCAL_HOSTS


def _check_all(addresses: Iterator[str | None] | list[str]) -> None:
    for address in addresses:
        found = _ADDRESS.fullmatch(address.strip(" \t")) if address is not None else None
        if found is None or not _is_loopback(found["v6"] or found["v4"] or found["bare"]):
            raise _refusal("a proxy passed this request on from elsewhere")


def _is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _forwarded_addresses(header: str) -> Iterator[str | None]:
    """Each `for=` of a Forwarded header; None for an element without, and for what is no pair."""
    position = 0
    named = False
    while True:
        pair = _PAIR.match(header, position)
        if pair is None:
            yield None
            return
        if pair[1].lower() == "for":
            named = True
            yield pair[2] or pair[3]
        position = pair.end() + 1
        separator = header[pair.end() : position]
        if separator != ";":
            if not named or separator not in ("", ","):
                yield None
            named = False
        if not separator:
            return
