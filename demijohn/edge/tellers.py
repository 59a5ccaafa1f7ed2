"""What the outcome of a request about one document is told as, whichever path it came by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from demijohn.documents.change import Changed
from demijohn.documents.ids import id_of
from demijohn.documents.records import Headers, Told
from demijohn.documents.room import Room
from demijohn.documents.versions import Condition, digest, tag
from demijohn.edge.context import Context
from demijohn.edge.reply import problem_reply
from demijohn.errors import Problem
from demijohn.formats import media_types
from demijohn.formats.ids import to_segment
from demijohn.formats.spelling import Spelling

OK, CREATED, NO_CONTENT, NOT_MODIFIED = 200, 201, 204, 304
VARY = ("Vary", "Accept")
PRIVATE = ("Cache-Control", "private, no-cache")
"""A copy may be kept by the client alone, who asks each time whether it is good."""
NO_STORE = ("Cache-Control", "no-store")
Outcome_contra = TypeVar("Outcome_contra", contravariant=True)
_OF_THE_BODY = ("Content-Type", "Preference-Applied")
DATA = "data"
"""The guide's collection."""
INSERTED = b'{"status":"Data inserted"}\n'


@dataclass(frozen=True, slots=True)
class Asked:
    """How a request wants to be answered, and under which conditions it is to be carried out."""

    spelling: Spelling
    condition: Condition
    preference: str | None = None
    """`minimal` or `representation`, where the client has said one of them (RFC 7240, 4.2)."""


PLAINLY = Asked(Spelling.PLAIN, Condition())
"""Of a request that has no wishes."""


class Tells(Protocol[Outcome_contra]):
    """Tells what has come of a request."""

    def tell(self, outcome: Outcome_contra, /) -> Told:
        """Its answer."""
        ...


class Teller(NamedTuple):
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


class GuideTeller(Teller):
    """Tells the guide's words, and where the document is."""

    def tell(self, changed: Changed) -> Told:
        """201 and the guide's bytes."""
        assert changed.after is not None
        headers = (
            ("Location", locate(DATA, changed.after)),
            ("Content-Type", media_types.PLAIN),
        )
        return Told(CREATED, headers, INSERTED)


def refusal(problem: Problem, context: Context) -> Told:
    """What a request is told that a problem speaks against."""
    reply = problem_reply(problem, context)
    return Told(reply.status, reply.headers, reply.body, reply.problem)


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
    return answer._replace(status=status, headers=(*headers, applied), body=b"")


def _content_type(asked: Asked) -> tuple[str, str]:
    return ("Content-Type", asked.spelling.media_type)
