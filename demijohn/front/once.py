"""Inserts with an Idempotency-Key on the express path: done by a thread, as on the full path.

It is the same operation by the same means, so that requests that come both ways ride together, and
either finds what the other has kept. Flask alone is left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bson import ObjectId

from demijohn.documents import write
from demijohn.documents.idempotency import Keyed
from demijohn.documents.insert import insertion
from demijohn.documents.records import Key, Told, make_key
from demijohn.edge.context import Context
from demijohn.edge.idempotency import as_told
from demijohn.edge.tellers import Teller, refusal
from demijohn.errors import Problem
from demijohn.formats.media_types import PLAIN
from demijohn.formats.spelling import Draft
from demijohn.front.parts import Means
from demijohn.store.documents import Store


@dataclass(frozen=True, slots=True)
class Once:
    """A plain insert with a key."""

    means: Means
    store: Store
    """What there is to its caller."""
    context: Context
    key: str
    body: bytes
    draft: Draft
    """What is in the body."""

    def insert(self, teller: Teller) -> Told:
        """Insert the document; the answer, or the one that was given before. It takes its time.

        Raises what `documents.write.insert` raises.
        """
        collection = teller.collection
        check = self.means.configurations.of(collection).check
        new = insertion(collection, self.draft, ObjectId, check)
        keyed = Keyed(self._key(), teller.tell, self._refuse, time.time)
        done = write.insert(self.store, self.means.keyed_inserts, new, teller.tell, keyed)
        return as_told(done)

    def _key(self) -> Key:
        """The same as the full path makes of it (`web.negotiation.read_key`)."""
        caller, path = self.context.caller.id, self.context.path.encode()
        return make_key(caller, self.key, (b"POST", path, b"", PLAIN.encode(), self.body))

    def _refuse(self, problem: Problem) -> Told:
        return refusal(problem, self.context)
