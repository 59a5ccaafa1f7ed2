"""gzip (RFC 1952), recognised by its first bytes, of one member or of several."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

MAGIC = b"\x1f\x8b"
LARGEST_PIECE = 256 * 1024
"""Bytes that come out at one time, however well they were packed."""
_GZIP = 16 + zlib.MAX_WBITS


class Damaged(Exception):
    """What began as gzip does not go on or end as it; the text is why, for people."""


def unzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, or, where they begin as gzip does, what is packed in them.

    Raises Damaged.
    """
    begun = b""
    for chunk in chunks:
        begun += chunk
        if len(begun) >= len(MAGIC):
            break
    if begun.startswith(MAGIC):
        yield from _members(begun, chunks)
    else:
        yield begun
        yield from chunks


def _members(data: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpack = zlib.decompressobj(_GZIP)
    try:
        while True:
            piece = unpack.decompress(data, LARGEST_PIECE)
            yield piece
            data = unpack.unconsumed_tail
            if unpack.eof:
                # Another member may follow, or zeros that fill a block.
                data = (unpack.unused_data or next(chunks, b"")).lstrip(b"\0")
                if not data:
                    return
                unpack = zlib.decompressobj(_GZIP)
            elif not data and not piece:
                data = next(chunks, b"")
                if not data:
                    raise Damaged("the gzip is cut")
    except zlib.error as error:
        raise Damaged(f"the gzip is damaged ({error})") from error


def zipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, packed; the end that makes it whole comes only if they come to theirs."""
    pack = zlib.compressobj(wbits=_GZIP)
    for chunk in chunks:
        yield pack.compress(chunk)
    yield pack.flush()
