"""What one worker's connections are held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from demijohn.front.heads import Headers
from demijohn.front.shedding import Shedding

BUSY, NOT_HTTP, LONG_HEAD = "too-many", "not-http", "head-too-large"
"""Why a connection is refused."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one worker. Times in seconds, sizes in bytes."""

    head_timeout: float
    stall_timeout: float
    max_age: float
    """Of a connection that goes on; 0 for any."""
    max_connections: int
    max_body: int
    management_port: int | None
    """Connections to it are bounded apart: a flood elsewhere must not hide the probes."""
    refuse: Callable[[str], bytes]
    """Notes that a connection is refused, for `BUSY`, `NOT_HTTP` or `LONG_HEAD`; what to say."""
    shedding: Shedding
    shed: Callable[[bytes, Headers], bytes]
    """Notes that a request of this method, with these headers, is shed; what to say."""
    unshed: frozenset[bytes]
    """The paths of requests that never are."""
