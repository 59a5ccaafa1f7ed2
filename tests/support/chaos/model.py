"""What each request does to a document, by the contract: one step of a model; pure.

The order that explains what clients were told is looked for by `tests.support.chaos.order`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.support.chaos.history import Attempt, Effect, Request, State

OK, CREATED, NO_CONTENT = 200, 201, 204
NOT_FOUND, CONFLICT, PRECONDITION_FAILED = 404, 409, 412


@dataclass(frozen=True, slots=True)
class Step:
    """What a request is answered at a state, and what the document is from then on."""

    status: int
    after: State | None

    def is_told_by(self, answer: Attempt) -> bool:
        """Whether the answer says this, the document in it, if there is one, included."""
        if answer.status != self.status:
            return False
        return answer.shown is None or answer.shown.state == self.after


def step(request: Request, before: State | None) -> Step:
    """What the contract makes of the request where the document is so; None is no document."""
    refusal = _refusal(request, before)
    if refusal is not None:
        return Step(refusal, before)
    if before is None:
        return Step(CREATED, State(log=(request.mark,)))
    if request.effect is Effect.DELETE:
        return Step(NO_CONTENT, None)
    return Step(OK, _changed(request, before))


def _refusal(request: Request, before: State | None) -> int | None:
    if request.effect is Effect.INSERT:
        return None if before is None else CONFLICT
    if request.effect is Effect.CREATE:
        return None if before is None else PRECONDITION_FAILED
    if before is None and request.effect is not Effect.PUT:
        return NOT_FOUND
    if request.match is not None and request.match.state != before:
        return PRECONDITION_FAILED
    return None


def _changed(request: Request, before: State) -> State:
    mark, effect = request.mark, request.effect
    if effect in (Effect.PUSH, Effect.APPEND):
        return replace(before, log=(*before.log, mark))
    if effect is Effect.MERGE:
        return replace(before, marks=before.marks | {mark})
    if effect is Effect.INCREMENT:
        return replace(before, n=before.n + 1)
    return before if effect is Effect.READ else State(log=(mark,))
