"""File descriptors: every connection takes one, and shells allow few by default."""

from __future__ import annotations

import resource

SPARE = 256
"""For the database, files and the like."""


def room_for(connections: int) -> int:
    """Raise this process's limit to make room; how many connections, of those wanted, there is.

    Only the soft limit moves, within the hard one (setrlimit(2)).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    wanted = connections + SPARE
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(min(connections, max(soft, most) - SPARE), 1)
