"""The listening sockets: opened once by the launcher, accepted from by every worker."""

from __future__ import annotations

import contextlib
import errno
import http.client
import ipaddress
import os
import socket

from demijohn.exits import Exit
from demijohn.launcher.failure import LaunchError
from demijohn.settings import BACKLOG, Settings

Address = tuple[socket.AddressFamily, tuple[str, int]]


def check_reach(settings: Settings) -> None:
    """Refuse to listen where others can connect while nothing says that they may.

    Raises LaunchError.
    """
    _, (host, _) = resolve(settings.host, settings.port, "DEMIJOHN_HOST")
    if settings.auth is None and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        raise LaunchError(
            Exit.USAGE,
            f"DEMIJOHN_HOST is {settings.host}, which other machines can reach, and DEMIJOHN_AUTH "
            "is not set. Set DEMIJOHN_AUTH=open to let everyone who can reach this address read, "
            "write and delete all documents, or listen on 127.0.0.1.",
        )


def listen(host: str, port: int, option: str) -> socket.socket:
    """A listening socket on `port` of `host`; 0 picks a free port.

    `option` is the one to suggest where the port is taken. Raises LaunchError.
    """
    family, address = resolve(host, port, "DEMIJOHN_HOST")
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                # "::" then takes IPv4 too, as people expect of "every address".
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise LaunchError(Exit.ADDRESS, _explain(error, host, port, option)) from None
    listener.setblocking(False)
    return listener


def resolve(host: str, port: int, setting: str) -> Address:
    """The address of `host`, IPv4 where it has both kinds. Raises LaunchError."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError):
        message = f"{setting}: {host} is no address of this machine."
        raise LaunchError(Exit.ADDRESS, message) from None
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def answers(listener: socket.socket, path: str) -> bool:
    """Whether a worker answers a GET of `path` with 200, on a socket that listens for HTTP."""
    host, port = listener.getsockname()[:2]
    # A socket that listens on every address is reached at the loopback one.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    connection = http.client.HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def url(host: str, listener: socket.socket) -> str:
    """Where the socket is to be reached, for people: a URL without a path."""
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _explain(error: OSError, host: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1  # noqa: PLR2004
        return (
            f"Port {port} of {host} is in use by another program. "
            f"Choose another with {option}, for example {option} {other} ({option} 0 finds one)."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"DEMIJOHN_HOST: {host} is no address of this machine."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} of {host} needs privileges that this process does not have."
    return f"Cannot listen on port {port} of {host}: {os.strerror(error.errno or 0)}."
