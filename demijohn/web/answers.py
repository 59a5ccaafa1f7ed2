"""An answer as a response, and a request with a key."""

from __future__ import annotations

from flask import Response

from demijohn.documents.change import Outcome
from demijohn.documents.idempotency import Keyed
from demijohn.documents.records import Key, Told
from demijohn.edge.idempotency import as_told
from demijohn.edge.reply import Reply
from demijohn.edge.tellers import Tells, refusal
from demijohn.errors import Problem
from demijohn.web.problems import to_response
from demijohn.web.services import Services, current_context


def keyed(services: Services, key: Key | None, teller: Tells[Outcome]) -> Keyed[Outcome] | None:
    """A request with a key, and how its outcome is told; None without a key."""
    return None if key is None else Keyed(key, teller.tell, _refuse, services.clock)


def respond(services: Services, answer: Told) -> Response:
    """An answer in Flask's terms."""
    if answer.replayed:
        services.metrics.replays.inc()
    told = as_told(answer)
    return to_response(Reply(told.status, told.headers, told.body or b"", told.problem))


def _refuse(problem: Problem) -> Told:
    return refusal(problem, current_context())
