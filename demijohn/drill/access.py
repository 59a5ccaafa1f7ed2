"""The key of a drill: whether the service takes it before there is any load, and until when.

A service that turns a drill's requests away has lost none of them. So a drill asks beforehand, and
one whose key is revoked meanwhile is no verdict on the service. A service that takes a good key at
one time and not at another has no such excuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from math import inf

import orjson

from demijohn.drill.errors import DrillError
from demijohn.drill.http import Answer, Connection, Target
from demijohn.drill.outcomes import MARKER, TURNED_AWAY, Failure

SCOPE = "data:write"
"""All that a drill's requests need: `POST /data`, `GET /data` and `GET /`."""
SETTLED = 5.0
"""Seconds after which a revoked key is of no use in any process (docs/reference/keys.md)."""
CERTAIN = 3.0
"""Seconds on top without a request that was let in: then the key itself is to blame."""
SPREAD = 120.0
"""Seconds that may lie between two pods hearing of a key that is revoked in a mounted Secret."""
_LARGEST = 64 * 1024


async def resolved(url: str, key: str | None) -> Target:
    """The service at `url`. Raises DrillError where its name has no address."""
    try:
        return await Target.resolve(url, key)
    except OSError as error:
        raise DrillError(f"{url}: {error.strerror or error}.") from None


async def check(target: Target, url: str, run: str) -> None:
    """Insert one document of the run. Raises DrillError, with what helps, where it isn't taken."""
    answer = await post(target, url, orjson.dumps({MARKER: run, "first": True}))
    if failure := answer.expecting(HTTPStatus.CREATED):
        seen = f"status {answer.status}" if answer.status else failure
        raise DrillError(f"{url}/data takes no documents: {seen}.")


async def post(target: Target, url: str, document: bytes) -> Answer:
    """Insert a document over a connection of its own.

    Raises DrillError where it is turned away, and where there is nobody to take it.
    """
    body = bytearray()

    def sink(part: bytes) -> None:
        body.extend(part[: _LARGEST - len(body)])

    connection = Connection(sink)
    if (without := await connection.open(target)) is not None:
        raise DrillError(f"{url}/data takes no documents: {without.how}.")
    answer = await connection.exchange(target.request("POST", "/data", document, close=True))
    connection.close()
    check_answer(target, url, answer, bytes(body))
    return answer


def check_answer(target: Target, url: str, answer: Answer, body: bytes = b"") -> None:
    """Raise DrillError, with what helps, for an answer that turns the request away."""
    failure = answer.expecting(HTTPStatus.OK)
    if failure in TURNED_AWAY:
        said = () if answer.status == HTTPStatus.UNAUTHORIZED else _detail(body)
        raise DrillError(" ".join((f"{url}/data {_refusal(answer.status, target.key)}", *said)))


def _refusal(status: int, key: str | None) -> str:
    """What the service does in place of what it was asked for, and what helps."""
    match status, key is not None:
        case HTTPStatus.UNAUTHORIZED, False:
            return f"asks for a key: set DEMIJOHN_KEY to one with the scope {SCOPE}."
        case HTTPStatus.UNAUTHORIZED, True:
            return (
                "does not take the key in DEMIJOHN_KEY: it is unknown, revoked or expired, "
                "or so new that the service has yet to hear of it."
            )
        case HTTPStatus.FORBIDDEN, True:
            return f"asks for more than DEMIJOHN_KEY has: the scope {SCOPE}, and no row filter."
        case HTTPStatus.FORBIDDEN, False:
            return "does not let this machine in."
    return "is asked too often, by its own limits."


def _detail(body: bytes) -> tuple[str, ...]:
    """The service's own words (RFC 9457), where it has any."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ()
    detail = members.get("detail") if isinstance(members, dict) else None
    return (detail,) if isinstance(detail, str) else ()


@dataclass(slots=True)
class Admission:
    """Tells a key that is taken no more from a service that turns a good key away.

    For SETTLED seconds after the first refusal some processes may not have heard of a revocation,
    and what they let in says nothing. What is let in later shows that the key is a good one, or one
    of which not every pod has heard: which of these it was is told by how it ends.
    """

    _since: float | None = None
    """When it was first refused after it was last known to be let in; None while it is."""
    _first: float = 0.0
    """When it was first refused with no more than SPREAD between two refusals."""
    _denied: float = -inf
    _last: float = 0.0

    def note(self, now: float, failure: Failure | None) -> None:
        """A request with the key ended at this second of the run."""
        if failure is None:
            if self._since is not None and now - self._since > SETTLED:
                self._since = None
        elif failure is Failure.DENIED:
            self._first = now if now - self._denied > SPREAD else self._first
            self._since = now if self._since is None else self._since
            self._denied = self._last = now
        elif failure is Failure.LIMITED:
            self._last = now  # too many refusals of a key are answered so

    @property
    def is_over(self) -> bool:
        """Whether it is certain that the key is taken no more."""
        return self._since is not None and self._last - self._since > SETTLED + CERTAIN

    @property
    def ended(self) -> float | None:
        """When the key was first refused, where that has been so ever since; None of a good one."""
        return None if self._since is None else self._first
