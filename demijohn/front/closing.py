"""Answers to HTTP/1.0: one whose length is not told beforehand ends with its connection.

Such a client does not know chunked coding, and must not be sent it (RFC 9112, section 6.1); uvicorn
would. As the end of the connection is then the end of the answer (section 8), one that breaks
off has to end with an error of the connection, a reset, or it would pass for whole.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from types import MethodType
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

OLD = "1.0"
"""The version in an ASGI scope; RFC 9112 says of 0.9 nothing but that it is gone."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER, socket(7): on, for no time at all."""


def end_by_closing(cycle: RequestResponseCycle) -> None:
    """Have the answer go out as it comes; its end closes the connection, as with any of 1.0."""
    cycle.send = MethodType(_send, cycle)  # type: ignore[method-assign]


def reset_at_close(transport: asyncio.Transport) -> None:
    """Have the connection, which is open, end with a reset when it is closed."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)


async def _send(cycle: RequestResponseCycle, message: Any) -> None:  # noqa: ANN401 - ASGI's
    if message["type"] == "http.response.start":
        cycle.chunked_encoding = False
    else:
        # Of each part as much is expected as there is: the shell has seen to the whole.
        cycle.expected_content_length = len(message["body"])
    await RequestResponseCycle.send(cycle, message)
