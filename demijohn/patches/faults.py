"""Why a patch cannot be applied, before and after it is known which part of it is to blame."""

from __future__ import annotations

from demijohn.errors import Fault, InvalidPatch
from demijohn.formats.json_faults import pointer_to


class Unfit(Exception):
    """An operation that is none, or that does not fit the document as it is.

    `member` is the path, within the operation, to what is to blame; empty for all of it. Whoever
    knows the operation's place in the patch makes an InvalidPatch of it.
    """

    def __init__(self, detail: str, member: tuple[str | int, ...] = ("path",)) -> None:
        """Take the detail for the client, and the path."""
        super().__init__(detail)
        self.detail = detail
        self.member = member


def refusal(
    detail: str, place: tuple[str | int, ...] = (), extra: dict[str, object] | None = None
) -> InvalidPatch:
    """The problem of a patch with one fault, at this place in its body."""
    return InvalidPatch(detail, faults=(Fault(pointer_to(place), detail),), extra=extra)
