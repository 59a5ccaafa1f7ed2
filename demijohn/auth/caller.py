"""Who asks, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from demijohn.errors import Forbidden, Unauthenticated
from demijohn.query.rows import Rows

EVERY = "*"
"""In a scope: every collection."""
CHALLENGE = (("WWW-Authenticate", 'Bearer realm="demijohn"'),)
"""RFC 6750, section 3."""


class Level(IntEnum):
    """What may be done in a collection; each includes those below it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


_DOING = {
    Level.READ: "read",
    Level.WRITE: "write in",
    Level.ADMIN: "manage",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from. `id` is of the key, empty without one."""

    id: str = ""
    scopes: Mapping[str, Level] = field(default_factory=lambda: MappingProxyType({}))
    """By collection, or EVERY."""
    rows: Rows | None = None
    """What documents there are to this caller, if not all."""

    def may(self, level: Level, collection: str) -> bool:
        """Whether a scope allows this in a collection, or in EVERY."""
        return max(self.scopes.get(collection, 0), self.scopes.get(EVERY, 0)) >= level

    def check(self, level: Level, collection: str) -> None:
        """Raise Unauthenticated or Forbidden where no scope allows it."""
        if not self.may(level, collection):
            self.check_known()
            where = "every collection" if collection == EVERY else f"{collection[:120]}"
            raise Forbidden(f"This key may not {_DOING[level]} {where}.")

    def check_known(self) -> None:
        """Raise Unauthenticated where no scope allows anything."""
        if not self.scopes:
            raise Unauthenticated("This needs a key: Authorization: Bearer dj_…", headers=CHALLENGE)

    def check_whole(self) -> None:
        """Raise Forbidden for a key with a row filter, where that cannot be gone by."""
        if self.rows is not None:
            raise Forbidden("A key with a row filter may not do this.")


NOBODY = Caller()
ANYONE = Caller(scopes=MappingProxyType({EVERY: Level.ADMIN}))
"""Who is let in without a key where none is needed."""
