"""Many documents in one `POST …/documents`: an array, or NDJSON of any length."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from flask import Response, request

from demijohn.documents.bulk import Batch, Read, Tried, failure_in, insert_all
from demijohn.documents.bulk_once import MOST_ONCE, draft_all, insert_all_once
from demijohn.documents.records import LARGEST_BODY, Told
from demijohn.documents.room import Room
from demijohn.edge.handover import UPLOAD, Slot, Upload
from demijohn.edge.reply import dump
from demijohn.edge.tellers import CREATED, NO_STORE, PRIVATE, VARY, Asked, minimal
from demijohn.errors import (
    DuplicateKey,
    IncompleteBody,
    UnsupportedMediaType,
)
from demijohn.formats import media_types
from demijohn.formats.bson_values import NULL, Value, encode
from demijohn.formats.json_array import array_texts
from demijohn.formats.spelling import Draft
from demijohn.web.answers import keyed, respond
from demijohn.web.intake import Intake, told
from demijohn.web.negotiation import read_asked, read_key, refuse_key
from demijohn.web.requests import require_acceptable, require_media
from demijohn.web.services import Services, current_context

POSTED = (*media_types.DOCUMENTS, media_types.NDJSON)
"""What `POST …/documents` reads."""
MOST_AT_ONCE = 100_000
"""Documents in one array. NDJSON has no bound."""
MOST_TOLD = 100
"""Refused documents that are told one by one; all are counted."""
LARGEST_TELLING = 32 * 1024
"""Bytes of JSON after which no further one is told."""
SOME, ALL_THERE, NONE = 207, 409, 422
"""Statuses of an array of which not all was inserted."""
CHUNK = 64 * 1024
_MODES = (None, "relaxed", "canonical")
_ABSENT = Value(NULL, b"")


@dataclass(frozen=True, slots=True)
class ArrayTeller:
    """Tells what has become of an array's documents."""

    asked: Asked
    room: Room
    most: int | None = None
    """Bytes of the answer beyond which the ids are left out, if there is such a bound."""

    def tell(self, tried: Tried) -> Told:
        """201 where all were inserted, 207 for some, 409 or 422 for none."""
        status = _status(tried)
        is_minimal = self.asked.preference == "minimal"
        headers = (VARY, PRIVATE if status == CREATED else NO_STORE)
        if status == CREATED and is_minimal:
            return minimal(Told(status, headers, None))
        body = dump(_counted(tried))
        if not is_minimal:
            with_ids = body.rstrip()[:-1] + b"," + self._ids(tried)[1:]
            if self.most is None or len(with_ids) <= self.most:
                body = with_ids
        return Told(status, (*headers, ("Content-Type", self.asked.spelling.media_type)), body)

    def _ids(self, tried: Tried) -> bytes:
        count = len(tried.ids) + len(tried.problems)
        ids = encode({"ids": [tried.ids.get(number, _ABSENT) for number in range(count)]})
        with self.room.holding(ids):
            return self.asked.spelling.render(ids)


def create_many(services: Services, collection: str, body: bytes) -> Response:
    """Keep each object of an array that can be kept, once where the request has a key."""
    key = read_key(body)
    is_extended = request.mimetype in media_types.READ_AS_EXTENDED
    read = _reader(services, collection, is_extended=is_extended)
    asked = read_asked()
    if key is None:
        texts = array_texts(body, MOST_AT_ONCE)
        tried = insert_all(services.store, collection, texts, read, services.new_id)
        failure = failure_in(tried.problems)
        if failure is not None and not tried.ids:
            raise failure
        return respond(services, ArrayTeller(asked, services.room).tell(tried))
    drafted = draft_all(collection, array_texts(body, MOST_ONCE), read, services.new_id)
    request_ = keyed(services, key, ArrayTeller(asked, services.room, LARGEST_BODY))
    assert request_ is not None
    return respond(services, insert_all_once(services.store, request_, collection, drafted))


def upload(services: Services, collection: str) -> Response:
    """Keep each line's document as it comes, and say which were refused."""
    require_media(*POSTED)
    require_acceptable(media_types.NDJSON)
    refuse_key("An upload is not one write. With ids of the client's own it is safe to send again.")
    mode = request.mimetype_params.get("mode")
    if mode not in _MODES:
        raise UnsupportedMediaType("The mode of NDJSON is relaxed or canonical, or there is none.")
    intake = Intake(
        services.store,
        Batch(collection, services.new_id),
        _reader(services, collection, is_extended=mode is not None),
        int(services.settings.max_body),
        is_extended=mode is not None,
    )
    slot: Slot[Upload] | None = request.environ.get(UPLOAD)
    if slot is None:
        request.max_content_length = sys.maxsize  # None would mean the application's own bound
        chunks = _drive(intake, request.stream, request.content_length)
        return Response(chunks, content_type=media_types.NDJSON)
    slot.taken = intake
    return Response(content_type=media_types.NDJSON)


def _reader(services: Services, collection: str, *, is_extended: bool) -> Read:
    """What reads each document, and finds whatever speaks against it.

    An upload may take hours; a schema may change meanwhile, and a key be revoked.
    """
    caller = current_context().caller

    def read(text: bytes) -> Draft:
        refused = services.entrance.refusal(caller)
        if refused is not None:
            raise refused
        return services.configurations.of(collection).read(text, extended=is_extended)

    return read


def _drive(intake: Intake, stream: IO[bytes], length: int | None) -> Iterator[bytes]:
    """An upload's answer where there is no shell: this thread waits for the client."""
    received = 0
    while chunk := stream.read(CHUNK):
        received += len(chunk)
        intake.feed(chunk)
        yield from _steps(intake)
    if length not in (None, received):
        # Some servers say nothing of a client that has left in the middle of its body.
        raise IncompleteBody("The upload is shorter than its Content-Length.")
    intake.end()
    yield from _steps(intake)


def _steps(intake: Intake) -> Iterator[bytes]:
    is_last = False
    while not is_last:
        step = intake.step(intake.longest)
        yield step.answer
        if step.failure is not None:
            raise step.failure
        is_last = step.is_last


def _status(tried: Tried) -> int:
    if not tried.problems:
        return CREATED
    if tried.ids:
        return SOME
    are_there = all(isinstance(each, DuplicateKey) for each in tried.problems.values())
    return ALL_THERE if are_there else NONE


def _counted(tried: Tried) -> dict[str, object]:
    errors: list[dict[str, object]] = []
    size = 0
    for number in sorted(tried.problems)[:MOST_TOLD]:
        said = {"index": number, **told(tried.problems[number], f"/{number}")}
        size += len(dump(said))
        if size > LARGEST_TELLING:
            break
        errors.append(said)
    return {"inserted": len(tried.ids), "failed": len(tried.problems), "errors": errors}
