"""A bound on whole answers that wait for clients to read them, all of a worker's together.

A document may be 16 MiB, and its spelling several times that: some dozens of clients that ask for
one and do not read would hold as much memory as there is.
"""

from __future__ import annotations

from demijohn.edge.context import Context
from demijohn.edge.reply import Reply, problem_reply
from demijohn.errors import Overloaded
from demijohn.front.body import SMALL


class Unread:
    """Bytes of large answers on their way out."""

    def __init__(self, limit: int) -> None:
        """Take how many there may be; one answer always may, however large."""
        self._limit = limit
        self.bytes = 0

    def hold(self, reply: Reply, context: Context) -> Reply:
        """The reply, held until `give_back`; in its place a 503 where too many are held.

        But not for what may have changed something: of that the client has to learn.
        """
        size = len(reply.body)
        if size <= SMALL:
            return reply
        if context.method == "GET" and self.bytes and self.bytes + size > self._limit:
            detail = "More bytes of answers wait to be read than this process holds."
            return problem_reply(Overloaded(detail), context)
        self.bytes += size
        return reply

    def give_back(self, reply: Reply) -> None:
        """What `hold` has returned is sent, or will not be."""
        if len(reply.body) > SMALL:
            self.bytes -= len(reply.body)
