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

import re
from collections.abc import Iterable

from demijohn.auth.address import forwarded_nodes, node_address, parsed
from demijohn.errors import Forbidden

_LOCAL_PEERS = frozenset(("127.0.0.1", "::1"))
_LOCAL_HOSTS = frozenset(("localhost", "127.0.0.1", "[::1]"))
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]*)?")


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
        _check_all(forwarded_nodes(forwarded))


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


def _check_all(nodes: Iterable[str | None]) -> None:
    for node in nodes:
        address = node_address(node)
        if address is None or not address.is_loopback:
            raise _refusal("a proxy passed this request on from elsewhere")


def _is_loopback(text: str) -> bool:
    address = parsed(text)
    return address is not None and address.is_loopback
