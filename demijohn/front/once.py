"""Inserts with an Idempotency-Key on the express path: those that come together ride together.

It is the same operation by the same means as on the full path, so that requests that come both ways
ride together, and either finds what the other has kept. Flask is left out, and where nothing is
out of the ordinary so is a thread for each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bson import ObjectId

from demijohn.documents import write
from demijohn.documents.change import Changed
from demijohn.documents.collections import Configuration
from demijohn.documents.idempotency import Keyed
from demijohn.documents.insert import Insertion, insertion
from demijohn.documents.keyed_inserts import Item
from demijohn.documents.records import Key, Told, make_key
from demijohn.edge.context import Context
from demijohn.edge.tellers import Teller, refusal
from demijohn.errors import Problem
from demijohn.formats.media_types import PLAIN
from demijohn.formats.spelling import Draft
from demijohn.front.parts import Means
from demijohn.store.documents import Store
from demijohn.store.together import Ticket, Waiter


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

    @property
    def can_ride(self) -> bool:
        """Whether it can be submitted, as far as that is known."""
        return self.store.surely_has_transactions and not self.store.is_held

    def submit(
        self, teller: Teller, configuration: Configuration, waiter: Waiter[Told | None]
    ) -> Ticket[Item, Told | None]:
        """Have it inserted with others; the waiter is told, None where that is to be done apart.

        It never blocks. Raises TooLarge, Overloaded.
        """
        new = self._new(teller, configuration)
        return self.means.keyed_inserts.submit(self._keyed(teller), new, waiter)

    def insert_apart(self, teller: Teller) -> Told:
        """Insert the document; the answer, or the one that was given before. It takes its time.

        Raises what `documents.idempotency.once` raises.
        """
        new = self._new(teller, self.means.configurations.of(teller.collection))
        return self.means.keyed_inserts.insert_apart(self._keyed(teller), new)

    def insert(self, teller: Teller) -> Told:
        """The same where it is not known how the database can do it.

        Raises what `documents.write.insert` raises.
        """
        new = self._new(teller, self.means.configurations.of(teller.collection))
        keyed = self._keyed(teller)
        return write.insert(self.store, self.means.keyed_inserts, new, teller.tell, keyed)

    def _new(self, teller: Teller, configuration: Configuration) -> Insertion:
        return insertion(teller.collection, self.draft, ObjectId, configuration.check)

    def _keyed(self, teller: Teller) -> Keyed[Changed]:
        return Keyed(self._key(), teller.tell, self._refuse, time.time)

    def _key(self) -> Key:
        """The same as the full path makes of it (`web.negotiation.read_key`)."""
        caller, path = self.context.caller.id, self.context.path.encode()
        return make_key(caller, self.key, (b"POST", path, b"", PLAIN.encode(), self.body))

    def _refuse(self, problem: Problem) -> Told:
        return refusal(problem, self.context)
