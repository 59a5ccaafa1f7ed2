"""HTTP by hand, for what no client library would send."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came: ``whole`` is false where the connection ended inside it."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


def connect(port: int, seconds: float = 30) -> socket.socket:
    """A connection to this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=seconds)


def head(method: str, path: str, *headers: str, host: str = "localhost") -> bytes:
    """A request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


def read_answer(connection: socket.socket) -> RawAnswer:
    """Read one answer; raises EOFError where the connection ends before a whole head."""
    with connection.makefile("rb") as stream:
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(line)
        headers = _read_headers(stream)
        if headers.get("transfer-encoding") == "chunked":
            body, whole = _read_chunks(stream)
        else:
            length = int(headers.get("content-length", 0))
            body = stream.read(length)
            whole = len(body) == length
    return RawAnswer(int(line.split()[1]), headers, body, whole)


def _read_headers(stream: BinaryIO) -> dict[str, str]:
    headers = {}
    while (each := stream.readline()) not in (b"\r\n", b""):
        name, _, value = each.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _read_chunks(stream: BinaryIO) -> tuple[bytes, bool]:
    """The body of a chunked answer, and whether its last chunk came."""
    body = b""
    try:
        while (size := stream.readline()).endswith(b"\r\n"):
            length = int(size, 16)
            chunk = stream.read(length + 2)
            body += chunk[:length]
            if len(chunk) < length + 2 or length == 0:
                return body, len(chunk) == length + 2
    except ConnectionError:
        return body, False
    return body, False


def ask(port: int, request: bytes) -> RawAnswer:
    """Send one request on a connection of its own and read the answer."""
    with connect(port) as connection:
        connection.sendall(request)
        return read_answer(connection)


def series(port: int, name: str, *labels: str) -> list[tuple[str, float]]:
    """The time series of a service's metric that have these labels, each with its value."""
    lines = ask(port, head("GET", "/metrics")).body.decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if line.startswith(f"demijohn_{name}")]
    return [
        (of, float(value))
        for of, _, value in pairs
        if of.partition("{")[0] == f"demijohn_{name}" and all(each in of for each in labels)
    ]


def gauge(port: int, name: str) -> float:
    """The value of a service's metric that has one time series."""
    ((_, value),) = series(port, name)
    return value
