"""An answer as a response, and a request with a key."""

from __future__ import annotations

from flask import Response

from demijohn.documents.change import Outcome
from demijohn.documents.idempotency import Keyed
from demijohn.documents.records import Headers, Key, Told
from demijohn.edge.reply import Reply, problem_reply
from demijohn.edge.tellers import Tells, minimal
from demijohn.errors import Problem
from demijohn.web.problems import to_response
from demijohn.web.services import Services, current_context


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
