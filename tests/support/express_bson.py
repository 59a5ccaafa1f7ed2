"""Documents as other clients may store them: every type of BSON, and sizes at bounds."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import bson
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from demijohn.front.plain import LARGEST

_DEEP: list[Any] = []
for _ in range(90):
    _DEEP = [_DEEP]
_VALUES: list[object] = [
    *(None, True, False, 0, -1, 2**31 - 1, Int64(1), Int64(2**53), Int64(2**53 + 1), -(2**63)),
    *(0.0, -0.0, 1.5, 1e300, 5e-324, float("nan"), float("inf"), float("-inf")),
    *("", "é😀\u2028", "\0", '"\\', {}, [], {"a": {"b": []}}, {"a.b": 1, "$c": 2, "": 3}, _DEEP),
    *(Decimal128("1.10"), Decimal128("NaN"), Decimal128("-Infinity"), Decimal128("1E+6144")),
    *(Binary(b""), Binary(b"\xff\0", 128), Binary(b"x" * 16, 4), Binary(b"x" * 3, 3)),
    *(datetime(2026, 11, 26, 3, 4, 5, 678000, UTC), DatetimeMS(0), DatetimeMS(-1)),
    *(Regex("a/b", "imx"), Code("f()"), Code("f()", {"a": 1}), Timestamp(1, 2)),
    *(MinKey(), MaxKey(), ObjectId("64b7f0a1c2d3e4f5a6b7c8d0"), DBRef("things", 1, "other", a=1)),
]
# The database of the tests keeps no date past the year 9999 and no text that is no UTF-8.
_ODD_NAN = b"\x01v\0" + struct.pack("<q", 0x7FF8000000000001)


def _padded(size: int) -> bytes:
    """The bytes of a document's members, so that it is of this size with its `_id`."""
    text = b"x" * (size - 4 - 17 - 7 - 1 - 1)
    return b"\x02v\0" + struct.pack("<i", len(text) + 1) + text + b"\0"


def _members(value: object) -> bytes:
    return bson.encode({"v": value})[4:-1]


_ALL = [
    *map(_members, _VALUES),
    _ODD_NAN,
    *map(_padded, (LARGEST - 1, LARGEST, LARGEST + 1, 300_000)),
]
IDS = [ObjectId(f"{number:024x}") for number in range(1, len(_ALL) + 1)]
"""Of these documents, one by one."""
DOCUMENTS = [
    struct.pack("<i", len(members) + 22) + b"\x07_id\0" + identity.binary + members + b"\0"
    for identity, members in zip(IDS, _ALL, strict=True)
]
"""What is stored under them."""
