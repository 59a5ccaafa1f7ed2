"""Which records are in the collection, though an attempt to insert them was refused.

Where the answer to one attempt was lost and the next one says "duplicate", either the first one
succeeded or something else was in the way. What is stored under the record's `_id` tells: the same
document, byte for byte as BSON, or another one, or none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from demijohn.cli.client import Service
from demijohn.errors import Problem
from demijohn.formats.bson_values import Value
from demijohn.formats.extended_out import render_value
from demijohn.formats.spelling import read_draft

MOST_ASKED = 100
"""Ids in one search."""
Sent = tuple[int, Value, bytes]
"""The number of a record, its `_id`, and the document that it is in BSON."""


def arrived(service: Service, lines: Mapping[int, bytes], *, extended: bool) -> set[int]:
    """Those of these lines, as they were sent, whose document is stored, by their numbers.

    Of lines that are the same document only the first is. Raises client.ClientError.
    """
    found: set[int] = set()
    sent = _read(lines, extended=extended)
    while some := list(islice(sent, MOST_ASKED)):
        ours = {document for _, _, document in some}
        found_there = _stored(service, (each for _, each, _ in some))
        stored = Counter(each for each in found_there if each in ours)
        for number, _, document in some:
            if stored[document]:
                stored[document] -= 1
                found.add(number)
    return found


def _read(lines: Mapping[int, bytes], *, extended: bool) -> Iterator[Sent]:
    for number, line in lines.items():
        try:
            draft = read_draft(line, extended=extended)
            if draft.id is not None:
                yield number, draft.id, draft.under(draft.id)
        except Problem:
            continue  # It would not have been a duplicate.


def _stored(service: Service, ids: Iterable[Value]) -> Iterator[bytes]:
    """The documents that have these ids."""
    asked = b",".join(render_value(each, canonical=True) for each in ids)
    for line in service.search(b'{"filter":{"_id":{"$in":[' + asked + b"]}}}"):
        draft = read_draft(line, extended=True)
        if draft.id is not None:
            yield draft.under(draft.id)
