"""Batches of concatenated BSON documents, as the database sends them, cut between documents.

What is made of them goes out in chunks. What is decoded is worth ten times its bytes in Python's
objects, so little is decoded at one time; a chunk costs a hop between threads and a write, so
it is made of more than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from demijohn.formats.bson_values import FRAME, LENGTH, damaged

GROUP_BYTES = 32 * 1024
"""BSON that is decoded at one time, unless a single document is larger."""
CHUNK_BYTES = 64 * 1024
"""Text that makes a chunk full; the last piece of it may pass that."""


def groups(batch: memoryview) -> Iterator[memoryview]:
    """Pieces of about `GROUP_BYTES`, of whole documents. Raises InternalError."""
    start = end = 0
    while end < len(batch):
        end += document_length(batch, end)
        if end - start >= GROUP_BYTES or end == len(batch):
            yield batch[start:end]
            start = end


def split(batch: memoryview) -> Iterator[bytes]:
    """The documents one by one. Raises InternalError."""
    start = 0
    while start < len(batch):
        end = start + document_length(batch, start)
        yield bytes(batch[start:end])
        start = end


def chunks(pieces: Iterable[bytes], separator: bytes = b"") -> Iterator[bytes]:
    """The pieces joined, as many as fill a chunk at a time; the last one may have fewer."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield separator.join(held)
            held, size = [], 0
    if held:
        yield separator.join(held)


def count(batch: memoryview) -> int:
    """How many documents there are. Raises InternalError."""
    number = at = 0
    while at < len(batch):
        at += document_length(batch, at)
        number += 1
    return number


def document_length(batch: memoryview, offset: int) -> int:
    """Bytes of the document that begins there. Raises InternalError where it does not fit."""
    if len(batch) - offset < FRAME:
        raise damaged()
    length: int = LENGTH.unpack_from(batch, offset)[0]
    if not FRAME <= length <= len(batch) - offset:
        raise damaged()
    return length
