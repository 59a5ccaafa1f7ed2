"""What a change of a document is answered with, and an answer as a response."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from flask import Response

from demijohn.documents.change import Changed, Outcome
from demijohn.documents.idempotency import Keyed
from demijohn.documents.ids import id_of
from demijohn.documents.records import Headers, Key, Told
from demijohn.documents.room import Room
from demijohn.documents.versions import digest, tag
from demijohn.edge.reply import Reply, problem_reply
from demijohn.errors import Problem
from demijohn.formats.ids import to_segment
from demijohn.web.negotiation import Asked
from demijohn.web.problems import to_response
from demijohn.web.services import Services, current_context

OK, CREATED, NO_CONTENT, NOT_MODIFIED = 200, 201, 204, 304
VARY = ("Vary", "Accept")
PRIVATE = ("Cache-Control", "private, no-cache")
"""A copy may be kept by the client alone, who asks each time whether it is good."""
NO_STORE = ("Cache-Control", "no-store")
Outcome_contra = TypeVar("Outcome_contra", contravariant=True)
_OF_THE_BODY = ("Content-Type", "Preference-Applied")


class Tells(Protocol[Outcome_contra]):
    """Tells what has come of a request."""

    def tell(self, outcome: Outcome_contra, /) -> Told:
        """Its answer."""
        ...


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells what has become of a document, as the request wants to be told."""

    collection: str
    asked: Asked
    room: Room

    def tell(self, changed: Changed) -> Told:
        """201 for one that was created, 200 for one that was changed, 204 for one that is gone."""
        document = changed.after
        if document is None:
            return Told(NO_CONTENT, (), b"")
        status, headers = OK, self._headers(digest(document))
        if changed.before is None:
            status, headers = CREATED, (*headers, ("Location", locate(self.collection, document)))
        if self.asked.preference == "minimal":
            return minimal(Told(status, headers, None))
        return Told(
            status,
            (*headers, *self._applied(), _content_type(self.asked)),
            self._render(document),
        )

    def read(self, document: bytes) -> Told:
        """The document, or 304 where the client has it. Raises PreconditionFailed."""
        version = digest(document)
        headers = self._headers(version)
        if self.asked.condition.is_fresh(version, self.asked.spelling):
            return Told(NOT_MODIFIED, headers, b"")
        body = self._render(document)
        return Told(OK, (*headers, _content_type(self.asked)), body)

    def _render(self, document: bytes) -> bytes:
        with self.room.holding(document):
            return self.asked.spelling.render(document)

    def _headers(self, version: str) -> Headers:
        return (("ETag", tag(version, self.asked.spelling)), VARY, PRIVATE)

    def _applied(self) -> Headers:
        if self.asked.preference is None:
            return ()
        return (("Preference-Applied", f"return={self.asked.preference}"),)


def chosen(media_type: str) -> Headers:
    """The headers of documents whose spelling the caller's `Accept` has chosen."""
    return (("Content-Type", media_type), VARY, PRIVATE)


def locate(collection: str, document: bytes) -> str:
    """The address of exactly this document."""
    return f"/v1/collections/{collection}/documents/{to_segment(id_of(document))}"


def minimal(answer: Told) -> Told:
    """The same answer without a representation."""
    headers = tuple(each for each in answer.headers if each[0] not in _OF_THE_BODY)
    status = NO_CONTENT if answer.status == OK else answer.status
    applied = ("Preference-Applied", "return=minimal")
    return replace(answer, status=status, headers=(*headers, applied), body=b"")


def keyed(services: Services, key: Key | None, teller: Tells[Outcome]) -> Keyed[Outcome] | None:
    """A request with a key, and how its outcome is told; None without a key."""
    return None if key is None else Keyed(key, teller.tell, _refuse, services.clock)


def respond(services: Services, answer: Told) -> Response:
    """An answer in Flask's terms."""
    if answer.body is None:
        # It was too large to be kept beside its key.
        answer = minimal(answer)
    replayed: Headers = ()
    if answer.replayed:
        services.metrics.replays.inc()
        replayed = (("Idempotency-Replayed", "true"),)
    body = answer.body or b""
    return to_response(Reply(answer.status, (*answer.headers, *replayed), body, answer.problem))


def _refuse(problem: Problem) -> Told:
    reply = problem_reply(problem, current_context())
    return Told(reply.status, reply.headers, reply.body, reply.problem)


def _content_type(asked: Asked) -> tuple[str, str]:
    return ("Content-Type", asked.spelling.media_type)
