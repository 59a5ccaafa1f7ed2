"""MongoDB's wire protocol, as much as a proxy needs of it (manual, "MongoDB Wire Protocol")."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
MORE_TO_COME = 2
_HEADER = struct.Struct("<iiii")
_INT = struct.Struct("<i")
_LOOK = 64
"""Bytes of a message in which the name of its command lies."""
_MSG_BODY, _REPLY_BODY = 21, 36
"""Where the document of an OP_MSG begins (after header, flags and kind), and an OP_REPLY's."""
_RAW = CodecOptions(RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO)

Body = dict[str, Any]
Change = Callable[[bytes], bytes]
Write = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Message:
    """One command as a client sent it."""

    request_id: int
    opcode: int
    body: Body

    @property
    def command(self) -> str:
        """The name of the command: the first key."""
        return next(iter(self.body), "")


def parse(raw: bytes) -> Message:
    """Parse a whole OP_MSG or OP_QUERY. Raises ValueError for anything else."""
    _, request_id, _, opcode = _HEADER.unpack_from(raw)
    if opcode == OP_MSG:
        return Message(request_id, opcode, _document(raw, _MSG_BODY))
    if opcode == OP_QUERY:
        name_end = raw.index(b"\0", 20)
        return Message(request_id, opcode, _document(raw, name_end + 9))
    raise ValueError(f"opcode {opcode}")


def reply(to: Message, body: Body) -> bytes:
    """The answer to a message, in the form that goes with its own."""
    if to.opcode == OP_MSG:
        return _packed(OP_MSG, to.request_id, struct.pack("<iB", 0, 0) + bson.encode(body))
    head = struct.pack("<iqii", 0, 0, 0, 1)
    return _packed(OP_REPLY, to.request_id, head + bson.encode(body))


def request(request_id: int, body: Body) -> bytes:
    """A command to send."""
    payload = struct.pack("<iB", 0, 0) + bson.encode(body)
    return _HEADER.pack(16 + len(payload), request_id, 0, OP_MSG) + payload


def with_body(raw: bytes, change: Callable[[Body], Body]) -> bytes:
    """An OP_MSG or OP_REPLY with another document in place of its own; its header stays."""
    _, request_id, response_to, opcode = _HEADER.unpack_from(raw)
    payload = raw[16 : _start_of(raw)] + bson.encode(change(top_of(raw)))
    return _HEADER.pack(16 + len(payload), request_id, response_to, opcode) + payload


def top_of(raw: bytes) -> Body:
    """The document of an OP_MSG or OP_REPLY; what lies deeper in it stays as it is, in bytes."""
    start = _start_of(raw)
    length = int(_INT.unpack_from(raw, start)[0])
    return dict(RawBSONDocument(raw[start : start + length], _RAW))


def message_length(data: bytes) -> int | None:
    """The length of the message that begins here; None where too little of it is there."""
    return int(_INT.unpack_from(data)[0]) if len(data) >= _INT.size else None


def command_of(data: bytes) -> bytes:
    """The name of the command in the first bytes of a message; b"hello" for any OP_QUERY.

    Empty for what is no command.
    """
    opcode = _HEADER.unpack_from(data)[3]
    if opcode == OP_QUERY:  # drivers use it for nothing else any more
        return b"hello"
    if opcode != OP_MSG or data[20] != 0:
        return b""
    return data[26 : data.find(b"\0", 26)]


def request_id_of(data: bytes) -> int:
    """The number of a message."""
    return int(_HEADER.unpack_from(data)[1])


def response_to_of(data: bytes) -> int:
    """The number of the message that this one answers."""
    return int(_HEADER.unpack_from(data)[2])


def has_more_to_come(data: bytes) -> bool:
    """Whether the server will send another answer to the same question."""
    opcode, flags = _HEADER.unpack_from(data)[3], _INT.unpack_from(data, 16)[0]
    return opcode == OP_MSG and bool(flags & MORE_TO_COME)


class Relay:
    """Cuts a stream into messages and passes them on: most as they come, unparsed and unbuffered.

    `pick` sees the first bytes of each message, and answers with a function that makes the message
    to send instead of the whole one, or with None.
    """

    def __init__(self, pick: Callable[[bytes], Change | None], write: Write) -> None:
        """Take both; `write` sends."""
        self._pick = pick
        self._write = write
        self._held = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._left >= len(data):
            self._left -= len(data)
            self._write(data)
            return
        if self._left:
            self._write(data[: self._left])
            data = data[self._left :]
            self._left = 0
        data = self._held + data
        while data:
            rest = self._next(data)
            if rest is None:
                break
            data = rest
        self._held = data

    def _next(self, data: bytes) -> bytes | None:
        """Pass on the message that begins here; what follows, or None to wait for more of it."""
        length = message_length(data)
        if length is None or len(data) < min(length, _LOOK):
            return None
        if length < _HEADER.size + _INT.size:
            raise ValueError(f"a message of {length} bytes")
        change = self._pick(data)
        if change is None:
            self._write(data[:length])
            self._left = max(0, length - len(data))
        elif len(data) < length:
            return None
        else:
            self._write(change(data[:length]))
        return data[length:]


def _packed(opcode: int, response_to: int, payload: bytes) -> bytes:
    return _HEADER.pack(16 + len(payload), 0, response_to, opcode) + payload


def _start_of(raw: bytes) -> int:
    return _MSG_BODY if _HEADER.unpack_from(raw)[3] == OP_MSG else _REPLY_BODY


def _document(raw: bytes, start: int) -> Body:
    length = int(_INT.unpack_from(raw, start)[0])
    return bson.decode(raw[start : start + length])
