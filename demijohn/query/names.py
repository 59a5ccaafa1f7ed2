"""Which collections clients can reach."""

from __future__ import annotations

import re

_REACHABLE = re.compile(r"(?!_|\.|system\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,120}(?<!\.)")
REACHABLE = (
    "A collection's name is 1 to 120 letters, digits, _, - and single dots; it does not "
    "start with _ or system. and has no dot at either end."
)


def is_reachable(name: str) -> bool:
    """Whether a collection of this name can be reached; names with `_` are the service's own."""
    return _REACHABLE.fullmatch(name) is not None
