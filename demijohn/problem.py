"""What a problem is; `demijohn.errors` has them all, and is where both are imported from."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One place in the request that is to blame.

    ``pointer`` is a JSON Pointer (RFC 6901) into the body, ``""`` for the whole of it.
    """

    pointer: str
    detail: str
    schema: str | None = None
    """A JSON Pointer into the collection's schema, to the keyword that is not met."""


class Problem(Exception):
    """A refusal or failure with a stable code; the root of the tree above."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    """For the page `/problems/{code}`: what happened and what the client can do."""
    retry_after: int | None = None
    """Seconds for the Retry-After header (RFC 9110, section 10.2.3)."""

    def __init__(
        self,
        detail: str,
        *,
        faults: tuple[Fault, ...] = (),
        extra: dict[str, object] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        retry_after: int | None = None,
    ) -> None:
        """Take the detail for the client, the faults, extra members and extra headers.

        `retry_after` is for where the seconds depend on the case.
        """
        super().__init__(detail)
        self.detail = detail
        self.faults = faults
        self.extra = extra or {}
        self.headers = headers
        if retry_after is not None:
            self.retry_after = retry_after

    @property
    def is_failure(self) -> bool:
        """Whether the service or its database failed, and not what was sent."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
