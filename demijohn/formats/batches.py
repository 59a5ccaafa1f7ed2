"""Batches of concatenated BSON documents, as the database sends them, cut between documents."""

from __future__ import annotations

from collections.abc import Iterator

from demijohn.formats.bson_values import FRAME, LENGTH, damaged

GROUP_BYTES = 256 * 1024
"""BSON that is decoded at one time, unless a single document is larger."""


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


def document_length(batch: memoryview, offset: int) -> int:
    """Bytes of the document that begins there. Raises InternalError where it does not fit."""
    if len(batch) - offset < FRAME:
        raise damaged()
    length: int = LENGTH.unpack_from(batch, offset)[0]
    if not FRAME <= length <= len(batch) - offset:
        raise damaged()
    return length
